"""The main screen's controller where there may be a cluster beside the Compose project."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from devenv.backends.protocol import KUBERNETES, Backend, JoinedBackend
from devenv.control.protocol import Control, JoinedControl, ProjectControl
from devenv.core.model import ConnectionState, Resource, Runtime
from devenv.core.state import Delta, Store
from devenv.tui.action_table import ACTIONS, ANY_KIND, UserAction
from devenv.tui.command_line import Places
from devenv.tui.compose_controller import ComposeController
from devenv.tui.dispatch import Handlers
from devenv.tui.kube.cluster_changes import (
    COMPOSE,
    DONE_TO,
    ClusterChanges,
    RuntimeChoice,
    choices,
    preferred,
    runtime_of,
)
from devenv.tui.kube.differences import Differences, read_differences
from devenv.tui.kube.navigation import Choice, Navigation
from devenv.tui.kube.session import ClusterSession, Connector
from devenv.tui.main_screen import MainScreen
from devenv.tui.safe_text import Part, safe
from devenv.tui.table.board import autoscaler
from devenv.tui.table.groups import Group
from devenv.tui.table.lines import GroupKey, Row
from devenv.tui.widgets.bars import Banner, ClusterBar
from devenv.tui.widgets.resource_table import FoldingTable

if TYPE_CHECKING:
    from devenv.backends.kube.kubeconfig import Target
    from devenv.tui.dialogs import Command

NO_LOG: Final = frozenset({"service", "ingress", "node", "configmap", "secret", "horizontalpodautoscaler"})
OBJECT_VIEWS: Final = ("yaml", "describe", "previous", "owners", "rollout", "hpa")
TYPED_IN_PALETTE: Final = (
    *("pods", "deploy", "svc", "nodes", "hpa", "ingresses"),
    *("pvc", "cm", "events", "ns", "ctx", "compose"),
)


class ClusterController:
    """`devenv.tui.dispatch.Controller` of services of both runtimes; what it watches is what is on screen."""

    typed_here = "pods, deploy, svc, hpa, any kind · ns NAME · ctx NAME · restart SERVICE · q"

    def __init__(
        self,
        screen: MainScreen,
        backend: JoinedBackend,
        control: JoinedControl,
        connector: Connector,
        project: ProjectControl,
    ) -> None:
        """`project` is the control of the Compose project, which is joined in `control`."""
        self._screen = screen
        self.board = screen.board
        self._backend = backend
        self._control = control
        self._compose = ComposeController(screen, project)
        self.arguments = self._compose.arguments
        self.navigation = Navigation(screen, connector, self)
        self.changes = ClusterChanges(screen, self.board, lambda: self.session, self._compose.acts)
        self.listeners: list[Callable[[Delta], None]] = []  # of views that are open above this screen
        self.cluster_bar = ClusterBar(id="cluster-bar")
        self.cluster_banner = Banner(id="cluster-banner")
        self.bars = (self.cluster_bar, self.cluster_banner)
        self._differences: dict[GroupKey, tuple[object, Differences]] = {}
        self._runtime = COMPOSE  # where the last change of a service of both runtimes was done
        if isinstance(screen.table, FoldingTable):
            screen.table.unfold = self._unfold
        self.handlers: Handlers = {
            **self._compose.handlers,
            **{name: partial(self._change, name) for name in self._compose.acts},
            **{name: partial(self._open_view, name) for name in OBJECT_VIEWS},
            **{name: partial(self._on_selected, act) for name, act in self.changes.handlers.items()},
            "events": self._open_events,
            "forwards": self._open_forwards,
            "command": self._ask_command,
            "follow": self.navigation.follow,
            "services": self.navigation.to_services,
            "namespace": self.navigation.to_namespace,
            "context": self.navigation.to_context,
            "back": self._go_back,
            "drop": self._drop,
        }

    async def begin(self) -> None:
        """Look for the cluster."""
        self.navigation.begin()

    def close(self) -> None:
        """Close the port-forwards: the program ends."""
        self.changes.close()

    @property
    def session(self) -> ClusterSession | None:
        """The cluster that is shown."""
        return self.navigation.session

    @property
    def store(self) -> Store:
        """What is known."""
        return self._screen.store

    def show_help(self) -> None:
        """Show all keys."""
        self._screen.show_help()

    # What is selected

    @property
    def selected_group(self) -> Group | None:
        """The service under the cursor that is made of several resources; None where the line is one resource."""
        row = self._screen.table.selected
        return self.board.services.groups.get(row.group) if row is not None and row.group is not None else None

    @property
    def selected_cluster(self) -> Resource | None:
        """The cluster's resource that is meant by the line under the cursor: of a joint line, its workload."""
        resource = self._screen.selected
        if resource is not None:
            return resource if resource.runtime is Runtime.KUBERNETES else None
        group = self.selected_group
        if group is None:
            return None
        key = next(iter(group.workloads.values()), next(iter(group.pods.values()), ""))
        return self.store.resource(key)

    @property
    def selected_service(self) -> tuple[str, str]:
        """Namespace and name of the selected service of the cluster; ("", "") where none is selected."""
        resource = self.selected_cluster
        return (resource.namespace, resource.service or resource.name) if resource is not None else ("", "")

    def cluster_place(self) -> tuple[Target, bool] | None:
        """Return the cluster and namespace that are shown, and whether the selection is there alone."""
        if self.session is None:
            return None
        return self.session.target, self._screen.selected is not None and self.selected_cluster is not None

    def choices(self, verb: str) -> list[RuntimeChoice]:
        """Return where a change of the line under the cursor can be meant; none where it makes no sense there."""
        resource = self._screen.selected
        group = self.selected_group
        if resource is not None:
            return choices(verb, *(((resource,), ()) if resource.runtime is Runtime.COMPOSE else ((), (resource,))))
        if group is None:
            return []
        keys = group.workloads.values() or islice(group.pods.values(), 1)
        cluster = self._known(keys) if self.session is not None else ()
        return choices(verb, self._known(group.compose.values()), cluster)

    def _known(self, keys: Iterable[str]) -> list[Resource]:
        return [known for key in keys if (known := self.store.resource(key)) is not None]

    # Which actions make sense, and what they do

    def offers(self, action: UserAction) -> bool:
        """Whether an action makes sense for the selection now."""
        selected = self.selected_cluster
        match action.name:
            case "events" | "forwards":
                return self.session is not None
            case "follow" | "drop":
                return bool(self.navigation.elsewhere)
            case name if self._screen.marked and name in self._compose.acts:
                return self._compose.offers(action)
            case name if name in self._compose.acts and selected is not None:
                return bool(self.choices(name))
            case name if name in self._compose.acts or not action.kinds:
                return self._compose.offers(action)
        if self.session is None or selected is None:
            return False
        if action.name == "hpa":
            return autoscaler(selected, self.store, self.board.scaling) is not None
        return action.kinds is ANY_KIND or selected.kind in action.kinds

    def offers_depend_on(self) -> object:
        """Return what `offers` looks at."""
        cluster = self.selected_cluster
        offered = [len(self.choices(verb)) for verb in self._compose.acts] if cluster is not None else []
        return cluster and (cluster.key, cluster.kind), self._compose.offers_depend_on(), offered

    def commands(self) -> Iterator[Command]:
        """Give what can be done to the selection, with the same in kubectl, then what can be typed."""
        selected = self.selected_cluster
        if selected is not None:
            whose = f"{safe(selected.kind)} {safe(selected.name)}"
            for action in ACTIONS:
                if (
                    action.kubectl
                    and (action.kinds or action.name == "logs")
                    and self._screen.dispatcher.offers(action)
                ):
                    tooltip = action.binding(in_cluster=True).tooltip
                    yield f"{action.label} {whose}", tooltip, self._screen.handlers[action.name]
        for text in TYPED_IN_PALETTE:
            yield f":{text}", "", partial(self._screen.dispatcher.obey, text)

    def _on_selected(self, act: Callable[[Resource], object]) -> None:
        resource = self.selected_cluster
        if resource is not None and self.session is not None:
            act(resource)

    def _change(self, verb: str) -> None:
        """Change the selected service, in the runtime of its line; of a line of both, in the one that is chosen."""
        if self._screen.marked:
            self._compose.change(verb)
            return
        known = {choice.name: choice for choice in self.choices(verb)}
        if len(known) < 2:
            for choice in known.values():
                self.changes.change_in(choice, verb)
            return

        def take(name: str) -> None:
            self._runtime = runtime_of(name)
            self.changes.change_in(known[name], verb)

        what = f"{next(iter(known.values())).resource.service} to {DONE_TO.get(verb, verb)}"
        offered = [(name, name, choice.words) for name, choice in known.items()]
        self.choose(what, offered, preferred(known.values(), self._runtime), take)

    def choose(self, what: str, choices: Sequence[Choice], here: str, take: Callable[[str], None]) -> None:
        """Let the user choose one of several names."""
        from devenv.tui.dialogs import PickerScreen

        self._screen.app.push_screen(PickerScreen(what, choices, here), lambda name: take(name) if name else None)

    def _open_view(self, name: str) -> None:
        from devenv.tui.kube.object_views import view_of

        self._on_selected(lambda resource: self._screen.app.push_screen(view_of(name, self, resource)))

    def _open_events(self) -> None:
        from devenv.tui.kube.view import EventsScreen

        self._screen.app.push_screen(EventsScreen(self))

    def _open_forwards(self) -> None:
        from devenv.tui.kube.view import ForwardsScreen

        self._screen.app.push_screen(ForwardsScreen(self, self.changes.forwards, self.changes.close_forward))

    def _drop(self) -> None:
        """Cancel the running change, or put away the error of one, or the note about the context."""
        bar = self._screen.action_bar
        if self.navigation.elsewhere and bar.running is None and bar.failed is None:
            self.navigation.stay()
        else:
            self._screen.drop()

    def _go_back(self) -> None:
        """Take one step back: what is open, the filter, then from the kind to the services."""
        plain = self._screen.focused is self._screen.table and not self._screen.filter.value
        self._screen.panes.back()
        if plain and self.board.kind is not None:
            self.navigation.to_services()

    def _unfold(self, is_open: bool) -> None:
        """Open or close the line under the cursor."""
        if self.board.kind is not None:
            return
        services, table = self.board.services, self._screen.table
        group = services.group_at(table.cursor)
        if group is None:
            return
        if not is_open or group.key in services.opened:
            index = services.find(group.line)
            if index is not None:
                table.select(index)
            services.toggle(table.cursor, False)
        else:
            services.toggle(table.cursor, True)
        self._screen.tell_table()

    # The command line

    def _ask_command(self) -> None:
        self.navigation.learn()
        self._screen.ask_command()

    def places(self) -> Places:
        """Return which kinds, namespaces and contexts can be typed."""
        return Places(self.navigation.kinds, self.navigation.namespaces, self.navigation.contexts)

    def obey_other(self, word: str, argument: str) -> None:
        """Show the objects of a kind."""
        self.navigation.to_kind(word, argument)

    def tell_commands(self) -> None:
        """Show what can be typed: kinds, namespaces or contexts became known."""
        if self._screen.command_line is not None:
            self._screen.command_line.tell()

    # Which place is shown

    def attach(self, session: ClusterSession) -> None:
        """Show a cluster where none was shown before."""
        self.board.move(session.target.namespace)
        self._control.put(session.control)
        self._backend.add(KUBERNETES, session.backend)
        self.tell(None, time.time())
        self._screen.tell_table()
        self._screen.refresh_bindings()

    def settle_in(self, session: ClusterSession) -> None:
        """Show another place of the cluster, or another cluster."""
        self.board.move(session.target.namespace)
        self._differences.clear()
        self._control.put(session.control)
        self.show_kind(self.board.kind.kind if self.board.kind is not None else "")
        self.tell_context()

    def show_kind(self, kind: str) -> None:
        """Put the objects of one kind into the table; "" goes back to the services."""
        self.board.show_kind(kind, all_namespaces=self.navigation.all_namespaces)
        self._screen.tell_table()
        self.tell(None, time.time())
        self._screen.refresh_bindings()

    def tell_context(self) -> None:
        """Show what is wrong with the connection to the cluster, else that kubectl's current context is another one."""
        self._tell_connection()
        self._screen.refresh_bindings()

    def _tell_connection(self) -> None:
        session, elsewhere = self.session, self.navigation.elsewhere
        if session is None:
            return
        note = ("", "")
        if elsewhere:
            stays = (
                f"kubectl's current context is now {elsewhere}; this terminal stays on {session.target.context.name}"
            )
            note = (stays, "C goes there, x puts this line away")
        self.cluster_banner.tell(self.store.connection(session.backend.name), note)

    # What the screen shows

    def tell(self, delta: Delta | None, now: float) -> None:
        """Show which cluster it is, how its pods are and its connection; tell the views above."""
        session = self.session
        if session is not None:
            namespace = "all namespaces" if self.navigation.all_namespaces else session.target.namespace
            connection = self.store.connection(session.backend.name)
            kind = self.board.kind.kind if self.board.kind is not None else ""
            context = session.target.context.name
            self.cluster_bar.tell(context, namespace, connection, self.board.counts, session.may_change, kind, now)
        if delta is None:
            return
        if delta.connections:
            self._tell_connection()
        for listener in tuple(self.listeners):
            listener(delta)

    def empty_text(self, row: Row | None) -> str:
        """Return what an empty table says, or the empty log of that row."""
        if row is not None:
            resource = self.store.resource(row.key)
            if resource is not None and resource.runtime is Runtime.KUBERNETES and resource.kind in NO_LOG:
                return f"a {resource.kind} writes no log"
            return self._compose.empty_text(row)
        kind, session = self.board.kind, self.session
        if session is None:
            alone = self.navigation.alone
            return "no cluster is shown; :ctx chooses one" if alone else self._compose.empty_text(None)
        connection = self.store.connection(session.backend.name)
        live = connection is not None and connection.state is ConnectionState.LIVE
        if kind is not None:
            return f"there is no {kind.kind} here; Esc goes back to the services" if live else "reading…"
        if connection is None or connection.state is ConnectionState.CONNECTING:
            return f"connecting to {session.target.context.name}…"
        return self._compose.empty_text(None) if live else "nothing to show until the cluster answers"

    # The details

    def describe(self, group: GroupKey) -> tuple[list[Part], list[Part]] | None:
        """Return the use and the text of a service in both runtimes."""
        from devenv.tui import detail

        known = self.board.services.groups.get(group)
        if known is None:
            return None
        compose, cluster = self._known(known.compose.values()), self._known(known.workloads.values())
        text = detail.describe_joint(group.service, compose, cluster, self._differences_of(known))
        # All replicas have the same verdict; the one that says more also says why it is stale.
        said = sorted(map(self._screen.verdict_parts, compose), key=len)
        text += said[-1] if said else []
        for workload in cluster:
            text += self._screen.verdict_parts(workload)
        return detail.use_of_all(self.store.sample(one.key) for one in (*compose, *cluster)), text

    def _differences_of(self, group: Group) -> Differences:
        """Return those between the two runtimes; they are read in a thread, and kept until one side changes."""
        session = self.session
        workload = self.store.resource(next(iter(group.workloads.values()), ""))
        if session is None or workload is None:
            return "not known: only pods were found in the cluster"
        state = (workload.key, workload.image, workload.facts, tuple(group.compose.values()))
        known = self._differences.get(group.key)
        if known is not None and known[0] == state:
            return known[1]
        reading = "reading both sides…"
        self._differences[group.key] = (state, reading)

        def show(read: Differences) -> None:
            self._differences[group.key] = (state, read)
            self._screen.panes.tell_detail()

        def work() -> None:
            self._screen.app.call_from_thread(show, read_differences(session, group.key.service, workload))

        self._screen.run_worker(work, thread=True, group="differences", exit_on_error=False)
        return reading


def cluster_screen(
    backend: Backend,
    control: ProjectControl,
    title: str,
    connector: Connector,
    *,
    store: Store | None = None,
    wake: Callable[[], None] | None = None,
) -> tuple[MainScreen, Backend, Control]:
    """Return the screen with the joined backend and control; nothing of the cluster is read before it is painted.

    It shows what is in the `store` already. `wake` is given where both were started already, with that function.
    """
    readers, changers = JoinedBackend(backend, wake=wake), JoinedControl(control, wake=wake)

    def controller(screen: MainScreen) -> ClusterController:
        return ClusterController(screen, readers, changers, connector, control)

    return MainScreen(readers, changers, title, controller, in_cluster=True, store=store), readers, changers
