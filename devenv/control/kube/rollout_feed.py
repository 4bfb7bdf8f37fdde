"""The watches behind a wait: one list-watch for each kind that matters, all told in order to one queue."""

from __future__ import annotations

import queue
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError
from devenv.backends.kube.kinds import (
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Kind,
)
from devenv.backends.kube.listwatch import ListWatch
from devenv.backends.streams import Backoff, Stream
from devenv.control.kube.rollout_view import Key, RolloutView

_WORKLOADS: Final = {"deployment": DEPLOYMENTS, "statefulset": STATEFUL_SETS, "daemonset": DAEMON_SETS, "job": JOBS}
JOIN: Final = 2.0  # seconds that closing waits for a thread; its connection is closed by then


@dataclass(frozen=True, slots=True)
class News:
    """One thing that a watch told. `kind` is in lower case; `what`: put, remove, listed, live, down."""

    kind: str
    namespace: str
    what: str
    item: Any = None

    def into(self, view: RolloutView) -> None:
        """Let the view take it."""
        if self.what == "put":
            view.put(self.kind, self.item)
        elif self.what == "remove":
            view.remove(self.kind, self.item)
        elif self.what == "listed" and self.kind != "event":
            view.keep_only(self.kind, self.item)


def kinds_for(workloads: Collection[Key]) -> dict[str, tuple[Kind, bool]]:
    """Return what to watch in one namespace for these workloads, and whether the wait is impossible without it."""
    found = {kind: (_WORKLOADS[kind], True) for kind in dict.fromkeys(key[0] for key in workloads)}
    if "deployment" in found:
        found["replicaset"] = (REPLICA_SETS, True)
    return {**found, "pod": (PODS, False), "event": (EVENTS, False)}


class RolloutFeed:
    """Runs the watches. A kind that the account may not read is told as `down` with Forbidden, and given up."""

    def __init__(self, client: KubeClient, workloads: Collection[Key]) -> None:
        self.news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self.lists: set[tuple[str, str]] = set()  # what is listed before anything is judged
        self.needed: set[tuple[str, str]] = set()  # without which a wait is impossible
        self._streams: list[Stream] = []
        for namespace in sorted({key[1] for key in workloads}):
            here = [key for key in workloads if key[1] == namespace]
            for name, (kind, needed) in kinds_for(here).items():
                self.lists.add((name, namespace))
                if needed:
                    self.needed.add((name, namespace))
                self._streams.append(self._stream(client, kind, name, namespace))

    def start(self) -> None:
        """Open all watches."""
        for stream in self._streams:
            stream.start()

    def close(self) -> None:
        """Close all watches and wait a moment for their threads."""
        for stream in self._streams:
            stream.stop()
        for stream in self._streams:
            stream.join(JOIN)

    def _stream(self, client: KubeClient, kind: Kind, name: str, namespace: str) -> Stream:
        def tell(what: str, item: Any = None) -> None:
            self.news.put(News(name, namespace, what, item))

        def page(items: list[dict[str, Any]], first: bool) -> None:
            for item in items:
                tell("put", item)

        def event(what: str, item: dict[str, Any]) -> None:
            tell("remove" if what == "DELETED" else "put", item)

        watch = ListWatch(
            client,
            kind,
            namespace,
            on_page=page,
            on_listed=lambda uids: tell("listed", uids),
            on_event=event,
            on_live=lambda: tell("live"),
        )

        def run(stream: Stream) -> None:
            try:
                watch.run(stream)
            except Forbidden as error:
                stream.finish()
                tell("down", error)

        def down(error: Exception | None, pause: float) -> None:
            if error is not None:
                told = error if isinstance(error, KubeError) else KubeError(f"reading {kind.plural} failed: {error!r}")
                tell("down", told)

        return Stream(f"rollout-{name}-{namespace}", run, down, backoff=Backoff(longest=5.0))
