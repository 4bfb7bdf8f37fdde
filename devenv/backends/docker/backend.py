"""The Docker Engine as a backend: wires the event stream, the inspections, the logs and the statistics together.

Nothing here imports the docker SDK; the threads do, when they connect.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from devenv.backends.docker.cache import BACKEND, ContainerCache, absent_services
from devenv.backends.docker.endpoint import Endpoint, published_at, resolve_endpoint
from devenv.backends.docker.lines import LineAssembler
from devenv.backends.docker.logs import LogReaders, MakeAssembler
from devenv.backends.docker.plain import Prefetch, list_plainly
from devenv.backends.docker.sampler import Sampler
from devenv.backends.docker.watcher import Inspector, Watcher
from devenv.backends.streams import LINES_KEPT, Buffer, Stream
from devenv.core.errors import DevenvError
from devenv.core.model import Change, Port, Project, Resource, Snapshot

if TYPE_CHECKING:
    from devenv.backends.look import Seen, Subject

STOP_WITHIN: Final = 1.0  # seconds, as the protocol promises
GLANCE: Final = 0.1  # seconds: an engine that is well needs a tenth of it
LOOK: Final = 0.5  # seconds between two looks whether the project changed


class DockerBackend:
    """Reads one Compose project from the engine that the docker CLI would use."""

    def __init__(
        self,
        scope: Callable[[], Project],
        environ: Mapping[str, str] = os.environ,
        inactive: Callable[[], Collection[str]] = frozenset[str],
        changed: Callable[[], bool] | None = None,
        *,
        lines: int = LINES_KEPT,
        assembler: MakeAssembler = LineAssembler,
    ) -> None:
        """`inactive` tells the services that only profiles which are not active have.

        So many `lines` wait at most until they are drained; `assembler` makes them of a log's bytes.
        `changed` is asked now and then whether `scope` would give another project now; then it is asked for it.
        """
        self._environ = environ
        self._buffer = Buffer(lines=lines)
        self._cache = ContainerCache(self._buffer.put, inactive)
        self._inspector = Inspector(self._cache, self._endpoint)
        self._logs = LogReaders(self._endpoint, self._buffer, assembler)
        self._sampler = Sampler(self._cache, self._endpoint, self._buffer)
        self._prefetch = Prefetch(scope, self._endpoint)
        self._watcher = Watcher(
            self._cache,
            self._prefetch.project,
            endpoint=self._endpoint,
            emit=self._buffer.put,
            inspect=self._inspector.ask,
            notice=self._logs.notice,
            went_live=self._hurry,
        )
        self._events = Stream("docker-events", self._watcher.run, self._watcher.down)
        # These two have nothing to say when they fail: the connection that matters is that of the events.
        self._inspections = Stream(
            "docker-inspections",
            lambda stream: self._inspector.run(stream, self._watcher, self._events.interrupt),
            lambda error, pause: None,
        )
        self._samples = Stream(
            "docker-samples", lambda stream: self._sampler.run(stream, self._watcher.live), lambda error, pause: None
        )
        self._changed = changed
        self._files = Stream("compose-files", self._look_at_files, lambda error, pause: None)

    @property
    def name(self) -> str:
        """The backend's name in all its records."""
        return BACKEND

    def prefetch(self) -> None:
        """Resolve the project and read a first list now, before `start` and without the SDK."""
        self._prefetch.begin(self._cache.load)

    def glance(self, project: Project, inactive: Collection[str]) -> Snapshot | None:
        """Return what runs of a project that was resolved some time ago; None where that takes longer."""
        try:
            listed = list_plainly(self._endpoint(), project.name, GLANCE)
        except DevenvError:
            return None
        return None if listed is None else Snapshot(BACKEND, (*listed, *absent_services(project, listed, inactive)))

    def start(self, wake: Callable[[], None]) -> None:
        """Start the threads."""
        self._buffer.set_wake(wake)
        for stream in self._own_streams():
            stream.start()

    def stop(self) -> None:
        """Close everything from outside and wait at most a second for the threads."""
        streams = self.streams()
        for stream in streams:
            stream.stop()
        deadline = time.monotonic() + STOP_WITHIN
        for stream in streams:
            stream.join(max(0.0, deadline - time.monotonic()))

    def drain(self) -> list[Change]:
        """Take everything that arrived."""
        return self._buffer.drain()

    def watch_stats(self, keys: Collection[str]) -> None:
        """Sample exactly these containers."""
        self._sampler.watch(keys)

    def follow_logs(self, keys: Collection[str], tail: int = 500, since: float | None = None) -> None:
        """Follow exactly these containers' logs; a stopped one's too, and on when it starts.

        A newly followed one begins with the last `tail` lines (ALL_LINES: no limit) of those written `since` that many
        seconds.
        """
        self._logs.follow(keys, tail, None if since is None else time.time() - since)

    def watch_detail(self, key: str | None) -> None:
        """Keep this container's health-check log fresh."""
        self._inspector.watch(key)

    def look(self, resource: Resource, subject: Subject) -> Seen:
        """Read one thing about a container; blocks, raises DevenvError."""
        from devenv.backends.docker.look import look  # when somebody looks

        return look(self._endpoint(), resource, subject)

    def address(self, port: Port) -> str:
        """Return the host at which a published port is reached from here."""
        return published_at(port, self._endpoint()) if port.host is not None else ""

    def _endpoint(self) -> Endpoint:
        return resolve_endpoint(self._environ)

    def _hurry(self) -> None:
        """The engine is back: nobody waits for the end of a pause."""
        for stream in (self._inspections, self._samples):
            stream.hurry()
        self._logs.hurry()

    def streams(self) -> tuple[Stream, ...]:
        """Return every stream that was opened, those of logs too."""
        return (*self._own_streams(), *self._logs.streams())

    def _own_streams(self) -> tuple[Stream, ...]:
        return (self._events, self._inspections, self._samples, *((self._files,) if self._changed else ()))

    def _look_at_files(self, stream: Stream) -> None:
        never = threading.Event()
        while self._changed is not None:
            stream.wait_until(never, LOOK)
            self._cache.show_inactive()
            if self._changed():
                self._prefetch.forget()
                if not self._watcher.reread():
                    self._events.interrupt()
                    self._events.hurry()
