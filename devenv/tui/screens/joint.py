"""The main screen with a cluster beside the Compose project: what it shows, reads and watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from textual.app import ComposeResult

from devenv.backends.joined import KUBERNETES, JoinedBackend
from devenv.control.joined import JoinedControl
from devenv.core.errors import DevenvError
from devenv.core.model import Change, ConnectionState, Resource, Runtime
from devenv.core.state import Delta, Store
from devenv.tui.kube.board import ClusterBoard
from devenv.tui.kube.differences import Difference, differences, shared_configs
from devenv.tui.kube.groups import Group, GroupKey
from devenv.tui.kube.meant import ROLLED
from devenv.tui.kube.merged_shelf import MergedShelf
from devenv.tui.kube.session import Connector, Session
from devenv.tui.kube.sides import Side, sides
from devenv.tui.rows import Row
from devenv.tui.screens.main import MainScreen
from devenv.tui.shown import shown
from devenv.tui.widgets.banner import Banner
from devenv.tui.widgets.cluster_bar import ClusterBar
from devenv.tui.widgets.long_table import LongTable

LOGS_MERGED: Final = 20  # pods without a workload whose logs are put together
NO_LOG: Final = frozenset({"service", "ingress", "node", "configmap", "secret", "horizontalpodautoscaler"})
Found = tuple[Difference, ...] | str


class JointScreen(MainScreen):
    """Shows services of both runtimes; what it watches in the cluster is what is on screen."""

    TABLE = LongTable

    def __init__(self, backend: JoinedBackend, control: JoinedControl, title: str, connector: Connector) -> None:
        super().__init__(backend, control, title)
        self.connector = connector
        self.session: Session | None = None
        self.adopt(self.store)
        self.cluster_bar = ClusterBar(id="cluster-bar")
        self.cluster_banner = Banner(id="cluster-banner")
        self.runtime_diff = RuntimeDiff(self)
        self.listeners: list[Callable[[Delta], None]] = []  # views that are open above this screen
        self.all_namespaces = False
        self._backend = backend
        self._control = control

    def adopt(self, store: Store) -> None:
        """Show what is in that store; called before the screen is on."""
        self.store = store
        self.joint = ClusterBoard(store, "")
        self.board = self.joint
        self.merged = MergedShelf(self.joint.services.workload_of)
        self.shelf = self.merged

    def compose(self) -> ComposeResult:
        """Add the cluster's line and banner, both hidden until there is something to tell."""
        parts = iter(super().compose())
        yield next(parts)
        yield self.cluster_bar
        yield next(parts)
        yield self.cluster_banner
        yield from parts

    def attach(self, session: Session) -> None:
        """Show a cluster; one that is shown already goes elsewhere by `session.move`."""
        self.session = session
        self.joint.move(session.target.namespace)
        self._control.put(session.control)
        self._backend.add(KUBERNETES, session.backend)
        self._tell_cluster(time.time())
        self._tell_table()
        self.refresh_bindings()

    @property
    def selected_group(self) -> Group | None:
        """The service that the line under the cursor belongs to; None in the table of one kind."""
        table = self.table
        if self.joint.kind is not None or not isinstance(table, LongTable):
            return None
        return self.joint.services.group_at(table.cursor)

    @property
    def selected_cluster(self) -> Resource | None:
        """The cluster's resource that is meant by the line under the cursor: of a joint line, its workload."""
        resource = self.selected
        if resource is not None:
            return resource if resource.runtime is Runtime.KUBERNETES else None
        group = self.selected_group
        if group is None or not self._on_group_line(group):
            return None
        key = next(iter(group.workloads.values()), next(iter(group.pods.values()), ""))
        return self.store.resource(key)

    def sides(self, verb: str) -> list[Side]:
        """Return what a change of the line under the cursor can be meant for; none where it makes no sense there."""
        resource = self.selected
        group = self.selected_group
        if resource is not None:
            return sides(verb, *(((resource,), ()) if resource.runtime is Runtime.COMPOSE else ((), (resource,))))
        if group is None or not self._on_group_line(group):
            return []
        keys = group.workloads.values() or islice(group.pods.values(), 1)
        cluster = self._known(keys) if self.session is not None else ()
        return sides(verb, self._known(group.compose.values()), cluster)

    def _known(self, keys: Iterable[str]) -> list[Resource]:
        return [found for key in keys if (found := self.store.resource(key)) is not None]

    @property
    def selected_service(self) -> tuple[str, str]:
        """Namespace and name of the selected service of the cluster; ("", "") where none is selected."""
        resource = self.selected_cluster
        return (resource.namespace, resource.service or resource.name) if resource is not None else ("", "")

    def _on_group_line(self, group: Group) -> bool:
        row = self.table.selected
        return row is not None and row.key.startswith("group:") and group.has_line

    def take(self, changes: Sequence[Change]) -> Delta:
        """Apply records and draw what they changed."""
        delta = super().take(changes)
        if delta.connections and self.session is not None:
            self.tell_connection()
            self._tell_cluster(time.time())
        if not delta.empty:
            for listener in tuple(self.listeners):
                listener(delta)
        return delta

    def tell_connection(self) -> None:
        """Show what is wrong with the connection to the cluster, else what should be known of it."""
        if self.session is not None:
            self.cluster_banner.tell(self.store.connection(self.session.backend.name), self._note())

    def _note(self) -> tuple[str, str]:
        """Return what should be known of the cluster, and what can be done about it."""
        return "", ""

    def _tick(self) -> None:
        super()._tick()
        self._tell_cluster(time.time())

    def _tell_header(self, now: float) -> None:
        compose = self.joint.compose.values()
        project = next((resource.project for resource in compose if resource.project), self.project_hint)
        self.header.tell(project, self.store.connection(self._backend_name), list(compose), now)
        self._tell_cluster(now)

    def _tell_cluster(self, now: float) -> None:
        session = self.session
        if session is None:
            return
        namespace = "all namespaces" if self.all_namespaces else session.target.namespace
        connection = self.store.connection(session.backend.name)
        kind = self.joint.kind.kind if self.joint.kind is not None else ""
        context = session.target.context.name
        self.cluster_bar.tell(context, namespace, connection, self.joint.counts, session.may_change, kind, now)

    def _placeholder(self) -> str:
        kind = self.joint.kind
        if self.board.filter_text or self.session is None:
            return super()._placeholder()
        connection = self.store.connection(self.session.backend.name)
        if kind is None:
            if connection is None or connection.state is ConnectionState.CONNECTING:
                return f"connecting to {self.session.target.context.name}…"
            live = connection.state is ConnectionState.LIVE
            return super()._placeholder() if live else "nothing to show until the cluster answers"
        if connection is None or connection.state is not ConnectionState.LIVE:
            return "reading…"
        return f"there is no {kind.kind} here; Esc goes back to the services"

    def _waiting(self, row: Row) -> str:
        resource = self.store.resource(row.key)
        if resource is not None and resource.runtime is Runtime.KUBERNETES and resource.kind in NO_LOG:
            return f"a {resource.kind} writes no log"
        return super()._waiting(row)

    def _watch(self) -> None:
        names = self.table.column_names
        measured = "cpu" in names or "memory" in names
        rows = self.table.visible_rows if measured else ()
        self._wanted.stats(key for row in rows if not row.absent for key in self._measured(row))
        row = self.table.selected
        known = row is not None and self.store.resource(row.key) is not None and not row.absent
        self._wanted.detail(row.key if row is not None and known and self.detail_visible else None)

    def _measured(self, row: Row) -> Iterator[str]:
        group = self._group_of(row)
        if group is None:
            yield row.key
            return
        yield from group.compose.values()
        yield from group.workloads.values() or islice(group.pods.values(), LOGS_MERGED)

    def _group_of(self, row: Row) -> Group | None:
        """Return the group that the row stands for as a whole."""
        if self.joint.kind is not None:
            resource = self.store.resource(row.key)
            return self.joint.services.group_of_workload(resource) if resource is not None else None
        index = self.joint.services.find(row.identity)
        group = self.joint.services.group_at(index) if index is not None else None
        if group is None or not group.has_line:
            return None
        return group if row.key.startswith("group:") or row.key in group.workloads.values() else None

    def _follow(self) -> None:
        for key in self.merged.rows:
            group = self.joint.services.group_for(key) if key.startswith("group:") else None
            if group is not None:
                ours = dict.fromkeys(group.compose.values(), "compose")
                theirs = group.workloads.values() or islice(group.pods.values(), LOGS_MERGED)
                filled = self.merged.feed(key, ours | dict.fromkeys(theirs, "k8s"))
                view = self.log_pane.view
                if filled is view.buffer:
                    view.show(filled, view.placeholder)
        super()._follow()

    def _follow_if_created(self, delta: Delta) -> None:
        followed = set(self.merged.keys)
        news = any(resource.key in followed for resource in delta.updated)
        joint = any(key.startswith("group:") for key in self.merged.rows)
        if news or (joint and (delta.updated or delta.removed)):
            self._follow()

    def _exists(self, key: str) -> bool:
        return super()._exists(key.partition("/")[0] if key.startswith(KUBERNETES) else key)

    def _tell_detail(self, delta: Delta | None = None, *, fresh: bool = False) -> None:
        row = self.table.selected
        if self.detail is None or not self.detail_visible or row is None:
            return
        resource = self.store.resource(row.key)
        if resource is not None and resource.runtime is Runtime.COMPOSE:
            super()._tell_detail(delta, fresh=fresh)
        elif delta is None or self._concerns(delta, row):
            self._tell_cluster_detail(row, resource, fresh)

    def show_detail(self) -> None:
        """Show the details anew: something about them became known."""
        self._tell_detail()

    def _concerns(self, delta: Delta, row: Row) -> bool:
        if row.key.startswith("group:"):
            return bool(delta.updated or delta.removed or delta.samples)
        groups = (delta.updated, delta.samples, delta.happenings)
        return any(item.key == row.key for group in groups for item in group)

    def _tell_cluster_detail(self, row: Row, resource: Resource | None, fresh: bool) -> None:
        assert self.detail is not None  # the caller looked
        from devenv.tui.kube import detail

        group = self._group_of(row)
        if resource is None:
            if group is None:
                return
            found = self.runtime_diff.of(group)
            compose, cluster = self._known(group.compose.values()), self._known(group.workloads.values())
            text = detail.describe_joint(group.key.service, compose, cluster, found)
            # All replicas have the same verdict; the one that says more also says why it is stale.
            said = sorted((self._verdicts.detail(known) for known in compose), key=len)
            text += said[-1] if said else []
            for workload in cluster:
                text += self._verdict_of(workload)
            samples = [self.store.sample(known.key) for known in (*compose, *cluster)]
            self.detail.tell(row.title, detail.use_of_all(samples), text, fresh=fresh)
            return
        sample = self.store.sample(row.key)
        owner = self.store.resource(resource.owner) if resource.owner else None
        text = detail.describe(resource, owner, self.store.happenings(row.key), sample, time.time())
        text += self._verdict_of(resource)
        self.detail.tell(row.title, detail.use(sample, self.board.history(row.key)), text, fresh=fresh)

    def _verdict_of(self, resource: Resource) -> list[tuple[str, str]]:
        group = self.joint.services.group_of_workload(resource)
        if group is None or resource.kind not in ROLLED:
            return []
        return self._verdicts.detail(resource, self.joint.services.running(group))

    def say(self, text: str, title: str = "") -> None:
        """Tell something in passing."""
        self.notify(shown(text), title=shown(title), severity="warning", timeout=8, markup=False)


class RuntimeDiff:
    """The differences between the two sides of a service: read in a thread, and kept until one of its sides changes."""

    def __init__(self, screen: JointScreen) -> None:
        self._screen = screen
        self._found: dict[GroupKey, tuple[object, Found]] = {}

    def of(self, group: Group) -> Found:
        """Return the differences of that service; a sentence while they are not known."""
        session = self._screen.session
        workload = self._screen.store.resource(next(iter(group.workloads.values()), ""))
        if session is None or workload is None:
            return "not known: only pods were found in the cluster"
        state = (workload.key, workload.image, workload.facts, tuple(group.compose.values()))
        known = self._found.get(group.key)
        if known is not None and known[0] == state:
            return known[1]
        self._found[group.key] = (state, "reading both sides…")
        self._screen.run_worker(
            lambda: self._read(session, group.key, state, workload),
            thread=True,
            group="differences",
            exit_on_error=False,
        )
        return "reading both sides…"

    def forget(self) -> None:
        """Read anew: another cluster."""
        self._found.clear()

    def _read(self, session: Session, key: GroupKey, state: object, workload: Resource) -> None:
        found: Found
        try:
            service = session.compose_service(key.service)
            whole = session.read(workload)
            configs = {name: session.config_map(workload.namespace, name) for name in shared_configs(whole)}
            found = differences(service, whole, configs)
        except DevenvError as error:
            found = f"not known: {error.message}"
        self._screen.app.call_from_thread(self._take, key, state, found)

    def _take(self, key: GroupKey, state: object, found: Found) -> None:
        self._found[key] = (state, found)
        self._screen.show_detail()
