"""What the terminal and the commands may ask of a backend, whatever it reads; of none, and of several at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

from devenv.core.errors import DevenvError
from devenv.core.model import Change, Connection, ConnectionState, Port, Resource

if TYPE_CHECKING:
    from devenv.backends.look import Seen, Subject


class Backend(Protocol):
    """A reader of one runtime: its threads put records into a bounded buffer, the owner drains it.

    No method blocks on the network: what is asked for arrives as records. All may be called from one thread only.
    """

    @property
    def name(self) -> str:
        """Which backend it is: "docker", later "kubernetes/<context>"."""
        ...

    def start(self, wake: Callable[[], None]) -> None:
        """Start the streams. `wake` is called from a backend's thread when an empty buffer gets its first record."""
        ...

    def stop(self) -> None:
        """Close all streams from outside and wait a short while (at most 1 s) for their threads."""
        ...

    def drain(self) -> list[Change]:
        """Take everything that arrived since the last call, in order."""
        ...

    def watch_stats(self, keys: Collection[str]) -> None:
        """Sample resource use of exactly these resources from now on (those that are on screen)."""
        ...

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None:
        """Follow the logs of exactly these resources from now on; one that is followed already goes on.

        A newly followed one begins with its last `tail` lines.
        """
        ...

    def watch_detail(self, key: str | None) -> None:
        """Keep the costly fields of this resource fresh (health checks with their output), of no other."""
        ...

    def look(self, resource: Resource, subject: Subject) -> Seen:
        """Read one thing about a resource now. This one blocks and is for any thread; raises DevenvError."""
        ...

    def address(self, port: Port) -> str:
        """Return the host at which a published port is reached from here, as a URL has it; "" where none is."""
        ...


class NothingToLookAt:
    """The part of a `Backend` that tells no more of a resource than its records."""

    def look(self, resource: Resource, subject: Subject) -> Seen:
        """Raise that nothing is known."""
        raise DevenvError(f"there is no more to show of {resource.name}", "")

    def address(self, port: Port) -> str:
        """Return that it is reached nowhere."""
        return ""


class NoBackend(NothingToLookAt):
    """`Backend` that reads nothing."""

    def __init__(self) -> None:
        self._changes: list[Change] = []

    @property
    def name(self) -> str:
        """A name that no runtime has."""
        return "nothing"

    def start(self, wake: Callable[[], None]) -> None:
        """Tell that there is nothing to wait for."""
        self._changes = [Connection(self.name, ConnectionState.LIVE, since=time.time())]
        wake()

    def stop(self) -> None:
        """Do nothing."""

    def drain(self) -> list[Change]:
        """Return what `start` reported, once."""
        changes, self._changes = self._changes, []
        return changes

    def watch_stats(self, keys: Collection[str]) -> None:
        """Do nothing."""

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None:
        """Do nothing."""

    def watch_detail(self, key: str | None) -> None:
        """Do nothing."""


KUBERNETES = "kubernetes:"  # how the keys of everything in a cluster begin


class JoinedBackend:
    """Starts with one backend, which answers for every key that no other one claims; more may join while it runs."""

    def __init__(self, first: Backend, *, wake: Callable[[], None] | None = None) -> None:
        """Join to `first`. `wake` is given where `first` was started already, with that function."""
        self._first = first
        self._others: list[tuple[str, Backend]] = []
        self._wake = wake
        self._stats: frozenset[str] = frozenset()
        self._logs: frozenset[str] = frozenset()
        self._tail = 500
        self._detail: str | None = None

    @property
    def name(self) -> str:
        """The name of the first one."""
        return self._first.name

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all, under which their connections are known."""
        return (self._first.name, *(backend.name for _, backend in self._others))

    def add(self, prefix: str, backend: Backend) -> None:
        """Give keys with this prefix to one more backend; it is started, and asked for what is subscribed."""
        self._others.append((prefix, backend))
        if self._wake is not None:
            backend.start(self._wake)
            self.watch_stats(self._stats)
            self.follow_logs(self._logs, self._tail)
            self.watch_detail(self._detail)

    def start(self, wake: Callable[[], None]) -> None:
        """Start all."""
        self._wake = wake
        for backend in self._all:
            backend.start(wake)

    def stop(self) -> None:
        """Stop all, the last one first."""
        self._wake = None
        for backend in reversed(self._all):
            backend.stop()

    def drain(self) -> list[Change]:
        """Take what waits in each of them, in its own order."""
        return [change for backend in self._all for change in backend.drain()]

    def watch_stats(self, keys: Collection[str]) -> None:
        """Let each sample its own."""
        self._stats = frozenset(keys)
        for backend, own in self._split(self._stats):
            backend.watch_stats(own)

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None:
        """Let each follow its own."""
        self._logs, self._tail = frozenset(keys), tail
        for backend, own in self._split(self._logs):
            backend.follow_logs(own, tail)

    def watch_detail(self, key: str | None) -> None:
        """Let the one that made the key keep its details fresh, and no other."""
        self._detail = key
        owner = self._owner(key) if key is not None else None
        for backend in self._all:
            backend.watch_detail(key if backend is owner else None)

    def look(self, resource: Resource, subject: Subject) -> Seen:
        """Let the one that made the resource read it."""
        return self._owner(resource.key).look(resource, subject)

    def address(self, port: Port) -> str:
        """Ask the first one: only its ports are published on this machine."""
        return self._first.address(port)

    @property
    def _all(self) -> list[Backend]:
        return [self._first, *(backend for _, backend in self._others)]

    def _owner(self, key: str) -> Backend:
        return next((backend for prefix, backend in self._others if key.startswith(prefix)), self._first)

    def _split(self, keys: Collection[str]) -> list[tuple[Backend, frozenset[str]]]:
        own: dict[int, set[str]] = {id(backend): set() for backend in self._all}
        for key in keys:
            own[id(self._owner(key))].add(key)
        return [(backend, frozenset(own[id(backend)])) for backend in self._all]
