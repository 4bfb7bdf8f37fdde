"""The keys and orders for a cluster; what they do to it goes through its control."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from devenv.backends.joined import JoinedBackend
from devenv.control.joined import JoinedControl
from devenv.model import Resource
from devenv.tui.kube.meant import FOR_ANY, MEANT_FOR, ROLLED
from devenv.tui.kube.orders import Order, candidates, parse
from devenv.tui.kube.session import Connector, Session
from devenv.tui.kube.travel import Travel
from devenv.tui.screens.cluster_actions import ClusterActions
from devenv.tui.screens.main import MainScreen
from devenv.tui.screens.panes import Panes
from devenv.tui.widgets.command_line import CommandLine
from devenv.tui.widgets.long_table import LongTable

if TYPE_CHECKING:
    from textual.command import Provider

Choice = tuple[str, str, str]  # the answer, how it is written, and what is said beside it


def _palette() -> type[Provider]:
    from devenv.tui.kube.commands import ClusterCommands

    return ClusterCommands


class ClusterScreen(ClusterActions):
    """The main screen where there may be a cluster."""

    CSS_PATH = "cluster.tcss"
    COMMANDS: ClassVar = {_palette}
    PREFERRED_KEYS = "kube."  # in the last line, where there is not room for all
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "colon",
            "order",
            "command",
            key_display=":",
            priority=True,
            id="kube.order",
            tooltip="pods, deploy, svc, any kind · ns NAME|all · ctx NAME · q; kubectl get KIND -n NAME",
        ),
        Binding(
            "r",
            "change('restart')",
            "restart",
            tooltip="in the runtime of the line; kubectl rollout restart KIND/NAME",
            id="kube.restart",
        ),
        Binding("l", "logs", "logs", tooltip="of all pods and containers; kubectl logs -f KIND/NAME", id="kube.logs"),
        Binding("y", "yaml", "yaml", tooltip="kubectl get KIND NAME -o yaml", id="kube.yaml"),
        Binding("d", "describe", "describe", tooltip="kubectl describe KIND NAME", id="kube.describe"),
        Binding("o", "owners", "owners", tooltip="the tree of owners; kubectl tree KIND NAME", id="kube.owners"),
        Binding("e", "events", "events", tooltip="kubectl events --watch", id="kube.events"),
        Binding("h", "hpa", "hpa", tooltip="the autoscaler over time; kubectl get hpa --watch", id="kube.hpa"),
        Binding(
            "R",
            "rollout",
            "rollout",
            key_display="R",
            id="kube.rollout",
            tooltip="pods by stage; kubectl rollout status KIND/NAME",
        ),
        Binding("c", "scale", "scale", tooltip="kubectl scale KIND/NAME --replicas=N", id="kube.scale"),
        Binding("B", "undo", "undo", key_display="B", tooltip="kubectl rollout undo KIND/NAME", id="kube.undo"),
        Binding(
            "P",
            "pause",
            "pause/resume",
            key_display="P",
            id="kube.pause",
            tooltip="kubectl rollout pause|resume deployment/NAME",
        ),
        Binding("t", "shell", "shell", tooltip="kubectl exec -it POD -- sh", id="kube.shell"),
        Binding("T", "debug", "debug", key_display="T", tooltip="kubectl debug -it POD --image=…", id="kube.debug"),
        Binding(
            "p",
            "previous",
            "previous log",
            id="kube.previous",
            tooltip="of containers that were restarted; kubectl logs POD --previous",
        ),
        Binding("f", "forward", "forward", tooltip="kubectl port-forward KIND/NAME LOCAL:PORT", id="kube.forward"),
        Binding(
            "F",
            "forwards",
            "forwards",
            key_display="F",
            id="kube.forwards",
            tooltip="the open port-forwards with their traffic",
        ),
        Binding("E", "edit", "edit", key_display="E", tooltip="kubectl edit KIND/NAME", id="kube.edit"),
        Binding(
            "ctrl+d",
            "delete",
            "delete",
            key_display="^d",
            id="kube.delete",
            tooltip="asks, and says what goes with it; kubectl delete KIND NAME",
        ),
        Binding(
            "ctrl+e",
            "evict",
            "evict",
            key_display="^e",
            id="kube.evict",
            tooltip="heeds disruption budgets; the API's pods/NAME/eviction",
        ),
        Binding("K", "cordon", "cordon", key_display="K", tooltip="kubectl cordon|uncordon NODE", id="kube.cordon"),
        Binding(
            "X", "drain", "drain", key_display="X", id="kube.drain", tooltip="kubectl drain NODE --ignore-daemonsets"
        ),
    ]

    def __init__(self, backend: JoinedBackend, control: JoinedControl, title: str, connector: Connector) -> None:
        super().__init__(backend, control, title, connector)
        self.travel = Travel(self)
        self.command_line = CommandLine(self._candidates, id="command-line")

    async def furnish(self) -> None:
        """Bring the rest, then look for the cluster."""
        await super().furnish()
        await self.mount(self.command_line, after=self.table)
        self.travel.begin()

    def attach(self, session: Session) -> None:
        """Show a cluster."""
        super().attach(session)
        self.travel.watch()

    def _candidates(self, text: str) -> tuple[str, ...]:
        return candidates(text, self.travel.kinds, self.travel.namespaces, self.travel.contexts)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense for the selection now."""
        if action == "order":
            return self.command_line.is_attached and not isinstance(self.focused, Input)
        if action == "forwards":
            return self.session is not None
        if action in (*MEANT_FOR, *FOR_ANY, "events", "hpa"):
            return self.session is not None and self._is_meant(action, self.selected_cluster)
        if action == "change" and (meant := self.selected_cluster) is not None:
            joint = self.selected is None
            return not joint and parameters[0] == "restart" and meant.kind in ROLLED
        return super().check_action(action, parameters)

    def _is_meant(self, action: str, resource: Resource | None) -> bool:
        if action == "events":
            return True
        if resource is None:
            return False
        if action == "hpa":
            return self.deeds.autoscaler(resource) is not None
        return action in FOR_ANY or resource.kind in MEANT_FOR[action]

    def _tell_keys(self) -> None:
        meant = self.selected_cluster
        bar = self.action_bar
        selected = self.selected
        mine = (meant and (meant.key, meant.kind), bar.running is None, bar.failed is None)
        keys_for = (mine, selected and (selected.service, selected.state))
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.refresh_bindings()

    def action_order(self) -> None:
        """Take an order."""
        self.travel.learn()
        self.command_line.ask()

    @on(CommandLine.Given)
    def _given(self, event: CommandLine.Given) -> None:
        self.command_line.close()
        self.set_focus(self.table)
        if event.text.strip():
            self.obey(parse(event.text))

    def obey(self, order: Order) -> None:
        """Carry an order of the command line out."""
        match order.word:
            case "q" | "quit" | "q!":
                self.action_leave()
            case "help" | "h" | "?":
                self.action_help()
            case "compose" | "services!":
                self.show_kind("")
            case "events" | "ev" | "event":
                self.action_events()
            case "forwards" | "pf":
                self.action_forwards()
            case "ctx" | "context" | "contexts":
                self.travel.to_context(order.argument)
            case "ns" | "namespace" if order.argument or order.word == "ns":
                self.travel.to_namespace(order.argument)
            case _:
                self.travel.to_kind(order.word, order.argument)

    def show_kind(self, kind: str) -> None:
        """Put the objects of one kind into the table; "" goes back to the services."""
        self.joint.show_kind(kind, all_namespaces=self.all_namespaces)
        if not kind:
            self.travel.forget_kind()
        self.travel.watch()
        self._tell_table()
        self._tell_header(self.now())
        self.refresh_bindings()

    @on(LongTable.Unfolded)
    def _unfold(self, event: LongTable.Unfolded) -> None:
        table = self.table
        if self.joint.kind is not None or not isinstance(table, LongTable):
            return
        services = self.joint.services
        group = services.group_at(table.cursor)
        if group is None:
            return
        if not event.wanted or group.key in services.opened:
            index = services.index_of_group(group)
            if index is not None:
                table.select(index)
            services.toggle(table.cursor, False)
        else:
            services.toggle(table.cursor, True)
        self._tell_table()

    def action_back(self) -> None:
        """Take one step back: what is open, the filter, then from the kind to the services."""
        plain = self.focused is self.table and not self.filter.value
        super().action_back()
        if plain and self.joint.kind is not None:
            self.show_kind("")

    def on_unmount(self) -> None:
        """Close the port-forwards: the program ends."""
        self.deeds.close()

    def action_change(self, verb: str) -> None:
        """Change the selected service, in the runtime of its line."""
        resource = self.selected_cluster
        if resource is None:
            super().action_change(verb)
        else:
            self.deeds.change("restart", resource)

    def action_help(self) -> None:
        """Show all keys, those of the cluster with what they are in kubectl."""
        from devenv.tui.screens.help import HelpScreen
        from devenv.tui.widgets.detail_pane import DetailScroll
        from devenv.tui.widgets.log_view import LogView
        from devenv.tui.widgets.resource_table import ResourceTable

        groups = (("Project", MainScreen), ("Cluster, and the same by kubectl", ClusterScreen), ("View", Panes))
        rest = (("Services", ResourceTable), ("Lines", LongTable), ("Logs", LogView), ("Detail", DetailScroll))
        self.app.push_screen(HelpScreen((*groups, *rest)))

    def now(self) -> float:
        """Return the time that ages are counted to."""
        return time.time()

    def settle_in(self) -> None:
        """Show another place of the cluster, or another cluster."""
        session = self.session
        if session is None:
            return
        self.joint.move(session.target.namespace)
        self.comparing.forget()
        self._control.put(session.control)
        self.show_kind(self.joint.kind.kind if self.joint.kind is not None else "")
        self.cluster_banner.tell(self.store.connection(session.backend.name))

    def choose(self, what: str, choices: Sequence[Choice], here: str, take: Callable[[str], None]) -> None:
        """Let the user choose one of several names."""
        from devenv.tui.screens.picker import PickerScreen

        self.app.push_screen(PickerScreen(what, choices, here), lambda name: take(name) if name else None)
