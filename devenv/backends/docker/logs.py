"""The logs of single containers, followed through restarts of the container and of the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from devenv.backends.docker import parse
from devenv.backends.docker.client import RawStream, connect, engine_errors, inspect
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.events import EngineEvent
from devenv.backends.docker.lines import FrameParser, FramingError, LineAssembler, Resume
from devenv.backends.docker.plain import PlainStream
from devenv.backends.streams import Buffer, Flood, Stream
from devenv.core.errors import DevenvError
from devenv.core.model import LogLine, Resource, State
from devenv.core.text import sanitize

if TYPE_CHECKING:
    from docker import APIClient

MakeAssembler = Callable[[str], LineAssembler]
LOOK_AGAIN: Final = 60.0  # seconds; a start that no event reported is seen by asking


class LogReader:
    """Reads one container's log until the container is removed. `run` and `down` belong to a Stream."""

    def __init__(
        self,
        key: str,
        tail: int,
        endpoint: Callable[[], Endpoint],
        buffer: Buffer,
        *,
        since: float | None = None,
        assembler: MakeAssembler = LineAssembler,
    ) -> None:
        self._key = key
        self._since = since
        self._assembler = assembler
        self._id = key.removeprefix("docker/")
        self._tail = tail
        self._endpoint = endpoint
        self._buffer = buffer
        self._resume = Resume()
        self._started = threading.Event()
        self._exit_code: int | None = None  # of the last death; after a quick restart an inspection tells none
        self._lost = False

    def notice(self, event: EngineEvent) -> None:
        """Take note of an event of this container, from the thread of the events."""
        if event.action == "die":
            self._exit_code = event.exit_code
        elif event.action in ("start", "destroy"):
            self._started.set()

    def run(self, stream: Stream) -> None:
        """Follow the log; returns when the connection is to be made anew, finishes when the container is gone."""
        endpoint = self._endpoint()
        client = connect(endpoint)
        try:
            while not stream.stopping:
                self._started.clear()
                before = self._inspect(client, endpoint)
                if before is None:
                    return self._end(stream)
                if not self._follow(stream, client, endpoint, before):
                    return None
                after = self._inspect(client, endpoint)
                if after is None:
                    return self._end(stream)
                self._say_stopped(before, after)
                if after.state is State.RUNNING and after.started_at == before.started_at:
                    return None  # it runs and its log ended: only a new connection helps
                if not after.state.is_up:
                    self._wait_for_start(stream, client, endpoint)
                elif after.state is State.RESTARTING:
                    stream.wait_until(self._started, LOOK_AGAIN)
        finally:
            client.close()
        return None

    def down(self, error: Exception | None, pause: float) -> None:
        """Say once, in the log itself, that it cannot be read at the moment."""
        if self._lost:
            return
        self._lost = True
        if error is None:
            reason = "the connection ended"
        else:
            reason = error.message if isinstance(error, DevenvError) else f"{type(error).__name__}: {error}"
        self._mark(f"log interrupted: {reason}")

    def _follow(self, stream: Stream, client: APIClient, endpoint: Endpoint, container: Resource) -> bool:
        """Read until the engine ends the log; False for a connection that broke off."""
        params: dict[str, str | int] = {"stdout": 1, "stderr": 1, "follow": 1, "timestamps": 1}
        params |= self._resume.params(self._tail)
        if self._since is not None:
            params.setdefault("since", f"{self._since:.9f}")
        raw = RawStream(client, endpoint, f"/containers/{self._id}/logs", params)
        try:
            with stream.closing(raw.shutdown):
                stream.succeeded()
                if self._lost:
                    self._lost = False
                    self._mark("log continues")
                self._read(stream, raw, tty=container.tty)
        finally:
            raw.close()
        return raw.ended_well

    def _read(self, stream: Stream, raw: RawStream, *, tty: bool) -> None:
        frames, lines = FrameParser(), self._assembler(self._key)
        tty = _is_raw(raw, tty=tty)
        flood = Flood()
        while (data := raw.read()) and not stream.stopping:
            try:
                self._put(lines.feed_raw(data) if tty else lines.feed_frames(frames.feed(data)))
            except FramingError as error:
                self._mark(f"the engine sent something that is no log: {error}")
                return
            flood.heard()
        self._put(lines.flush())

    def _put(self, lines: list[LogLine]) -> None:
        self._buffer.put_lines(self._resume.new_of(lines))

    def _inspect(self, client: APIClient, endpoint: Endpoint) -> Resource | None:
        from docker.errors import NotFound

        with engine_errors(endpoint):
            try:
                data = inspect(client, self._id)
            except NotFound:
                return None
        return parse.from_inspect(data)

    def _wait_for_start(self, stream: Stream, client: APIClient, endpoint: Endpoint) -> None:
        while not stream.wait_until(self._started, LOOK_AGAIN):
            now = self._inspect(client, endpoint)
            if now is None or now.state.is_up:
                return

    def _say_stopped(self, before: Resource, after: Resource) -> None:
        if after.finished_at is None or after.finished_at == before.finished_at:
            return  # it runs as it did, was stopped before, or was started for the first time meanwhile
        exit_code = after.exit_code if after.exit_code is not None else self._exit_code
        code = f" with code {exit_code}" if exit_code is not None else ""
        out_of_memory = ", out of memory" if after.oom_killed else ""
        again = ", and started again" if after.state is State.RUNNING else ""
        self._mark(f"container exited{code}{out_of_memory}{again}", at=after.finished_at)

    def _end(self, stream: Stream) -> None:
        self._mark("container removed")
        stream.finish()

    def _mark(self, text: str, *, at: float | None = None) -> None:
        self._buffer.put(LogLine(self._key, at or time.time(), "devenv", sanitize(text)))


def _is_raw(raw: RawStream | PlainStream, *, tty: bool) -> bool:
    """Whether the stream has no frames; before API 1.42 the container's setting is all there is."""
    return "raw-stream" in raw.content_type if "-stream" in raw.content_type else tty


def read_log(
    endpoint: Endpoint, container: Resource, params: Mapping[str, str | int], lines: LineAssembler, timeout: float
) -> Iterator[list[LogLine]]:
    """Yield what a container has printed so far, as these parameters of the Engine API choose it.

    `timeout` in seconds is for each answer to begin. Raises EngineUnreachable, and DevenvError for a log that cannot
    be read.
    """
    with ExitStack() as stack:
        raw = _open_log(endpoint, container, {"stdout": 1, "stderr": 1, "timestamps": 1, **params}, timeout, stack)
        frames, tty = FrameParser(), _is_raw(raw, tty=container.tty)
        while data := raw.read():
            yield lines.feed_raw(data) if tty else lines.feed_frames(frames.feed(data))
        yield lines.flush()


def _open_log(
    endpoint: Endpoint, container: Resource, params: Mapping[str, str | int], timeout: float, stack: ExitStack
) -> RawStream | PlainStream:
    """Open it, by the SDK only where it must be: to import that takes longer than to read a short log."""
    path = f"/containers/{container.container_id}/logs"
    if endpoint.scheme == "unix":
        with suppress(OSError, ValueError):  # whatever it is, the SDK meets it next and says it in full
            return stack.enter_context(closing(PlainStream(endpoint, f"{path}?{urlencode(params)}")))
    client = stack.enter_context(closing(connect(endpoint, timeout)))
    return stack.enter_context(closing(RawStream(client, endpoint, path, params)))


class LogReaders:
    """The logs that are followed now, one thread each; all methods but `notice` belong to the owner's thread."""

    def __init__(
        self, endpoint: Callable[[], Endpoint], buffer: Buffer, assembler: MakeAssembler = LineAssembler
    ) -> None:
        self._endpoint = endpoint
        self._buffer = buffer
        self._assembler = assembler
        self._readers: dict[str, LogReader] = {}
        self._streams: dict[str, Stream] = {}

    def follow(self, keys: Collection[str], tail: int, since: float | None = None) -> None:
        """Follow exactly these containers; a new one from its last lines on (-1: all), or from that time on."""
        containers = {key for key in keys if key.startswith("docker/")}
        for key in self._streams.keys() - containers:
            self._readers.pop(key)
            self._streams.pop(key).stop()
        for key in containers - self._streams.keys():
            reader = LogReader(key, tail, self._endpoint, self._buffer, since=since, assembler=self._assembler)
            stream = Stream(f"docker-log-{key.removeprefix('docker/')[:12]}", reader.run, reader.down)
            self._readers[key], self._streams[key] = reader, stream
            stream.start()

    def notice(self, event: EngineEvent) -> None:
        """Hand an event to the reader of its container, from the thread of the events."""
        reader = self._readers.get(event.key)
        if reader is not None:
            reader.notice(event)

    def hurry(self) -> None:
        """The engine is back: try again now, from the thread of the events."""
        for stream in tuple(self._streams.values()):
            stream.hurry()

    def streams(self) -> tuple[Stream, ...]:
        """All running streams, to be stopped."""
        return tuple(self._streams.values())
