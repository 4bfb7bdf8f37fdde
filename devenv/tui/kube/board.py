"""What the table shows where a cluster is at hand; a change touches the lines that it is about and no other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from devenv.core.model import Resource, Runtime, State
from devenv.core.state import Delta, Store
from devenv.tui.board import HISTORY_KEPT
from devenv.tui.kube.kind_lines import KindLines
from devenv.tui.kube.scaling import ScalingHistory
from devenv.tui.kube.tree import ServiceLines
from devenv.tui.rows import Row, Verdict


class ClusterBoard:
    """Keeps the lines of the services, and of one kind while the command line asked for it."""

    def __init__(self, store: Store, home: str) -> None:
        self.store = store
        self.services = ServiceLines(store, home)
        self.kind: KindLines | None = None
        self._filter_text = ""
        self.scaling = ScalingHistory()
        self.compose: dict[str, Resource] = {}
        self.counts: dict[str, int] = {}  # pods of the cluster by what matters about them
        self._counted: dict[str, str] = {}
        self._history: dict[str, deque[float]] = {}
        self.take(store.since(0), 0.0)

    @property
    def filter_text(self) -> str:
        """Show only what has this text."""
        return self._filter_text

    @filter_text.setter
    def filter_text(self, text: str) -> None:
        self._filter_text = text
        self.lines.filter(text)

    @property
    def verdict(self) -> Verdict:
        """What the smoke tests last said about a Compose service."""
        return self.services.verdict

    @verdict.setter
    def verdict(self, verdict: Verdict) -> None:
        self.services.verdict = verdict
        self.services.forget_rows()  # also while one kind is shown instead of them

    @property
    def shown(self) -> Sequence[Row]:
        """The lines that are shown now, as rows that are made when somebody looks."""
        return self.lines

    def refresh(self, keys: Iterable[str], now: float) -> None:
        """Let the rows be made again: few were made, those that were on screen."""
        self.lines.forget_rows()

    @property
    def lines(self) -> ServiceLines | KindLines:
        """The lines that are shown now."""
        return self.services if self.kind is None else self.kind  # one without lines is false

    def take(self, delta: Delta, now: float) -> None:
        """Bring the lines up to date."""
        compose_changed = False
        for key in delta.removed:
            compose_changed |= self.compose.pop(key, None) is not None
            self._history.pop(key, None)
            self._count(key, "")
            self.services.remove(key)
            if self.kind is not None:
                self.kind.remove(key)
        for resource in delta.updated:
            if resource.runtime is Runtime.COMPOSE:
                self.compose[resource.key] = resource
                compose_changed = True
                continue
            if resource.kind == "pod":
                self._count(resource.key, _word(resource))
            self.services.put(resource)
            if self.kind is not None:
                self.kind.put(resource)
        if compose_changed or any(happening.key in self.compose for happening in delta.happenings):
            self.services.put_compose(self.compose.values())
        self._take_samples(delta)
        self.scaling.take(delta.scalings)

    def _take_samples(self, delta: Delta) -> None:
        compose_measured = False
        for sample in delta.samples:
            if sample.cpu is not None:
                self._history.setdefault(sample.key, deque(maxlen=HISTORY_KEPT)).append(sample.cpu)
            if sample.key in self.compose:
                compose_measured = True
                continue
            self.services.sample(sample)
            if self.kind is not None:
                self.kind.sample(sample)
        if compose_measured:
            self.services.put_compose(self.compose.values())

    def show_kind(self, kind: str, *, all_namespaces: bool) -> None:
        """Show the objects of one kind; "" goes back to the services."""
        self.kind = KindLines(self.store, kind, all_namespaces=all_namespaces) if kind else None
        self.lines.filter(self.filter_text)

    def move(self, home: str) -> None:
        """Join the services of another namespace with those of the Compose project."""
        self.services.clear_cluster(home)
        self.scaling.clear()
        for resource in self.store.resources.values():
            if resource.runtime is Runtime.KUBERNETES:
                self.services.put(resource)

    def history(self, key: str) -> tuple[float, ...]:
        """The newest processor uses of that resource, oldest first."""
        return tuple(self._history.get(key, ()))

    def _count(self, key: str, word: str) -> None:
        before = self._counted.pop(key, "")
        if before:
            self.counts[before] -= 1
        if word:
            self._counted[key] = word
            self.counts[word] = self.counts.get(word, 0) + 1


def _word(pod: Resource) -> str:
    if pod.state in (State.RESTARTING, State.DEAD):
        return "crashing"
    if pod.state is State.EXITED:
        return "ended"
    if pod.state is State.RUNNING:
        return "ready" if pod.ready is None or pod.ready[0] >= pod.ready[1] else "not ready"
    return "terminating" if pod.state is State.REMOVING else "pending"
