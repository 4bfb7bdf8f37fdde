"""The logs of pods: every container, init and previous runs, followed through restarts and broken connections.

A key is a pod's ("kubernetes:<uid>": all its containers, each line with the container's name in front where there are
several), one container's ("kubernetes:<uid>/<container>"), or a workload's: all its pods, also those that come later.
The API gives one container's log a request, with times, and resumes at whole seconds (`sinceTime`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any, Final

from msgspec.structs import replace

from devenv.backends.docker.lines import ALL_LINES, LineAssembler, Resume
from devenv.backends.kube.cache import WORKLOADS, Cache
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, Invalid, KubeError, NotFound
from devenv.backends.kube.fields import mapping, mappings, word
from devenv.backends.kube.kinds import PODS
from devenv.backends.kube.look import environment_of
from devenv.backends.kube.parse.pod import end_words
from devenv.backends.kube.pod import read_container, read_pod
from devenv.backends.streams import Buffer, Flood, Stream
from devenv.core.errors import DevenvError
from devenv.core.model import LogLine, Resource
from devenv.core.text import sanitize


@dataclass(frozen=True, slots=True)
class Run:
    """How one container of a pod is now; `restarts` numbers its runs."""

    restarts: int
    running: bool
    end: str  # of its last run, in words; "" where none has ended
    ended_at: float | None
    over: bool  # the pod has ended, or is an init container's work done: it will not run again


def container_names(pod: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all containers of a pod's object: init first, then those of its life, then debug containers."""
    spec = mapping(pod.get("spec"))
    lists = ("initContainers", "containers", "ephemeralContainers")
    return tuple(word(item.get("name")) for name in lists for item in mappings(spec.get(name)))


def run_of(raw: Mapping[str, Any], container: str) -> Run:
    """Return how that container is, from the pod's object."""
    pod = read_pod(raw)
    debug = map(read_container, mappings(pod.status.get("ephemeralContainerStatuses")))
    item = next((item for item in (*pod.containers, *debug) if item.name == container), None)
    if item is None:
        return Run(restarts=0, running=False, end="", ended_at=None, over=pod.is_finished)
    end = item.last_end
    return Run(
        restarts=item.restarts,
        running=item.running,
        end=end_words(end) if end is not None else "",
        ended_at=end.at if end is not None else None,
        over=pod.is_finished or (item.init and item.ended is not None and item.ended.code == 0),
    )


LOOK_AGAIN: Final = 10.0  # seconds to wait for a container to start, unless the pod's watch tells sooner
MOST: Final = 200  # logs followed at once: a connection and a thread each


class ContainerLog:
    """Reads one container's log until its pod is gone. `run` and `down` belong to a Stream."""

    def __init__(
        self,
        client: KubeClient,
        pod: Resource,
        container: str,
        buffer: Buffer,
        *,
        key: str,
        tail: int,
        prefix: str,
        since: float | None = None,  # time.monotonic() of the first line
    ) -> None:
        self._client = client
        self._pod = pod
        self._container = container
        self._buffer = buffer
        self._key = key
        self._tail = tail
        self._prefix = prefix
        self._since = since
        self._resume = Resume()
        self._changed = threading.Event()
        self._followed = -1  # the run (its restart count) that was read last
        self._waiting = ""
        self._lost = False

    def notice(self) -> None:
        """Take note that the pod changed, from the thread of the pods."""
        self._changed.set()

    def run(self, stream: Stream) -> None:
        """Follow the log; returns when the connection is to be made anew, finishes when there will be no more."""
        while not stream.stopping:
            self._changed.clear()
            try:
                before = self._look()
                if self._followed not in (-1, before.restarts) or (self._followed < 0 and before.restarts):
                    self._previous(stream, before)
                self._followed = before.restarts
                if not self._follow(stream):
                    stream.wait_until(self._changed, LOOK_AGAIN)
                    continue
                after = self._look()
            except NotFound:
                self._mark("pod removed")
                return stream.finish()
            except Forbidden as error:
                self._mark(f"this log may not be read: {error.message}")
                return stream.finish()
            if after.restarts == before.restarts and after.running:
                return None  # it runs and its log ended: only a new connection helps
            if not after.running and after.end:
                self._mark(f"container {self._container} ended: {after.end}", at=after.ended_at)
            if after.over:
                return stream.finish()
            if after.restarts == before.restarts:
                self._wait_for_start(stream, after.restarts)
        return None

    def down(self, error: Exception | None, pause: float) -> None:
        """Say once, in the log itself, that it cannot be read at the moment."""
        if self._lost or error is None:
            return
        self._lost = True
        reason = error.message if isinstance(error, DevenvError) else f"{type(error).__name__}: {error}"
        self._mark(f"log interrupted: {reason}")

    def _look(self) -> Run:
        pod = self._client.get(PODS.path(self._pod.namespace, self._pod.name))
        if f"kubernetes:{pod.get('metadata', {}).get('uid')}" != self._pod.key:
            raise NotFound("another pod has this name now", status=404)
        return run_of(pod, self._container)

    def _wait_for_start(self, stream: Stream, restarts: int) -> None:
        while True:
            self._changed.clear()
            now = self._look()
            if now.running or now.restarts != restarts or now.over:
                return
            stream.wait_until(self._changed, LOOK_AGAIN)

    def _previous(self, stream: Stream, now: Run) -> None:
        """Read what the run before the present one printed and was not read."""
        try:
            self._copy(stream, self._query() | {"previous": True})
        except Invalid:
            self._mark("the log of the run before is gone")
        self._mark(f"container {self._container} ended: {now.end}; started again", at=now.ended_at)

    def _follow(self, stream: Stream) -> bool:
        """Read until the log ends; False where the container has not started yet."""
        try:
            self._copy(stream, self._query() | {"follow": True})
        except Invalid as error:  # 400: "container "web" in pod "x" is waiting to start: ContainerCreating"
            if error.message != self._waiting:
                self._waiting = error.message
                self._mark(error.message)
            return False
        return True

    def _query(self) -> dict[str, Any]:
        query: dict[str, Any] = {"container": self._container, "timestamps": True}
        params = self._resume.params(self._tail)
        if "since" not in params:
            # Counted back from the server's own clock, which ours may differ from.
            age = None if self._since is None else max(1, ceil(time.monotonic() - self._since))
            return query | {"tailLines": None if self._tail == ALL_LINES else self._tail, "sinceSeconds": age}
        since = datetime.fromtimestamp(int(float(params["since"])), UTC)
        return query | {"sinceTime": since.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _copy(self, stream: Stream, query: Mapping[str, Any]) -> None:
        path = PODS.path(self._pod.namespace, self._pod.name, "log")
        lines, flood = LineAssembler(self._key), Flood()
        with self._client.stream(path, query) as chunks, stream.closing(chunks.close):
            chunks.connect()
            stream.succeeded()
            if self._lost:
                self._lost = False
                self._mark("log continues")
            for data in chunks:
                self._put(lines.feed_raw(data))
                flood.heard()
        self._put(lines.flush())

    def _put(self, lines: list[LogLine]) -> None:
        new = self._resume.new_of(lines)
        if self._prefix:
            new = [replace(line, text=self._prefix + line.text) for line in new]
        self._buffer.put_lines(new)

    def _mark(self, text: str, *, at: float | None = None) -> None:
        self._buffer.put(LogLine(self._key, at or time.time(), "devenv", sanitize(self._prefix + text)))


class PodLogs:
    """The logs that are followed now, one thread a container; `follow` belongs to the owner's thread."""

    def __init__(self, client: KubeClient, cache: Cache, buffer: Buffer) -> None:
        self._client = client
        self._cache = cache
        self._buffer = buffer
        self._lock = threading.Lock()
        self._followed: frozenset[str] = frozenset()
        self._tail = 500
        self._since: float | None = None
        self._readers: dict[str, dict[str, ContainerLog]] = {}  # by key and container
        self._streams: dict[str, dict[str, Stream]] = {}
        self._openers: dict[str, Stream] = {}
        self._closed = False

    def follow(self, keys: Collection[str], tail: int, since: float | None = None) -> None:
        """Follow exactly these pods, containers and workloads."""
        with self._lock:
            self._followed = frozenset(key for key in keys if key.startswith("kubernetes:"))
            self._tail = tail
            if since is None or self._since is None:  # named again, it means the same moment
                self._since = None if since is None else time.monotonic() - since
        self._settle()

    def notice(self, pod: Resource, exists: bool) -> None:
        """Take note of a pod that came, changed or went, from the thread of the pods."""
        for name in [name for name in tuple(self._readers) if name.partition("/")[0] == pod.key]:
            for reader in tuple(self._readers[name].values()):
                reader.notice()
        if exists and self._followed and pod.key not in self._openers and self._belongs(pod):
            self._open(pod, pod.key, "")

    def hurry(self) -> None:
        """The cluster is back: try again now."""
        for stream in self.streams():
            stream.hurry()

    def close(self) -> tuple[Stream, ...]:
        """Stop all streams, and open no more: the pods' watch may just be about to. Returns those that are to end."""
        with self._lock:
            self._closed = True
        streams = self.streams()
        for stream in streams:
            stream.stop()
        return streams

    def streams(self) -> tuple[Stream, ...]:
        """All streams."""
        with self._lock:
            each = [stream for streams in self._streams.values() for stream in streams.values()]
            return (*self._openers.values(), *each)

    def _settle(self) -> None:
        pods = dict(self._expanded())
        for key in [key for key in tuple(self._openers) if key not in pods]:
            with self._lock:
                opener = self._openers.pop(key, None)
                ended = [*((opener,) if opener else ()), *self._streams.pop(key, {}).values()]
                self._readers.pop(key, None)
            for stream in ended:
                stream.stop()
        for key, pod in pods.items():
            if key not in self._openers:
                self._open(pod, key, key.partition("/")[2])

    def _expanded(self) -> Iterator[tuple[str, Resource]]:
        for key in self._followed:
            pod_key, _, container = key.partition("/")
            for pod in self._cache.pods_of(pod_key):
                yield (key if container else pod.key), pod

    def _belongs(self, pod: Resource) -> bool:
        """Whether the pod, or a workload above it, is followed."""
        key, seen = pod.key, 0
        while key and seen < 4:
            if key in self._followed:
                return True
            entry = self._cache.entry(key)
            key = entry.shown.owner if entry is not None and entry.shown.kind in (*WORKLOADS, "pod") else ""
            seen += 1
        return False

    def _open(self, pod: Resource, key: str, container: str) -> None:
        self._forget_gone()
        if len(self._openers) >= MOST:
            return
        opener = Stream(f"kube-log-{pod.name}", lambda stream: self._begin(stream, pod, key, container), _unheard)
        with self._lock:
            if self._closed or self._openers.setdefault(key, opener) is not opener:
                return  # the pod's watch and the owner of this found it at the same time
        opener.start()

    def _forget_gone(self) -> None:
        """Drop what is left of pods that are gone: a workload is followed for days, and its pods are replaced."""
        # The cache is asked before the lock is taken: `notice` comes with the cache's lock held.
        gone = [key for key in tuple(self._openers) if self._cache.entry(key.partition("/")[0]) is None]
        with self._lock:
            for key in self._openers.keys() & gone:
                streams = (self._openers[key], *self._streams.get(key, {}).values())
                if not any(stream.alive for stream in streams):
                    for table in (self._openers, self._streams, self._readers):
                        table.pop(key, None)

    def _begin(self, stream: Stream, pod: Resource, key: str, container: str) -> None:
        """Learn which containers the pod has, and start a reader of each."""
        try:
            raw = self._client.get(PODS.path(pod.namespace, pod.name))
            environment_of(self._client, raw)  # what is secret in it is masked in its lines
            names = (container,) if container else container_names(raw)
        except NotFound:
            return stream.finish()
        except KubeError as error:
            self._buffer.put(LogLine(key, time.time(), "devenv", f"log not opened: {error.message}"))
            raise
        with self._lock:
            if self._closed or stream.stopping or self._openers.get(key) is not stream:
                return None
            for name in names:
                prefix = f"[{name}] " if len(names) > 1 else ""
                reader = ContainerLog(
                    self._client,
                    pod,
                    name,
                    self._buffer,
                    key=key,
                    tail=self._tail,
                    prefix=prefix,
                    since=self._since,
                )
                follower = Stream(f"kube-log-{pod.name}-{name}", reader.run, reader.down)
                self._readers.setdefault(key, {})[name] = reader
                self._streams.setdefault(key, {})[name] = follower
                follower.start()
        return stream.finish()


def _unheard(error: Exception | None, pause: float) -> None:
    """An opener that failed has said so in the log itself."""
