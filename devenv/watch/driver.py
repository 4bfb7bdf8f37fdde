"""What a runtime adds to a watch, and the driver of Compose; that of a cluster is in pods.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Protocol

from devenv.backends.docker.containers import EngineContainers
from devenv.backends.docker.endpoint import Endpoint, published_at
from devenv.backends.docker.snapshot import EngineEvents
from devenv.backends.inside import Containers
from devenv.backends.kube.errors import Unreachable
from devenv.control.guard import Guard, Ticket
from devenv.control.job import Job
from devenv.core.errors import DevenvError, EngineUnreachable
from devenv.core.model import Happening, Project, State
from devenv.core.verify_settings import EndpointSettings

AWAY: Final = (EngineUnreachable, Unreachable)  # what failed because of them is done when the runtime is back
MakeJob = Callable[[str, tuple[str, ...], tuple[str, ...]], Job]  # of a verb of Compose, its flags and its targets


class Events(Protocol):
    """What happens to containers, from the moment the context is entered."""

    def __enter__(self) -> Events:
        """Begin to listen; raises one of AWAY."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """End."""
        ...

    def events(self, timeout: float) -> Sequence[Happening]:
        """Return what happened since the last call, waiting so many seconds at most; raises one of AWAY."""
        ...


class Driver(Protocol):
    """One project or namespace; what a change of it did is told to its guard."""

    guard: Guard

    def containers(self) -> Containers:
        """Return its containers, for one thread."""
        ...

    def events(self) -> Events:
        """Return what tells when containers may be others."""
        ...

    def begin(self, verb: str, service: str) -> Ticket:
        """Let the guard pass a change; raises Refused."""
        ...

    def job(self, verb: str, flags: tuple[str, ...], targets: tuple[str, ...]) -> Job:
        """Return a job that restarts or builds a service."""
        ...

    def address_of(self, settings: EndpointSettings) -> Callable[[], str]:
        """Return what looks up where an endpoint answers; it raises LookupError while there is none."""
        ...

    def how_to_start(self, services: str) -> str:
        """Say how containers of these services come."""
        ...


class ComposeDriver:
    """`Driver` of a Compose project."""

    def __init__(self, project: Project, endpoint: Endpoint, guard: Guard, make_job: MakeJob) -> None:
        self._project = project
        self._endpoint = endpoint
        self.guard = guard
        self.job = make_job

    def containers(self) -> Containers:
        """Return the containers of the project."""
        return EngineContainers(self._endpoint, self._project.name)

    def events(self) -> EngineEvents:
        """Return the engine's events of the project."""
        return EngineEvents(self._endpoint, self._project.name)

    def begin(self, verb: str, service: str) -> Ticket:
        """Let the guard pass a change; raises Refused."""
        return self.guard.begin(self.guard.plan(verb, (service,), project=self._project), self._project)

    def how_to_start(self, services: str) -> str:
        """Name the commands."""
        return f"Start it: devenv up {services}. Or let the watch do it (--up), or wait for it (--wait)."

    def address_of(self, settings: EndpointSettings) -> Callable[[], str]:
        """Return what looks up the published port."""
        containers = EngineContainers(self._endpoint, self._project.name)
        published: list[tuple[float, str]] = []

        def url() -> str:
            # A port changes with its container only: one look a second is enough.
            if published and time.monotonic() - published[0][0] < 1:
                return published[0][1]
            try:
                resources = containers.of_service(settings.service)
            except DevenvError as error:
                raise LookupError(error.message) from error
            ports = [port for item in resources if item.state is State.RUNNING for port in item.ports if port.host]
            port = next((port for port in ports if settings.port in (None, port.container)), None)
            if port is None:
                raise LookupError(f"no port of {settings.service} is published")
            address = f"http://{published_at(port, self._endpoint)}:{port.host}{settings.path or '/'}"
            published[:] = [(time.monotonic(), address)]
            return address

        return url
