"""The keys and orders for a cluster; what they do to it goes through its control."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.widgets import Input

from devenv.backends.joined import JoinedBackend
from devenv.control.joined import JoinedControl
from devenv.core.model import Resource
from devenv.tui.kube.keys import KEYS
from devenv.tui.kube.meant import FOR_ANY, MEANT_FOR
from devenv.tui.kube.orders import Order, candidates, parse
from devenv.tui.kube.session import Connector, Session
from devenv.tui.kube.sides import DONE_TO
from devenv.tui.kube.travel import Travel
from devenv.tui.screens.cluster_actions import ClusterActions
from devenv.tui.screens.main import MainScreen
from devenv.tui.screens.panes import Panes
from devenv.tui.widgets.command_line import CommandLine
from devenv.tui.widgets.long_table import LongTable

if TYPE_CHECKING:
    from textual.command import Provider


def _palette() -> type[Provider]:
    from devenv.tui.kube.commands import ClusterCommands

    return ClusterCommands


class ClusterScreen(ClusterActions):
    """The main screen where there may be a cluster."""

    CSS_PATH = "cluster.tcss"
    COMMANDS: ClassVar = {_palette}
    PREFERRED_KEYS = "kube."  # in the last line, where there is not room for all
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

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

    def tell_context(self) -> None:
        """Show, or show no more, that the kubeconfig's current context is another one."""
        self.tell_connection()
        self.refresh_bindings()

    def _note(self) -> tuple[str, str]:
        elsewhere, session = self.travel.elsewhere, self.session
        if not elsewhere or session is None:
            return super()._note()
        text = f"kubectl's current context is now {elsewhere}; this terminal stays on {session.target.context.name}"
        return text, "C goes there, x puts this line away"

    def _candidates(self, text: str) -> tuple[str, ...]:
        return candidates(text, self.travel.kinds, self.travel.namespaces, self.travel.contexts)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense for the selection now."""
        if action == "order":
            return self.command_line.is_attached and not isinstance(self.focused, Input)
        if action == "forwards":
            return self.session is not None
        if action == "follow":
            return bool(self.travel.elsewhere)
        if action == "drop" and self.travel.elsewhere:
            return True
        if action == "shell":
            return self.session is not None and bool(self.sides("shell"))
        if action in (*MEANT_FOR, *FOR_ANY, "events", "hpa"):
            return self.session is not None and self._is_meant(action, self.selected_cluster)
        if action == "change" and self.selected_cluster is not None:
            return bool(self.sides(str(parameters[0])))
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
        offered = [len(self.sides(verb)) for verb in DONE_TO] if meant is not None else []
        keys_for = (mine, selected and (selected.service, selected.state), offered)
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.refresh_bindings()

    def action_follow(self) -> None:
        """Go to the kubeconfig's current context."""
        self.travel.follow()

    def action_drop(self) -> None:
        """Cancel the running change, or put away the error of one, or the note about the context."""
        if self.travel.elsewhere and self.action_bar.running is None and self.action_bar.failed is None:
            self.travel.stay()
        else:
            super().action_drop()

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
            case "ns" | "namespace":
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
        self.tell_connection()
