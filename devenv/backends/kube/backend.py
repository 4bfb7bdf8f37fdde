"""A cluster as a backend: wires the lists, the events, the metrics and the logs of one context together.

Nothing here connects before `start`; the threads do. What is on screen is watched, nothing else.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from devenv.backends.kube.cache import Cache
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.connection_state import ConnectionTracker
from devenv.backends.kube.errors import Forbidden, KubeError, NotFound
from devenv.backends.kube.events import EventLog
from devenv.backends.kube.kinds import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    HPAS,
    INGRESSES,
    JOBS,
    NODES,
    PODS,
    PVCS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Kind,
)
from devenv.backends.kube.kubeconfig import Target, contexts, kubeconfig_stamp
from devenv.backends.kube.listwatch import ListWatch
from devenv.backends.kube.logs import PodLogs
from devenv.backends.kube.metrics import Metrics
from devenv.backends.kube.parse import PAGES
from devenv.backends.look import Seen, Subject
from devenv.backends.streams import Buffer, Stream
from devenv.core.model import Change, Connection, ConnectionState, Happening, Port, Resource
from devenv.core.text import sanitize

ASK_AGAIN: Final = 120.0  # seconds; a permission that was given, or a kind that was installed, is noticed then


class KindStream:
    """Reads one kind of objects in one namespace (None: all) until it is stopped."""

    def __init__(
        self,
        client: KubeClient,
        kind: Kind,
        namespace: str | None,
        cache: Cache,
        events: EventLog,
        tracker: ConnectionTracker,
        *,
        began: Callable[[KindStream], None],
        back: Callable[[], None],
    ) -> None:
        self.kind = kind
        self.namespace = namespace if kind.namespaced else None
        self._client = client
        self._cache = cache
        self._events = events
        self._tracker = tracker
        self._began = began  # a list begins: it may be another cluster's
        self._back = back  # the connection is there again: nobody waits for the end of a pause
        self._lock = threading.Lock()  # what arrives after `stop` must not come back into the cache
        self._stopped = False
        self.identity = ""  # of the cluster that the newest list is from
        self._lists = ListWatch(
            client,
            kind,
            self.namespace,
            on_page=self._page,
            on_listed=self._listed,
            on_event=self._event,
            on_live=self._live,
            like=PAGES.get(kind.name),
        )
        self.stream = Stream(f"kube-{kind.full_name}", self._run, self._down)
        self._tracker.opening(self.kind.full_name)

    def start(self) -> None:
        """Start the thread."""
        self.stream.start()

    def stop(self) -> None:
        """End it, and forget what it read."""
        self.stream.stop()
        with self._lock:
            self._stopped = True
            if self.kind is EVENTS:
                self._events.clear()
            else:
                self._cache.drop(self.kind)
        self._tracker.closed(self.kind.full_name)

    def relist(self) -> None:
        """Forget what was read and read it anew, now: another cluster answers."""
        self._lists.relist()
        with self._lock:
            if self.kind is EVENTS:
                self._events.clear()
            else:
                self._cache.drop(self.kind)
        self.stream.interrupt()
        self.stream.hurry()

    def _run(self, stream: Stream) -> None:
        try:
            self._lists.run(stream)
        except (Forbidden, NotFound) as error:
            with self._lock:
                if not self._stopped and self.kind is not EVENTS:
                    self._cache.drop(self.kind)
            self._tracker.denied(self.kind.full_name, self.kind.plural, self._reason(error))
            stream.wait_until(threading.Event(), ASK_AGAIN)

    def _reason(self, error: KubeError) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        if isinstance(error, Forbidden):
            return f"this user may not list{where}"
        return "the cluster does not serve"

    def _down(self, error: Exception | None, pause: float) -> None:
        if not self._stopped:
            self._tracker.down(self.kind.full_name, error, pause)

    def _page(self, items: list[dict[str, Any]], first: bool) -> None:
        if first:
            self._began(self)
        with self._lock:
            if self._stopped:
                return
            if self.kind is EVENTS:
                self._events.page(items, first)
            else:
                self._cache.page(self.kind, items)

    def _listed(self, uids: frozenset[str]) -> None:
        with self._lock:
            if self._stopped:
                return
            if self.kind is EVENTS:
                self._events.listed(uids)
            else:
                self._cache.listed(self.kind, uids)

    def _event(self, event: str, raw: dict[str, Any]) -> None:
        with self._lock:
            if self._stopped:
                return
            if self.kind is EVENTS:
                self._events.changed(event, raw)
            else:
                self._cache.changed(self.kind, event, raw)

    def _live(self) -> None:
        if not self._stopped and self._tracker.live(self.kind.full_name):
            self._back()


STOP_WITHIN: Final = 1.0  # seconds, as the protocol promises
TICK: Final = 3.0  # seconds between two looks at the kubeconfig and at what the clock changes
FIRST_TICK: Final = 0.3
DEFAULT_KINDS: Final = (
    *(PODS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS, JOBS, CRON_JOBS),
    *(HPAS, SERVICES, ENDPOINT_SLICES, INGRESSES, PVCS, EVENTS, NODES),
)


class KubeBackend:
    """Reads one cluster in the namespaces that are on screen, as devenv.backends.protocol.Backend says."""

    def __init__(self, target: Target, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._buffer = Buffer()
        self._kinds: tuple[Kind, ...] = DEFAULT_KINDS
        self._namespace: str | None = target.namespace
        self._running = False
        self._identity = ""
        self._identity_lock = threading.Lock()
        self._streams: dict[Kind, KindStream] = {}
        self._ended: list[Stream] = []
        self._stats: tuple[str, ...] = ()
        self.target = target
        self._aim(target)

    @property
    def name(self) -> str:
        """The backend's name in its records: "kubernetes/<context>"."""
        return self.target.backend

    @property
    def client(self) -> KubeClient:
        """What talks to the cluster now; another one after `switch`."""
        return self._client

    @property
    def namespace(self) -> str | None:
        """The namespace that is read; None for all."""
        return self._namespace

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that are read."""
        return self._kinds

    def start(self, wake: Callable[[], None]) -> None:
        """Start the threads."""
        self._buffer.set_wake(wake)
        self._running = True
        self._begin()

    def stop(self) -> None:
        """Close everything from outside and wait at most a second for the threads."""
        self._running = False
        streams = [item.stream for item in self._streams.values()]
        streams += [self._clock, self._samples, *self._logs.close(), *self._ended]
        for stream in streams:
            stream.stop()
        self._client.close()
        deadline = time.monotonic() + STOP_WITHIN
        for stream in streams:
            stream.join(max(0.0, deadline - time.monotonic()))

    def drain(self) -> list[Change]:
        """Take everything that arrived."""
        return self._buffer.drain()

    def watch_kinds(self, kinds: Collection[Kind], namespace: str | None) -> None:
        """Read exactly these kinds in this namespace (None: in all) from now on; the others are forgotten."""
        self._kinds, self._namespace = tuple(dict.fromkeys(kinds)), namespace
        if self._running:
            self._settle()

    def watch_stats(self, keys: Collection[str]) -> None:
        """Sample exactly these pods, workloads and nodes."""
        self._stats = tuple(key for key in keys if key.startswith("kubernetes:"))
        self._metrics.watch(self._stats)

    def follow_logs(self, keys: Collection[str], tail: int = 500, since: float | None = None) -> None:
        """Follow the logs of exactly these pods, containers ("<pod's key>/<name>") and workloads.

        They begin with the last `tail` lines (ALL_LINES: no limit) of those written `since` that many seconds.
        """
        self._logs.follow(keys, tail, since)

    def watch_detail(self, key: str | None) -> None:
        """Nothing to do: a watch tells all of an object, and `read` gives what is not kept of it."""

    def read(self, key: str = "", *, kind: Kind | None = None, namespace: str = "", name: str = "") -> dict[str, Any]:
        """Return the whole object of that key, or of that kind, namespace and name; blocks. Raises KubeError."""
        if key:
            entry = self._cache.entry(key)
            if entry is None:
                raise NotFound("This object is gone, or is not watched any more", status=404)
            kind, namespace, name = entry.kind, entry.shown.namespace, entry.shown.name
        assert kind is not None, "a key or a kind"
        item: dict[str, Any] = self._client.get(kind.path(namespace or None, name))
        return item

    def look(self, resource: Resource, subject: Subject) -> Seen:
        """Read one thing about an object; blocks, raises DevenvError."""
        from devenv.backends.kube.look import look  # when somebody looks

        return look(self._client, self.read(resource.key), subject)

    def address(self, port: Port) -> str:
        """Return that it is reached nowhere: a port of a cluster is forwarded first."""
        return ""

    def switch(self, target: Target) -> None:
        """Read another context or namespace from now on: everything of the old one is gone."""
        if target.context == self.target.context:
            self.target = target
            self.watch_kinds(self._kinds, target.namespace)
            return
        old, client = self.target, self._client
        self._ended += self._logs.close()
        for kind in tuple(self._streams):
            self._end(kind)
        for stream in (self._clock, self._samples):
            stream.stop()
            self._ended.append(stream)
        client.close()
        message = f"devenv shows {sanitize(target.context.name)} now"
        self._buffer.put(Connection(old.backend, ConnectionState.FAILED, message=message, since=time.time()))
        self._namespace = target.namespace
        self._aim(target)
        if self._running:
            self._begin()

    def pods_of(self, key: str) -> tuple[Resource, ...]:
        """Return the pods of a workload, or the pod itself."""
        return self._cache.pods_of(key)

    def _aim(self, target: Target) -> None:
        self.target = target
        self._identity = ""
        self._client = KubeClient(target, self._environ)
        self._tracker = ConnectionTracker(target.backend, self._buffer.put, sanitize(target.context.server))
        self._cache = Cache(target.backend, target.context.name, self._buffer.put, self._notice)
        self._events = EventLog(self._cache, self._buffer)
        tracker = self._tracker
        self._metrics = Metrics(self._client, self._cache, self._buffer, lambda words: tracker.remark("metrics", words))
        self._metrics.watch(self._stats)
        self._logs = PodLogs(self._client, self._cache, self._buffer)
        metrics = self._metrics
        # These have nothing to say when they fail: the connection that matters is that of the lists.
        self._samples = Stream("kube-metrics", lambda stream: metrics.run(stream, lambda: tracker.is_live), _unheard)
        self._clock = Stream("kube-clock", self._watch_clock, _unheard)

    def _notice(self, pod: Resource, exists: bool) -> None:
        self._logs.notice(pod, exists)

    def _begin(self) -> None:
        self._settle()
        self._clock.start()
        self._samples.start()

    def _settle(self) -> None:
        """Start and stop streams so that exactly what is asked for is read."""
        for kind, item in tuple(self._streams.items()):
            if kind not in self._kinds or item.namespace != (self._namespace if kind.namespaced else None):
                self._end(kind)
        self._ended = [stream for stream in self._ended if stream.alive]
        fresh = [kind for kind in self._kinds if kind not in self._streams]
        for kind in fresh:
            self._streams[kind] = KindStream(
                self._client,
                kind,
                self._namespace,
                self._cache,
                self._events,
                self._tracker,
                began=self._check_identity,
                back=self._hurry,
            )
        # Only now, when the tracker knows all of them: the first must not say that everything is live.
        for kind in fresh:
            self._streams[kind].start()

    def _end(self, kind: Kind) -> None:
        item = self._streams.pop(kind)
        item.stop()
        self._ended.append(item.stream)

    def _hurry(self) -> None:
        """The cluster is back: nobody waits for the end of a pause."""
        for item in tuple(self._streams.values()):
            item.stream.hurry()
        self._logs.hurry()

    def _check_identity(self, reader: KindStream) -> None:
        """A list begins: where it is another cluster's, nothing of the old one may stay, in no list."""
        identity = reader.identity = self._client.identity()
        with self._identity_lock:
            before, self._identity = self._identity, identity
            if not before or before == identity:
                return
        for item in tuple(self._streams.values()):
            if item.identity not in ("", identity):
                item.relist()
        self._cache.drop(reader.kind)
        text = f"another cluster answers as {sanitize(self.target.context.name)}: everything was read anew"
        self._buffer.put(Happening(self.name, time.time(), "ClusterReplaced", text))

    def _watch_clock(self, stream: Stream) -> None:
        """Look at the kubeconfig for a current context that somebody changed, and at objects that should be gone."""
        stamp, began_with = kubeconfig_stamp(self._environ), self._current()
        last = began_with
        cache, tracker, never = self._cache, self._tracker, threading.Event()
        version_asked = False
        while not stream.wait_until(never, TICK if version_asked else FIRST_TICK):
            cache.tick()
            if not version_asked and tracker.is_live:
                version_asked = True
                self._ask_version()
            now = kubeconfig_stamp(self._environ)
            if now == stamp:
                continue
            stamp = now
            current = self._current()
            if current != last:
                last = current
                self._say_context(current, began_with)

    def _ask_version(self) -> None:
        tracker = self._tracker
        tracker.version(sanitize(str(self._client.get("/version").get("gitVersion", ""))))

    def _say_context(self, current: str, began_with: str) -> None:
        mine = sanitize(self.target.context.name)
        if current == began_with:
            self._tracker.remark("context", "")
            return
        text = f"the kubeconfig's current context is {sanitize(current) or 'none'} now; devenv stays with {mine}"
        self._tracker.remark("context", text)
        self._buffer.put(Happening(self.name, time.time(), "ContextChanged", text))

    def _current(self) -> str:
        try:
            return contexts(self._environ).current
        except KubeError as error:
            # It is being written, or broken: the client says so when it needs it.
            return f"({error.message})"


def _unheard(error: Exception | None, pause: float) -> None:
    """What it does is visible elsewhere."""
