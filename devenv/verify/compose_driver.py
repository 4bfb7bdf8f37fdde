"""The Compose driver of a stack under test: brought up, changed and taken down through Compose itself."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from devenv.verify.engine import Engine, run_docker
from devenv.verify.http import AT_REST, Endpoint, http_ports, unpublished
from devenv.verify.recorder import Recorder
from devenv.verify.service_verdicts import CONFIG_HASH, Subject, image_contents
from devenv.verify.stack import CALL_LIMIT, BuildReport, BuildWatch, Stack, Started, UpReport, stages_of
from devenv.verify.waiting import Never, VerificationFailed, unmeasurable

STOP_WITHIN = "1"  # seconds of grace at the last clean-up: nothing of it is needed any more


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


class ComposeDriver:
    """What a stack asks of Compose and the engine; `devenv.verify.stack.Driver` says what each method is for."""

    target = "compose"
    every = 0.1  # seconds
    place = ""

    def __init__(self, plan: StackPlan, scale: float = 1.0) -> None:
        self.plan = plan
        self.scale = scale
        self.name = plan.project.name
        self.folder = plan.folder
        self.root: Path | None = plan.source.root
        self.project = plan.project
        self.isolated = plan.isolated
        self.changed = plan.changed
        self.services: Mapping[str, Any] = plan.document.get("services") or {}
        self.settings = plan.source.config.verify
        self.wait_timeout = plan.source.config.wait_timeout
        self._environ = plan.source.environ
        path = plan.run.folder / "evidence" / f"{self.name}.jsonl"
        self.recorder = Recorder(path, plan.run.id, plan.project, self._environ)
        self.engine = Engine(self.recorder, self._environ, plan.run.labels | {LABEL_STACK: self.name})
        # What somebody stopped ends with 0 as well as what has done its work.
        self._stays_up = {item.name for item in plan.project.services if item.restart in ("always", "unless-stopped")}

    def endpoint_settings(self) -> list[EndpointSettings]:
        """Return those of devenv.toml, else one for each published port that may answer HTTP."""
        if self.settings.endpoints:
            return list(self.settings.endpoints)
        settings = []
        for service in self.project.services:
            ports = http_ports(service)
            for port in ports:
                name = service.name if len(ports) == 1 else f"{service.name}:{port}"
                settings.append(EndpointSettings(service.name, name, port))
        return settings

    def make_endpoint(self, settings: EndpointSettings) -> Endpoint:
        """Make an endpoint whose port the engine is asked for at each call."""
        return Endpoint(settings, self.engine.listed, self.recorder.probe, self._environ)

    def up(self, *, build: bool, wait: bool, services: Sequence[str], limit: float) -> Started:
        """Build, create and start as Compose does, and wait on the engine's events until every service is ready."""
        __tracebackhide__ = True
        self._mark("up")
        if wait:
            self._refuse_unpublished(services)
        built = self.build(*services) if build else None
        scope = scope_of(self.project, tuple(services))
        job = Job(self.plan.options, self.project, "up", ("--detach", "--no-build"), tuple(services), self._environ)
        words = last_words(self.plan.options.directory, self._environ)
        watch = ProjectWatch(scope, resolve_endpoint(self._environ))
        if not wait:
            job.run(lambda record: None)
            stages = {"build": built.seconds if built else 0.0}
            return Started(frozenset(), lambda at, seconds: UpReport(seconds, stages, {}))
        outcome = Waiter(scope, job, watch, words, limit).run(lambda record: None)
        if outcome.error is not None:
            evidence = [f"  {item.service} | {line}" for item in outcome.services for line in item.evidence]
            raise VerificationFailed("every service to be ready", "\n".join([outcome.error.message, *evidence]))
        self._stays_up |= {item.service for item in outcome.services if item.outcome is Outcome.READY}
        names = frozenset(service.name for service in scope.services)
        return Started(names, lambda at, seconds: stages_of(self.engine, at, seconds, built, outcome))

    def build(self, *services: str, no_cache: bool = False) -> BuildReport:
        """Build the images of the services that have a build; raises what a failed build becomes."""
        self._mark(f"build {' '.join(services)}")
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

    def down(self, *, volumes: bool) -> None:
        """Take it down as Compose does."""
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

    def reset(self) -> None:
        """Restart all: a process that a test has broken may look well."""
        self.compose("restart", "--timeout", "1", check=False)

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run Compose on the stack and return what it printed."""
        if not self.isolated and arguments[:1] in (("down",), ("rm",)):
            raise DevenvError(f"{self.name} is not a copy: tests do not remove it", "Use fresh_stack in this test.")
        self._mark(f"compose {' '.join(arguments)}")
        options = self.plan.options
        command = options.command(*arguments)
        return run_docker(command, folder=options.directory, environ=self._environ, check=check, limit=CALL_LIMIT)

    def before_waiting(self, services: Sequence[str], limit: float) -> str:
        """Raise Never where nothing is up and nothing brings it up."""
        if not self.isolated and not self.engine.containers():
            raise Never(f"nothing of {self.name} is up", "`devenv up` starts it; without --running a copy is tested.")
        return f"{', '.join(sorted(set(services) or self._running_services()))} to be healthy"

    def unready(self, services: Sequence[str] = ()) -> tuple[list[str], str]:
        """Return how each service stands that is not ready; in vain where nothing but a person changes its state."""
        names = set(services) or self._running_services()
        containers = [item for item in self.engine.containers() if item.service in names and not item.one_off]
        unready = {
            name: (f"{name}: no container", "not created") for name in names - {item.service for item in containers}
        }
        for item in containers:
            if not self._is_well(item):
                state = item.state.value if item.state in AT_REST else ""
                unready[item.service] = (f"{item.service}: {item.status}", state)
        at_rest = [f"{name} is {state}" for name, (_, state) in unready.items() if state]
        in_vain = f"{', '.join(at_rest)}, and nothing starts it" if at_rest else ""
        return [text for text, _ in unready.values()], in_vain

    def _running_services(self) -> set[str]:
        """Return the services that have containers: not those of a provider, nor those that are scaled to 0."""
        return {service.name for service in self.project.services if service.replicas}

    def _refuse_unpublished(self, services: Sequence[str]) -> None:
        """Raise Never for an endpoint whose port the Compose files do not publish: nobody will ever answer there."""
        for endpoint in self.endpoint_settings():
            name, port = endpoint.service, endpoint.port
            if name not in self.services:
                continue
            ports = self.services[name].get("ports") or ()
            targets = {int(item["target"]) for item in ports if item.get("protocol", "tcp") == "tcp"}
            if (not services or name in services) and not (targets if port is None else port in targets):
                raise Never(*unpublished(name, port))

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
            self._mark(f"what is verified could not be read: {error.message}")
            return {}
        return {
            item.service: Subject(images.get(item.image_id, ""), hashes.get(item.service, "")) for item in containers
        }

    def explain(self) -> list[str]:
        """Nothing: the recorder knows all that the engine tells."""
        return []

    def end(self, *, remove: bool) -> None:
        """Stop the recorder, then take down what is the stack's own."""
        self.recorder.stop()
        if remove:
            self._remove()
            tell({"phase": "mark", "stack": self.name, "kind": "cleanup", "text": "removed", "at": time.time()})

    def _mark(self, text: str) -> None:
        self.recorder.mark("phase", text)

    def _remove(self) -> None:
        try:
            options = self.plan.options
            command = options.command("down", "--volumes", "--remove-orphans", "--timeout", STOP_WITHIN)
            run_docker(command, folder=options.directory, environ=self._environ, check=False, limit=CALL_LIMIT)
        finally:
            # What Compose does not know any more (a mutated file, a half made start) still has the run's labels.
            left = leftovers.on_engine(self.plan.run.id, self._environ)
            mine = [item for item in left if item.stack == self.name]
            leftovers.remove(mine, self._environ)
            shutil.rmtree(self.folder.parent, ignore_errors=True)

    def images_for(self, other: ComposeStack) -> dict[str, str]:
        """Return the name of each image that this stack runs from, and the name that `other` has for it."""
        mine, theirs = self._image_names(), other.driver._image_names()
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


class ComposeStack(Stack[ComposeDriver]):
    """A Compose project under test, with what only Compose has; `ComposeDriver` says what it does."""

    def __init__(self, driver: ComposeDriver) -> None:
        super().__init__(driver)
        self.plan, self.project, self.folder = driver.plan, driver.project, driver.folder
        self.build, self.compose, self.images_for = driver.build, driver.compose, driver.images_for
