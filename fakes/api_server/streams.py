"""The open streams of a server: watches that can be cut, and the log lines of containers."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

from devenv.backends.kube.kinds import Kind


@dataclass(eq=False)
class OpenWatch:
    kind: Kind
    cut: str = ""  # "end": with the last chunk; "reset": in the middle


@dataclass
class Watches:
    """The watches that are open now."""

    _open: set[OpenWatch] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, kind: Kind) -> OpenWatch:
        watch = OpenWatch(kind)
        with self._lock:
            self._open.add(watch)
        return watch

    def done(self, watch: OpenWatch) -> None:
        with self._lock:
            self._open.discard(watch)

    def count(self, plural: str = "") -> int:
        """How many are open, of one kind or of all."""
        with self._lock:
            return sum(1 for watch in self._open if plural in ("", watch.kind.plural) and not watch.cut)

    def cut(self, how: str = "end", plural: str = "") -> None:
        """End the open ones: "end" as after timeoutSeconds, "reset" by closing the connection in the middle."""
        with self._lock:
            for watch in self._open:
                if plural in ("", watch.kind.plural):
                    watch.cut = how


class Logs:
    """Lines of containers by (namespace, pod, container): (nanoseconds since 1970, text)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: dict[tuple[str, str, str, bool], list[tuple[int, str]]] = defaultdict(list)
        self._ended: set[tuple[str, str, str]] = set()
        self._cuts = 0
        self._seen: dict[int, int] = {}

    def write(
        self,
        pod: str,
        *texts: str,
        namespace: str = "default",
        container: str = "",
        at: int = 0,
        previous: bool = False,
    ) -> None:
        """Append lines; `container` "" is the one that is called like the pod's workload: "main"."""
        with self._changed:
            lines = self._lines[(namespace, pod, container or "main", previous)]
            for number, text in enumerate(texts):
                lines.append(((at or time.time_ns()) + number, text))
            self._changed.notify_all()

    def end(self, pod: str, *, namespace: str = "default", container: str = "main") -> None:
        """The container ended: followers see the end of its log."""
        with self._changed:
            self._ended.add((namespace, pod, container))
            self._changed.notify_all()

    def restart(self, pod: str, *, namespace: str = "default", container: str = "main") -> None:
        """The container began anew: its lines so far are the previous ones."""
        with self._changed:
            self._lines[(namespace, pod, container, True)] = self._lines.pop((namespace, pod, container, False), [])
            self._ended.discard((namespace, pod, container))

    def cut(self) -> None:
        """Break all followers' connections in the middle."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def lines(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> list[tuple[int, str]]:
        with self._changed:
            return list(self._lines.get((namespace, pod, container, previous), ()))

    def ended(self, namespace: str, pod: str, container: str) -> bool:
        with self._changed:
            return (namespace, pod, container) in self._ended

    def wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait(seconds)

    def cut_since(self, follower: object) -> bool:
        """Whether a cut happened since this follower asked first."""
        with self._changed:
            return self._cuts > self._seen.setdefault(id(follower), self._cuts)
