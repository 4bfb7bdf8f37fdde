"""How the connection to a cluster is, from how each of its streams is; said as one record, and only when it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from msgspec.structs import replace

from devenv.backends.kube.errors import BadKubeconfig, Forbidden, KubeError, Unauthorized
from devenv.core.errors import DevenvError
from devenv.core.model import Connection, ConnectionState
from devenv.core.text import sanitize


class _Is(Enum):
    OPENING = 0
    LIVE = 1
    DOWN = 2
    DENIED = 3  # not allowed, or not served: the rest works without it


@dataclass(slots=True)
class _Stream:
    state: _Is = _Is.OPENING
    error: Exception | None = None
    next_try: float = 0.0
    tries: int = 0


class ConnectionTracker:
    """Collects the states of the streams, by name; all methods may be called from any thread."""

    def __init__(self, backend: str, emit: Callable[[Connection], None], endpoint: str = "") -> None:
        self._backend = backend
        self._emit = emit
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._streams: dict[str, _Stream] = {}
        self._denied: dict[str, tuple[str, str]] = {}  # what is missing and why, by stream
        self._remarks: dict[str, str] = {}
        self._version = ""
        self._last_live: float | None = None
        self._was_live = False  # until the last break
        self._published: Connection | None = None

    @property
    def is_live(self) -> bool:
        """Whether anything is fresh now."""
        with self._lock:
            return any(item.state is _Is.LIVE for item in self._streams.values())

    def opening(self, name: str) -> None:
        """A stream begins."""
        with self._lock:
            self._streams[name] = _Stream()
            self._tell()

    def version(self, version: str) -> None:
        """Name the server's version."""
        with self._lock:
            self._version = version
            self._tell()

    def live(self, name: str) -> bool:
        """Take in that a stream delivers; returns whether it did not before."""
        with self._lock:
            stream = self._streams.setdefault(name, _Stream())
            was_down = stream.state is _Is.DOWN
            stream.state, stream.error, stream.tries = _Is.LIVE, None, 0
            self._denied.pop(name, None)
            self._tell()
            return was_down

    def down(self, name: str, error: Exception | None, pause: float) -> None:
        """Take in that a stream broke and is tried again in `pause` seconds; a clean end is none."""
        with self._lock:
            stream = self._streams.get(name)
            if stream is None or error is None:
                return
            if stream.state is _Is.LIVE:
                self._last_live = time.time()
            stream.state, stream.error = _Is.DOWN, error
            stream.next_try, stream.tries = time.monotonic() + pause, stream.tries + 1
            self._tell()

    def denied(self, name: str, what: str, why: str) -> None:
        """Take in that a stream may not read its list, or that the cluster does not serve it."""
        with self._lock:
            stream = self._streams.setdefault(name, _Stream())
            stream.state, stream.error = _Is.DENIED, None
            self._denied[name] = (why, what)
            self._tell()

    def closed(self, name: str) -> None:
        """A stream is not needed any more."""
        with self._lock:
            self._streams.pop(name, None)
            self._denied.pop(name, None)
            self._tell()

    def remark(self, topic: str, words: str) -> None:
        """Say something beside the state, as long as it holds; "" takes it back."""
        with self._lock:
            if self._remarks.get(topic, "") != words:
                self._remarks[topic] = words
                self._tell()

    def _tell(self) -> None:
        connection = self._connection()
        before = self._published
        if before is not None and before.state is connection.state:
            wait = connection.retry_in
            if wait is not None:  # it counts from `since`
                wait = round(wait + connection.since - before.since, 1)
            connection = replace(connection, since=before.since, retry_in=wait)
        if connection != before:
            self._published = connection
            self._emit(connection)

    def _connection(self) -> Connection:
        streams = self._streams.values()
        broken = [item for item in streams if item.state is _Is.DOWN]
        remarks = [words for words in self._remarks.values() if words]
        reasons = sorted({why for why, _ in self._denied.values()})
        missing = "; ".join(
            f"{reason}: {', '.join(sorted(what for why, what in self._denied.values() if why == reason))}"
            for reason in reasons
        )
        if broken:
            return self._broken(broken, remarks)
        opening = any(item.state is _Is.OPENING for item in streams)
        delivering = any(item.state is _Is.LIVE for item in streams)
        all_denied = bool(streams) and not opening and not delivering
        if all_denied:
            state = ConnectionState.FAILED
        elif opening and not (self._was_live and delivering):
            state = ConnectionState.CONNECTING
        else:
            state, self._was_live = ConnectionState.LIVE, True
            if self._published is None or self._published.state is not state:
                self._last_live = time.time()
        return Connection(
            backend=self._backend,
            state=state,
            endpoint=self._endpoint,
            version=self._version,
            message="; ".join((*([missing] if missing else []), *remarks)),
            hint="`kubectl auth can-i --list` shows what this user may." if missing else "",
            since=time.time(),
            last_live=self._last_live,
        )

    def _broken(self, broken: list[_Stream], remarks: list[str]) -> Connection:
        now = time.monotonic()
        waiting = [item for item in broken if item.next_try > now]  # the others are trying just now
        first = min(waiting or broken, key=lambda item: item.next_try)
        error = first.error
        heals = isinstance(error, KubeError) and not isinstance(error, Unauthorized | BadKubeconfig | Forbidden)
        if self._last_live is None or not heals:
            state = ConnectionState.FAILED
        else:
            # Streams break and come back one by one: what is being retried is not called fresh-lost again.
            again = self._published is not None and self._published.state is ConnectionState.RETRYING
            again = again or max(item.tries for item in broken) > 1
            state = ConnectionState.RETRYING if again else ConnectionState.STALE
        if isinstance(error, DevenvError):
            message, hint = error.message, error.hint
        else:
            message, hint = sanitize(f"internal error: {type(error).__name__}: {error}"), ""
        return Connection(
            backend=self._backend,
            state=state,
            endpoint=self._endpoint,
            version=self._version,
            message="; ".join((message, *remarks)),
            hint=hint,
            since=time.time(),
            last_live=self._last_live,
            retry_in=round(first.next_try - now, 1) if waiting else None,
        )
