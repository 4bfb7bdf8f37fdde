"""One stack under test: brought up, changed, watched and taken down through Compose itself."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devenv.backends.compose import ComposeOptions
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.snapshot import ProjectWatch
from devenv.control.guard import scope_of
from devenv.control.job import Job
from devenv.control.readiness import Outcome
from devenv.control.wait import Waiter, last_words
from devenv.core.errors import DevenvError
from devenv.core.model import Health, Project, Resource, State
from devenv.core.settings import Config
from devenv.core.verify_settings import EndpointSettings
from devenv.runs.identity import LABEL_STACK, Run
from devenv.runs.lines import tell
from devenv.verify import leftovers
from devenv.verify.calls import Persistence, Reload
from devenv.verify.engine import Engine, run_docker
from devenv.verify.http import AT_REST, Endpoint, endpoint_named, http_ports, unpublished
from devenv.verify.recorder import Recorder, explain
from devenv.verify.service_verdicts import CONFIG_HASH, Subject, image_contents
from devenv.verify.stages import BuildReport, BuildWatch, UpReport, stages_of
from devenv.verify.waiting import Lasting, Never, VerificationFailed, unmeasurable, wait_until

COMPOSE_LIMIT = 300.0  # seconds of one call of Compose that is not a build
BUILD_LIMIT = 1800.0
STOP_WITHIN = "1"  # seconds of grace at the last clean-up: nothing of it is wanted any more


@dataclass(frozen=True, slots=True)
class Source:
    """The project that is verified, as it is in the working tree."""

    config: Config
    options: ComposeOptions
    project: Project
    document: Mapping[str, Any]
    root: Path  # the folder that is copied
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What a stack is made of; `options` already name the files that isolate it."""

    source: Source
    run: Run
    project: Project
    options: ComposeOptions
    document: Mapping[str, Any]
    folder: Path
    isolated: bool = False
    changed: bool = False  # by the test: what it finds out is not about the project as it is


class Stack:
    """A stack under test. Raises VerificationFailed where it does not do what is expected of it."""

    target: Final = "compose"

    def __init__(self, plan: StackPlan, scale: float = 1.0) -> None:
        self.plan = plan
        self.name = plan.project.name
        self.folder = plan.folder
        self.project = plan.project
        self.isolated = plan.isolated
        self.services: Mapping[str, Mapping[str, Any]] = plan.document.get("services") or {}
        self.settings = plan.source.config.verify
        self.scale = scale
        self._environ = plan.source.environ
        path = plan.run.folder / "evidence" / f"{self.name}.jsonl"
        self.recorder = Recorder(path, plan.run.id, plan.project, self._environ)
        self.engine = Engine(self.recorder, self._environ, plan.run.labels | {LABEL_STACK: self.name})
        self.endpoints = {
            item.name: Endpoint(item, self.engine.listed, self.recorder.probe, self._environ)
            for item in self._endpoints()
        }
        settings = self.settings.persistence
        self.persistence = Persistence(settings, self.endpoint) if settings is not None else None
        # What somebody stopped ends with 0 as well as what has done its work.
        self._stays_up = {item.name for item in plan.project.services if item.restart in ("always", "unless-stopped")}
        self.recorder.start()

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint by its name; raises DevenvError with the names there are."""
        return endpoint_named(self.endpoints, name)

    @property
    def reloads(self) -> list[Reload]:
        """The reloads that devenv.toml describes, on the private copy; empty for a stack that is not isolated."""
        if not self.isolated:
            return []
        root = str(self.plan.source.root)
        return [Reload(item, root, str(self.folder), self.endpoint(item.endpoint)) for item in self.settings.reloads]

    def up(
        self, *, build: bool = False, wait: bool = True, services: tuple[str, ...] = (), timeout: float | None = None
    ) -> UpReport:
        """Create and start, wait until every service is ready and every endpoint of theirs is served."""
        __tracebackhide__ = True
        at, began = time.time(), time.monotonic()
        self.mark("up")
        if wait:
            self._refuse_unpublished(services)
        built = self.build(*services) if build else None
        limit = (self.plan.source.config.wait_timeout if timeout is None else timeout) * self.scale
        scope = scope_of(self.project, services)
        job = Job(self.plan.options, self.project, "up", ("--detach", "--no-build"), services, self._environ)
        words = last_words(self.plan.options.directory, self._environ)
        watch = ProjectWatch(scope, resolve_endpoint(self._environ))
        if not wait:
            job.run(lambda record: None)
            return UpReport(time.monotonic() - began, {"build": built.seconds if built else 0.0}, {})
        verdict = Waiter(scope, job, watch, words, limit).run(lambda record: None)
        if verdict.error is not None:
            evidence = [f"  {item.service} | {line}" for item in verdict.services for line in item.evidence]
            raise VerificationFailed("every service to be ready", "\n".join([verdict.error.message, *evidence]))
        self._stays_up |= {item.service for item in verdict.services if item.outcome is Outcome.READY}
        names = {service.name for service in scope.services}
        rest = max(1.0, limit - (time.monotonic() - began)) if limit else COMPOSE_LIMIT
        for endpoint in self.endpoints.values():
            if endpoint.settings.service in names:
                endpoint.wait_served(rest)
        return stages_of(self.engine, at, time.monotonic() - began, built, verdict)

    def build(self, *services: str, no_cache: bool = False) -> BuildReport:
        """Build the images of the services that have a build; raises what a failed build becomes."""
        self.mark(f"build {' '.join(services)}")
        began = time.monotonic()
        watch = BuildWatch()
        flags = ("--no-cache",) if no_cache else ()
        if any(service.builds for service in self.project.services):
            try:
                Job(self.plan.options, self.project, "build", flags, services, self._environ).run(watch.take)
            except DevenvError as error:
                outside = unmeasurable(error)
                if outside is None:
                    raise
                raise outside from error
        return watch.report(time.monotonic() - began, self._image_ids())

    def down(self, *, volumes: bool = False) -> None:
        """Take it down; with `volumes`, all data too."""
        self.recorder.state()
        if self.isolated and volumes and self.persistence is not None:
            self.persistence.forget()
        self.compose("down", *(["--volumes"] if volumes else []))

    def stop(self, *services: str) -> None:
        """Stop services."""
        self.compose("stop", *services)

    def start(self, *services: str) -> None:
        """Start existing containers."""
        self.compose("start", *services)

    def restart(self, *services: str) -> None:
        """Restart services."""
        self.compose("restart", *services)

    def mend(self) -> None:
        """Bring it back to what the project says, whatever a test has done to it."""
        self.compose("restart", "--timeout", "1", check=False)
        self.up()

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run Compose on the stack and return what it printed."""
        if not self.isolated and arguments[:1] in (("down",), ("rm",)):
            raise DevenvError(f"{self.name} is not a copy: tests do not remove it", "Use fresh_stack in this test.")
        self.mark(f"compose {' '.join(arguments)}")
        options = self.plan.options
        command = options.command(*arguments)
        return run_docker(command, folder=options.directory, environ=self._environ, check=check, limit=COMPOSE_LIMIT)

    def wait_healthy(self, timeout: float | None = None, services: tuple[str, ...] = ()) -> float:
        """Wait until the containers run and are healthy where they have a health check; return the seconds it took."""
        began = time.monotonic()
        limit = (self.plan.source.config.wait_timeout if timeout is None else timeout) * self.scale
        wanted = set(services) or self._running_services()
        if not self.isolated and not self.engine.containers():
            raise Never(f"nothing of {self.name} is up", "`devenv up` starts it; without --running a copy is tested.")
        what = f"{', '.join(sorted(wanted))} to be healthy"
        lasting = Lasting()

        def look() -> list[str]:
            unready = self._unready(wanted)
            at_rest = [f"{name} is {state}" for name, (_, state) in unready.items() if state]
            lasting.look(f"{', '.join(at_rest)}, and nothing starts it" if at_rest else "")
            return [text for text, _ in unready.values()]

        wait_until(what, look, limit, lambda found: not found, every=0.1)
        return time.monotonic() - began

    def is_well(self) -> bool:
        """Whether every service runs and is healthy where it has a health check."""
        return not self._unready(self._running_services())

    def _running_services(self) -> set[str]:
        """Return the services that have containers: not those of a provider, nor those that are scaled to 0."""
        return {service.name for service in self.project.services if service.replicas}

    def _refuse_unpublished(self, services: tuple[str, ...]) -> None:
        """Raise Never for an endpoint whose port the Compose files do not publish: nobody will ever answer there."""
        for endpoint in self.endpoints.values():
            name, port = endpoint.settings.service, endpoint.settings.port
            if name not in self.services:
                continue
            ports = self.services[name].get("ports") or ()
            targets = {int(item["target"]) for item in ports if item.get("protocol", "tcp") == "tcp"}
            if (not services or name in services) and not (targets if port is None else port in targets):
                raise Never(*unpublished(name, port))

    def _unready(self, wanted: set[str]) -> dict[str, tuple[str, str]]:
        """Return how each service stands that is not ready, and its state where nothing but a person changes that."""
        found = [item for item in self.engine.containers() if item.service in wanted and not item.one_off]
        unready = {name: (f"{name}: no container", "not created") for name in wanted - {item.service for item in found}}
        for item in found:
            if not self._is_well(item):
                at_rest = item.state.value if item.state in AT_REST else ""
                unready[item.service] = (f"{item.service}: {item.status}", at_rest)
        return unready

    def _is_well(self, container: Resource) -> bool:
        if container.state is State.RUNNING:
            return container.health in (Health.NONE, Health.HEALTHY)
        ends = container.service not in self._stays_up
        return ends and container.state is State.EXITED and container.exit_code == 0

    def subjects(self) -> dict[str, Subject]:
        """Return what each service is made of, as verdicts are about it; what cannot be read is left unknown."""
        source = self.plan.source
        try:
            containers = [item for item in self.engine.containers() if item.service and not item.one_off]
            images = image_contents((item.image_id for item in containers), source.environ)
            if self.isolated:
                command = source.options.command("config", "--hash", "*")
                text = run_docker(command, folder=source.options.directory, environ=source.environ)
                hashes = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
            else:
                hashes = {item.service: dict(item.labels).get(CONFIG_HASH, "") for item in containers}
        except DevenvError as error:
            self.mark(f"what is verified could not be told: {error.message}")
            return {}
        return {
            item.service: Subject(images.get(item.image_id, ""), hashes.get(item.service, "")) for item in containers
        }

    def mark(self, text: str) -> None:
        """Write a moment into the evidence."""
        self.recorder.mark("phase", text)

    def explain(self, at: float | None = None) -> str:
        """Say what the stack showed around that time (default: now): last event, last probe, log lines."""
        return explain(self.recorder, time.time() if at is None else at)

    def close(self, *, keep: bool = False) -> None:
        """Write the last state down, and remove all that is the stack's own; safe at any time, even half made."""
        try:
            self.recorder.state()
            self.recorder.mark("cleanup", "kept as it is" if keep or not self.isolated else "clean-up begins")
        finally:
            for endpoint in self.endpoints.values():
                endpoint.close()
            self.recorder.stop()
            if self.isolated and not keep:
                self._remove()
                tell({"phase": "mark", "stack": self.name, "kind": "cleanup", "text": "removed", "at": time.time()})

    def _remove(self) -> None:
        try:
            options = self.plan.options
            command = options.command("down", "--volumes", "--remove-orphans", "--timeout", STOP_WITHIN)
            run_docker(command, folder=options.directory, environ=self._environ, check=False, limit=COMPOSE_LIMIT)
        finally:
            # What Compose does not know any more (a mutated file, a half made start) still has the run's labels.
            found = leftovers.on_engine(self.plan.run.id, self._environ)
            mine = [item for item in found if item.stack == self.name]
            leftovers.remove(mine, self._environ)
            shutil.rmtree(self.folder.parent, ignore_errors=True)

    def images_for(self, other: Stack) -> dict[str, str]:
        """Return the name of each image that this stack runs from, and the name that `other` has for it."""
        mine, theirs = self._image_names(), other._image_names()
        given = {service.name: service.image for service in self.project.services if not service.builds}
        return {mine[name]: theirs[name] for name in mine} | {image: image for image in given.values() if image}

    def _image_names(self) -> dict[str, str]:
        return {
            service.name: f"devenv-verify/{self.name}:{service.name.lower()}" if self.isolated else service.image
            for service in self.project.services
            if service.builds
        }

    def _image_ids(self) -> dict[str, str]:
        command = ["docker", "image", "inspect", "--format", "{{.Id}}"]
        return {
            service: run_docker([*command, name], environ=self._environ).strip()
            for service, name in self._image_names().items()
        }

    def _endpoints(self) -> list[EndpointSettings]:
        if self.settings.endpoints:
            return list(self.settings.endpoints)
        found = []
        for service in self.project.services:
            ports = http_ports(service)
            for port in ports:
                name = service.name if len(ports) == 1 else f"{service.name}:{port}"
                found.append(EndpointSettings(service.name, name, port))
        return found


StackMaker = Callable[..., Stack]
