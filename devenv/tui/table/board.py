"""What the table shows: the lines of the services or of one kind; a change touches those that it is about, no other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from devenv.core.model import Resource, Runtime, Sample, Scaling, State
from devenv.core.state import Delta, Store
from devenv.tui.table.cells import RELOADS
from devenv.tui.table.groups import Group
from devenv.tui.table.lines import Lines, Row
from devenv.tui.table.services import ServiceLines, Verdict

if TYPE_CHECKING:
    from devenv.tui.table.arrangement import Order
    from devenv.tui.table.filter import RowFilter
    from devenv.tui.table.kinds import KindLines

HISTORY_KEPT: Final = 150  # samples of one resource: five minutes of a container's, one each 2 s
# Two hours of the controller's 15 s (kube-controller-manager, --horizontal-pod-autoscaler-sync-period).
SCALINGS_KEPT: Final = 480


class Board:
    """Keeps the lines of the services, and of one kind while the command line asked for it."""

    def __init__(self, store: Store, *, long_names: bool = False) -> None:
        """`long_names` says that there may be a cluster."""
        self.store = store
        self.services = ServiceLines(store, long_names=long_names)
        self.kind: KindLines | None = None
        self.scaling = ScalingHistory()
        self.compose: dict[str, Resource] = {}
        self.counts: dict[str, int] = {}  # pods of the cluster by what matters about them
        self._counted: dict[str, str] = {}
        self._history: dict[str, deque[Sample]] = {}
        self.orders: dict[str, Order | None] = {}  # by the kind that is shown; "" for services
        self._only: RowFilter | None = None
        self._filter_problem = ""
        self.take(store.since(0))

    @property
    def filter_text(self) -> str:
        """What the lines are filtered by (`devenv.tui.table.filter`); "" shows everything.

        Where that is no expression, or takes too long, what was shown before stays.
        """
        return self._only.text if self._only is not None else ""

    @filter_text.setter
    def filter_text(self, text: str) -> None:
        self._filter_problem, before = "", self._only
        if text:
            from devenv.tui.table.filter import RowFilter

            try:
                self._only = RowFilter(text)
            except ValueError as error:
                self._filter_problem = str(error)
                return
        else:
            self._only = None
        self.lines.filter(self._only)
        if self._only is not None and self._only.problem:
            self._filter_problem, self._only = self._only.problem, before
            self.lines.filter(before)

    @property
    def filter_problem(self) -> str:
        """What is wrong with the text that was given last, in words."""
        return self._filter_problem or (self._only.problem if self._only is not None else "")

    @property
    def order(self) -> Order | None:
        """What the lines are sorted by; None: by name."""
        return self.lines.order

    @order.setter
    def order(self, order: Order | None) -> None:
        self.orders[self.kind.kind if self.kind is not None else ""] = order
        if order is not None and self.kind is None and self.services.arrangement:
            self.services.arrange("")
        self.lines.sort(order)

    def arrange_next(self) -> None:
        """Put the services by name, as a tree of what they depend on, by profile, and by name again."""
        from devenv.tui.table.arrangement import ARRANGEMENTS

        index = ARRANGEMENTS.index(self.services.arrangement)
        if self.kind is None:
            self.order = None
            self.services.arrange(ARRANGEMENTS[(index + 1) % len(ARRANGEMENTS)])

    def sort_next(self, columns: Sequence[str]) -> None:
        """Sort by the next of the columns that are shown; after the last one, by name."""
        from devenv.tui.table.arrangement import next_order

        self.order = next_order(self.order, columns)

    def sort_other_way(self, columns: Sequence[str]) -> None:
        """Turn the order round."""
        from devenv.tui.table.arrangement import turned

        self.order = turned(self.order, columns)

    def sort_by(self, column: str, columns: Sequence[str]) -> None:
        """Sort by that column; where they are sorted by it already, the other way."""
        from devenv.tui.table.arrangement import begun, turned

        same = column == (self.order.column if self.order is not None else columns[0])
        self.order = turned(self.order, columns) if same else begun(column)

    def show_verdicts(self, verdict: Verdict, *, any_known: bool) -> None:
        """Show what the smoke tests last said about a service, in a column of its own once they said anything."""
        self.services.verdict = verdict
        self.services.show_verdicts(any_known)  # also while one kind is shown instead of them

    @property
    def lines(self) -> Lines:
        """The lines that are shown now, as rows that are made when somebody looks."""
        return self.services if self.kind is None else self.kind  # one without lines is false

    def take(self, delta: Delta) -> None:
        """Bring the lines up to date."""
        ours = set()  # of Compose: what changed
        for key in delta.removed:
            self._history.pop(key, None)
            if self.compose.pop(key, None) is not None:
                ours.add(key)
                continue
            self._count(key, "")
            self.services.remove(key)
            if self.kind is not None:
                self.kind.remove(key)
        for resource in delta.updated:
            if resource.runtime is Runtime.COMPOSE:
                self.compose[resource.key] = resource
                ours.add(resource.key)
                continue
            if resource.kind == "pod":
                self._count(resource.key, _word(resource))
            self.services.put(resource)
            if self.kind is not None:
                self.kind.put(resource)
        if ours:
            self.services.put_compose(self.compose.values(), ours)
        for happening in delta.happenings:
            if happening.action in RELOADS:
                self.services.reloaded(happening)
            elif happening.key in self.compose:
                self.services.changed(happening.key)
        for sample in delta.samples:
            self._history.setdefault(sample.key, deque(maxlen=HISTORY_KEPT)).append(sample)
            self.services.changed(sample.key)
            if self.kind is not None:
                self.kind.changed(sample.key)
        self.scaling.take(delta.scalings)

    def show_kind(self, kind: str, *, all_namespaces: bool) -> None:
        """Show the objects of one kind; "" goes back to the services."""
        if kind:
            from devenv.tui.table.kinds import KindLines

            self.kind = KindLines(self.store, kind, all_namespaces=all_namespaces)
        else:
            self.kind = None
        self.lines.sort(self.orders.get(kind))
        self.lines.filter(self._only)

    def move(self, home: str) -> None:
        """Join the services of another namespace with those of the Compose project."""
        self.services.clear_cluster(home)
        self.scaling.clear()
        for resource in self.store.resources.values():
            if resource.runtime is Runtime.KUBERNETES:
                self.services.put(resource)

    def group_of(self, row: Row) -> Group | None:
        """Return the service that the row stands for as a whole, by itself or by its one workload."""
        if row.group is not None:
            return self.services.groups.get(row.group)
        resource = self.store.resource(row.key)
        return self.services.group_of_workload(resource) if resource is not None else None

    def measured(self, row: Row) -> Iterable[str]:
        """Return whose samples a row shows: of a service, those of all that it is made of."""
        group = self.group_of(row)
        return (row.key,) if group is None else group.sources()

    def history(self, key: str) -> tuple[Sample, ...]:
        """The newest samples of that resource, oldest first."""
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


class ScalingHistory:
    """The newest moments of each autoscaler."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Scaling]] = {}

    def take(self, scalings: Iterable[Scaling]) -> None:
        """Keep these moments."""
        for scaling in scalings:
            self._kept.setdefault(scaling.key, deque(maxlen=SCALINGS_KEPT)).append(scaling)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the autoscalers that were heard of."""
        return tuple(self._kept)

    def of(self, key: str) -> tuple[Scaling, ...]:
        """Return the moments of that autoscaler, oldest first."""
        return tuple(self._kept.get(key, ()))

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


def autoscaler(resource: Resource, store: Store, history: ScalingHistory) -> str | None:
    """Return the key of the autoscaler that a workload has, or of the one that the resource is."""
    if resource.kind == "horizontalpodautoscaler":
        return resource.key
    for key in history.keys:
        scaler, scaling = store.resource(key), store.scaling(key)
        if scaler is None or scaling is None or scaler.namespace != resource.namespace:
            continue
        if scaling.target.casefold() == f"{resource.kind}/{resource.name}":
            return key
    return None
