"""A backend under test, with all its records kept, and waiting on conditions instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from devenv.backends.docker.backend import DockerBackend
from devenv.core.errors import DevenvError
from devenv.core.model import (
    Change,
    Connection,
    Happening,
    LogLine,
    LogsDropped,
    Project,
    Resource,
    Sample,
    Seen,
    Service,
)
from devenv.core.state import Store

LIMIT = 30.0  # seconds; a deadline for busy machines, not a budget


class Reader:
    """Drains a DockerBackend into a store, as the program does, and keeps what a store does not."""

    def __init__(
        self,
        environ: Mapping[str, str],
        project: str = "fake",
        services: tuple[str, ...] = (),
        inactive: tuple[str, ...] = (),
        files: tuple[str, ...] = (),
    ) -> None:
        self.project = Project(project, "/", files, tuple(Service(name) for name in services))
        self._inactive = inactive
        self.asked_for_inactive = 0
        self.scope_error: DevenvError | None = None
        self.scopes = 0
        self.store = Store()
        self.records: list[Change] = []
        self.lines: list[LogLine] = []
        self.wakes = 0
        self._woken = threading.Event()
        self.backend = DockerBackend(self._scope, environ, self._find_inactive, self._changed)
        self._has_changed = False
        self._running = False

    def start(self) -> Reader:
        """Start the backend."""
        self._running = True
        self.backend.start(self._wake)
        return self

    def change(self, project: Project | None = None, error: DevenvError | None = None) -> None:
        """Let the project's files say this from now on."""
        self.project, self.scope_error = project or self.project, error
        self._has_changed = True

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._running:
            self._running = False
            self.backend.stop()

    def until(self, condition: Callable[[], object], limit: float = LIMIT) -> float:
        """Take in records until the condition holds, and return how long it took; fail after `limit` seconds."""
        began = time.monotonic()
        while True:
            self.drain()
            if condition():
                return time.monotonic() - began
            left = began + limit - time.monotonic()
            if left <= 0:
                states = {r.name: (str(r.state), str(r.health)) for r in self.store.resources.values()}
                lines = [line.text[:100] for line in self.lines[-10:]]
                raise AssertionError(f"not within {limit} s; {states}; {self.connection()}; {lines}")
            self._woken.wait(min(left, 0.05))
            self._woken.clear()

    def live(self, resources: int | None = None) -> Reader:
        """Wait until the connection is live and so many resources are there."""
        self.until(lambda: self.state() == "live" and (resources is None or len(self.store.resources) == resources))
        return self

    def drain(self) -> list[Change]:
        """Take in what has arrived."""
        changes = self.backend.drain()
        self.records += [change for change in changes if not isinstance(change, LogLine)]
        self.lines += [change for change in changes if isinstance(change, LogLine)]
        self.store.apply(change for change in changes if not isinstance(change, LogLine | LogsDropped))
        return changes

    def connection(self) -> Connection | None:
        """The newest word about the connection."""
        return self.store.connection("docker")

    def state(self) -> str:
        """The state of the connection."""
        connection = self.connection()
        return connection.state.value if connection is not None else ""

    def states(self) -> list[str]:
        """All states of the connection that were told, without repetitions."""
        told = [record.state.value for record in self.records if isinstance(record, Connection)]
        return [state for number, state in enumerate(told) if number == 0 or told[number - 1] != state]

    def named(self, name: str) -> Resource:
        """The resource of that name."""
        return next(resource for resource in self.store.resources.values() if resource.name == name)

    def has(self, name: str, **fields: object) -> bool:
        """Whether a resource of that name is there with these fields."""
        return any(
            all(getattr(resource, field) == value for field, value in fields.items())
            for resource in self.store.resources.values()
            if resource.name == name
        )

    def seen(self, name: str) -> list[Resource]:
        """All records of the resource of that name."""
        return [r.resource for r in self.records if isinstance(r, Seen) and r.resource.name == name]

    def actions(self) -> list[str]:
        """What happened, in order."""
        return [record.action for record in self.records if isinstance(record, Happening)]

    def samples(self) -> list[Sample]:
        """All samples."""
        return [record for record in self.records if isinstance(record, Sample)]

    def texts(self, stream: str = "") -> list[str]:
        """The lines of the log, of one stream or of all."""
        return [line.text for line in self.lines if not stream or line.stream == stream]

    def _scope(self) -> Project:
        self.scopes += 1
        if self.scope_error is not None:
            raise self.scope_error
        return self.project

    def _changed(self) -> bool:
        changed, self._has_changed = self._has_changed, False
        return changed

    def _find_inactive(self) -> tuple[str, ...]:
        self.asked_for_inactive += 1
        return self._inactive

    def _wake(self) -> None:
        self.wakes += 1
        self._woken.set()
