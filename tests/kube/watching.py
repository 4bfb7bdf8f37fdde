"""A KubeBackend under test, drained into a store as the program does, and waiting on conditions instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from devenv.backends.kube.backend import DEFAULT_KINDS, KubeBackend
from devenv.backends.kube.kinds import Kind
from devenv.backends.kube.kubeconfig import Target
from devenv.core.model import Change, Connection, Happening, LogLine, LogsDropped, Resource, Sample
from devenv.core.state import Store

LIMIT = 30.0  # seconds; a deadline for busy machines, not a budget


class Watching:
    """Everything that a backend told so far."""

    def __init__(self, target: Target, environ: Mapping[str, str]) -> None:
        self.backend = KubeBackend(target, environ)
        self.store = Store()
        self.records: list[Change] = []
        self.lines: list[LogLine] = []
        self._woken = threading.Event()

    def until(self, condition: Callable[[], object], limit: float = LIMIT) -> float:
        """Take in records until the condition holds, and return how long it took; fail after `limit` seconds."""
        began = time.monotonic()
        while True:
            self.drain()
            if condition():
                return time.monotonic() - began
            left = began + limit - time.monotonic()
            if left <= 0:
                shown = {(item.kind, item.name): item.why for item in self.store.resources.values()}
                raise AssertionError(f"not within {limit} s: {self.connection}, {shown}, {self.texts()[-10:]}")
            self._woken.wait(min(left, 0.05))
            self._woken.clear()

    def drain(self) -> None:
        changes = self.backend.drain()
        self.lines += [change for change in changes if isinstance(change, LogLine)]
        self.records += [change for change in changes if not isinstance(change, LogLine)]
        self.store.apply(change for change in changes if not isinstance(change, LogLine | LogsDropped))

    @property
    def connection(self) -> Connection | None:
        return self.store.connection(self.backend.name)

    @property
    def state(self) -> str:
        return self.connection.state.value if self.connection is not None else ""

    @property
    def message(self) -> str:
        return self.connection.message if self.connection is not None else ""

    def states(self) -> list[str]:
        """All states of the connection that were told, without repetitions."""
        told = [record.state.value for record in self.records if isinstance(record, Connection)]
        return [state for number, state in enumerate(told) if number == 0 or told[number - 1] != state]

    def find(self, kind: str, name: str) -> Resource | None:
        return next((r for r in self.store.resources.values() if (r.kind, r.name) == (kind, name)), None)

    def named(self, kind: str, name: str) -> Resource:
        found = self.find(kind, name)
        assert found is not None, (kind, name, self.names())
        return found

    def names(self, kind: str = "pod") -> set[str]:
        return {r.name for r in self.store.resources.values() if r.kind == kind}

    def why(self, kind: str, name: str) -> str:
        found = self.find(kind, name)
        return found.why if found is not None else ""

    def texts(self) -> list[str]:
        return [line.text for line in self.lines]

    def samples(self) -> list[Sample]:
        return [record for record in self.records if isinstance(record, Sample)]

    def happenings(self) -> list[Happening]:
        return [record for record in self.records if isinstance(record, Happening)]

    def wake(self) -> None:
        self._woken.set()


@contextmanager
def watching(
    target: Target,
    environ: Mapping[str, str],
    *,
    kinds: Collection[Kind] = DEFAULT_KINDS,
    namespace: str | None = "default",
    live: bool = True,
) -> Iterator[Watching]:
    """Start a backend, wait until it is live, and stop it at the end."""
    made = Watching(target, environ)
    made.backend.watch_kinds(kinds, namespace)
    made.backend.start(made.wake)
    try:
        if live:
            made.until(lambda: made.state == "live")
        yield made
    finally:
        made.backend.stop()
