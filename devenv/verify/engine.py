"""The engine's side of one stack: what it shows, what happened, and what a test does to its containers."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devenv.backends.compose.failures import environment_failure
from devenv.backends.docker.client import connect
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.events import WATCHED
from devenv.backends.docker.snapshot import read_resources
from devenv.backends.docker.watcher import list_project
from devenv.backends.programs import CommandFailed, text_of
from devenv.core.errors import DevenvError
from devenv.core.model import Happening, Resource
from devenv.verify.recorder import Recorder
from devenv.verify.waiting import Absent, Never, VerificationFailed

LIMIT = 120.0  # seconds of one call


def docker(*arguments: str, environ: Mapping[str, str] | None = None, check: bool = True, limit: float = LIMIT) -> str:
    """Run `docker ARGUMENTS` and return what it printed; raises CommandFailed, and what `docker` cannot do without."""
    return run_docker(["docker", *arguments], environ=environ, check=check, limit=limit)


def run_docker(
    command: list[str],
    *,
    folder: str | None = None,
    environ: Mapping[str, str] | None = None,
    check: bool = True,
    limit: float = LIMIT,
) -> str:
    """Run a command as `docker` does."""
    try:
        return text_of(
            command,
            environ,
            timeout=limit,
            folder=folder,
            check=check,
            install="Install it: https://docs.docker.com/engine/install/",
            slow="Is the engine busy?",
        )
    except CommandFailed as error:
        raise environment_failure(error.output) or error from error


DONE = "devenv-kill-done"
STOP_TIMEOUT = 10.0  # seconds; the engine's default (docs.docker.com/reference/cli/docker/container/stop)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of memory, processors, and processes. 0: there is no limit. None: the runtime sets that limit elsewhere."""

    memory: int
    processors: float
    processes: int | None


class Engine:
    """The containers of one stack. Every reading is fresh; raises DevenvError where the engine says no."""

    def __init__(self, recorder: Recorder, environ: Mapping[str, str], labels: Mapping[str, str]) -> None:
        self._recorder = recorder
        self._project = recorder.project
        self._environ = environ
        self._labels = labels
        self._own = threading.local()  # a connection for each thread that calls

    def now(self) -> float:
        """The time that events are compared with, seconds since the epoch."""
        return time.time()

    def containers(self) -> tuple[Resource, ...]:
        """All containers of the stack, stopped ones too."""
        resources = read_resources(self._project, resolve_endpoint(self._environ))
        return tuple(resource for resource in resources if resource.kind == "container")

    def container(self, service: str, number: int = 1) -> Resource:
        """One container of a service; raises DevenvError where there is none."""
        self._recorder.touch(service)
        for resource in self.containers():
            if resource.service == service and resource.number == number and not resource.one_off:
                return resource
        self._require(service)
        raise Absent(f"{self._project.name} has no container {number} of the service {service}")

    def listed(self, service: str) -> Resource:
        """The service's first container as one quick call tells it: state and ports; raises DevenvError without one."""
        self._recorder.touch(service)
        endpoint = resolve_endpoint(self._environ)
        client = getattr(self._own, "client", None) or connect(endpoint)
        self._own.client = None  # kept only when it has worked
        try:
            containers = list_project(client, endpoint, self._project.name)
        except DevenvError:
            client.close()
            raise
        self._own.client = client
        mine = [item for item in containers if item.service == service and not item.one_off]
        if not mine:
            self._require(service)
            raise Absent(f"{self._project.name} has no container of the service {service}")
        return min(mine, key=lambda item: item.number)

    def inspect(self, service: str, number: int = 1) -> dict[str, Any]:
        """What `docker inspect` says of the container."""
        return self._inspect("container", self.container(service, number).container_id)

    def image(self, service: str) -> dict[str, Any]:
        """What `docker image inspect` says of the image that the service runs from."""
        return self._inspect("image", self.container(service).image_id)

    def history(self, service: str) -> list[dict[str, Any]]:
        """The layers of that image, newest first, with their whole commands."""
        image = self.container(service).image_id
        text = self._docker("history", "--no-trunc", "--format", "{{json .}}", image)
        return [json.loads(line) for line in text.splitlines()]

    def events(self, since: float = 0.0, service: str = "", action: str = "") -> list[Happening]:
        """What happened from that time on, oldest first, by the engine's clock."""
        return [item for item in self._recorder.happenings() if self._matches(item, since, service, action, "")]

    def wait_event(self, action: str, service: str = "", *, since: float, timeout: float, text: str = "") -> Happening:
        """Wait for an event; a new health has the action health_status and the text "is healthy"."""
        __tracebackhide__ = True
        self._refuse_event(action, service)
        event = self._recorder.wait_happening(lambda item: self._matches(item, since, service, action, text), timeout)
        if event is None:
            seen = "; ".join(f"{item.action} ({item.text})" for item in self.events(since, service)[-8:])
            what = " ".join(filter(None, ("event", action, text and repr(text), service and f"of {service}")))
            raise VerificationFailed(f"{what} within {timeout:g} s", seen or "no event at all")
        return event

    def wait_health(self, service: str, *, healthy: bool, since: float, timeout: float) -> float:
        """Wait until the service's health check says so, and return when it did; raises VerificationFailed."""
        __tracebackhide__ = True
        text = "is healthy" if healthy else "is unhealthy"
        return self.wait_event("health_status", service, since=since, timeout=timeout, text=text).at

    def grace(self, service: str) -> float:
        """Seconds that the service has to end by itself (Compose's stop_grace_period)."""
        return float(self.inspect(service)["Config"].get("StopTimeout") or STOP_TIMEOUT)

    def limits(self, service: str) -> Limits:
        """What the service may use, as the engine knows it."""
        host = self.inspect(service)["HostConfig"]
        processes = host["PidsLimit"] or 0
        return Limits(host["Memory"], host["NanoCpus"] / 1e9, max(0, processes))  # -1 is none too

    def exec(self, service: str, *command: str, user: str = "", check: bool = True) -> str:
        """Run a command in the container and return what it printed; raises CommandFailed."""
        options = ("--user", user) if user else ()
        return self._docker("exec", *options, self.container(service).container_id, *command, check=check)

    def logs(self, service: str = "", since: float = 0.0) -> str:
        """Return all that the containers (of a service) printed, as far as the engine still has it."""
        options = ("--since", f"{since:.9f}") if since else ()
        containers = [item for item in self.containers() if not service or item.service == service]
        return "".join(self._docker("logs", *options, item.container_id, check=False) for item in containers)

    def kill(self, service: str, signal_name: str = "KILL") -> None:
        """Send a signal as `docker kill` does; the engine takes it for a manual stop: no restart policy acts on it."""
        self._docker("kill", "--signal", signal_name, self.container(service).container_id)

    def stop(self, service: str, timeout: int | None = None) -> Resource:
        """Stop it as `docker stop` does, and return how it ended."""
        container = self.container(service)
        options = ("--timeout", str(timeout)) if timeout is not None else ()
        self._docker("stop", *options, container.container_id)
        return self.container(service, container.number)

    def signal_main(self, service: str, signal_name: str = "KILL") -> Resource:
        """Send a signal to the main process as its own host would, so that restart policies act; returns it as it was.

        Where the process is not one of this machine's (the engine is in a virtual machine, or elsewhere), a container
        with the host's processes and the capability KILL sends it.
        """
        container = self.container(service)
        if container.pid is None:
            raise DevenvError(f"{service} has no main process: {container.status}")
        number = signal.Signals[f"SIG{signal_name.removeprefix('SIG')}"]
        if _is_ours(container.pid, container.container_id):
            os.kill(container.pid, number)
        else:
            self._signal_from_container(container, int(number))
        return container

    def _signal_from_container(self, container: Resource, number: int) -> None:
        labels = [f"--label={name}={value}" for name, value in self._labels.items()]
        privileges = ("--pid=host", "--user=0", "--cap-drop=ALL", "--cap-add=KILL", "--network=none")
        script = f"kill -{number} {container.pid} && echo {DONE}"
        said = self._docker(
            *("run", "--rm", "--entrypoint=sh", *privileges, *labels, container.image_id, "-c", script), check=False
        )
        if DONE not in said:
            raise DevenvError(f"the main process of {container.service} could not be signalled: {said.strip()[-500:]}")

    def _require(self, service: str) -> None:
        """Raise Never for a service that the project does not have."""
        names = [item.name for item in self._project.services]
        if service and service not in names:
            raise Never(f"{self._project.name} has no service {service!r}; it has: {', '.join(names)}")

    def _refuse_event(self, action: str, service: str) -> None:
        """Raise Never for an event that is not watched, or that the service cannot have."""
        self._require(service)
        if action not in WATCHED:
            raise Never(f"no event is called {action!r}; there are: {', '.join(WATCHED)}")
        if action != "health_status" or not service:
            return
        try:
            check = (self.inspect(service)["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
        except DevenvError:
            return  # it is not there yet
        if check == ["NONE"]:
            raise Never(f"{service} has no health check", "Give it one in the Compose file: healthcheck.")

    def _matches(self, item: Happening, since: float, service: str, action: str, text: str) -> bool:
        if item.at < since or (action and item.action != action) or text not in item.text:
            return False
        return not service or self._recorder.service_of(item.key) == service

    def _inspect(self, kind: str, name: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._docker("inspect", "--type", kind, name))[0]
        return data

    def _docker(self, *arguments: str, check: bool = True) -> str:
        return docker(*arguments, environ=self._environ, check=check)


def _is_ours(pid: int, container_id: str) -> bool:
    """Whether the process of that number here is really the container's: a number alone may be anybody's."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text("utf-8", "replace")
    except OSError:
        return False
    return container_id in groups and os.geteuid() == 0
