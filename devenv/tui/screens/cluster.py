"""The keys and orders for a cluster; what they do to it goes through its control."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.actions import parse as parse_action
from textual.binding import BindingType
from textual.widgets import Input

from devenv.backends.joined import JoinedBackend
from devenv.backends.protocol import Backend
from devenv.control.joined import JoinedControl
from devenv.control.protocol import Control
from devenv.core.errors import DevenvError
from devenv.core.model import Resource
from devenv.tui.kube.keys import KEYS
from devenv.tui.kube.meant import FOR_ANY, MEANT_FOR
from devenv.tui.kube.orders import ALL, Order, candidates, parse
from devenv.tui.kube.session import Connector, Session
from devenv.tui.kube.sides import DONE_TO
from devenv.tui.screens.cluster_actions import ClusterActions
from devenv.tui.screens.main import MainScreen
from devenv.tui.screens.panes import Panes
from devenv.tui.shown import shown
from devenv.tui.widgets.command_line import CommandLine
from devenv.tui.widgets.long_table import LongTable

if TYPE_CHECKING:
    from textual.command import Provider

    from devenv.backends.kube.kinds import Kind
    from devenv.tui.palette import Command


LOOK: Final = 5.0  # seconds between two looks at whether the kubeconfig was changed
PALETTE_ORDERS: Final = (
    *("pods", "deploy", "svc", "nodes", "hpa", "ingresses"),
    *("pvc", "cm", "events", "ns", "ctx", "compose"),
)


def _palette() -> type[Provider]:
    from devenv.tui.palette import ScreenCommands

    return ScreenCommands


class ClusterScreen(ClusterActions):
    """The main screen where there may be a cluster."""

    CSS_PATH = "cluster.tcss"
    COMMANDS: ClassVar = {_palette}
    PREFERRED_KEYS = "kube."  # in the last line, where there is not room for all
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, backend: JoinedBackend, control: JoinedControl, title: str, connector: Connector) -> None:
        super().__init__(backend, control, title, connector)
        self.navigation = Navigation(self)
        self.command_line = CommandLine(self._candidates, id="command-line")

    async def furnish(self) -> None:
        """Bring the rest, then look for the cluster."""
        await super().furnish()
        await self.mount(self.command_line, after=self.table)
        self.navigation.begin()

    def attach(self, session: Session) -> None:
        """Show a cluster."""
        super().attach(session)
        self.navigation.watch()

    def tell_context(self) -> None:
        """Show, or show no more, that the kubeconfig's current context is another one."""
        self.tell_connection()
        self.refresh_bindings()

    def _note(self) -> tuple[str, str]:
        elsewhere, session = self.navigation.elsewhere, self.session
        if not elsewhere or session is None:
            return super()._note()
        text = f"kubectl's current context is now {elsewhere}; this terminal stays on {session.target.context.name}"
        return text, "C goes there, x puts this line away"

    def _candidates(self, text: str) -> tuple[str, ...]:
        return candidates(text, self.navigation.kinds, self.navigation.namespaces, self.navigation.contexts)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense for the selection now."""
        if action == "order":
            return self.command_line.is_attached and not isinstance(self.focused, Input)
        if action == "forwards":
            return self.session is not None
        if action == "follow":
            return bool(self.navigation.elsewhere)
        if action == "drop" and self.navigation.elsewhere:
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
            return self.actions.autoscaler(resource) is not None
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
        self.navigation.follow()

    def action_drop(self) -> None:
        """Cancel the running change, or put away the error of one, or the note about the context."""
        if self.navigation.elsewhere and self.action_bar.running is None and self.action_bar.failed is None:
            self.navigation.stay()
        else:
            super().action_drop()

    def action_order(self) -> None:
        """Take an order."""
        self.navigation.learn()
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
                self.navigation.to_context(order.argument)
            case "ns" | "namespace":
                self.navigation.to_namespace(order.argument)
            case _:
                self.navigation.to_kind(order.word, order.argument)

    def show_kind(self, kind: str) -> None:
        """Put the objects of one kind into the table; "" goes back to the services."""
        self.joint.show_kind(kind, all_namespaces=self.all_namespaces)
        if not kind:
            self.navigation.forget_kind()
        self.navigation.watch()
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
        self.actions.close()

    def action_help(self) -> None:
        """Show all keys, those of the cluster with what they are in kubectl."""
        from devenv.tui.screens.help import HelpScreen
        from devenv.tui.widgets.detail_pane import DetailScroll
        from devenv.tui.widgets.log_view import LogView
        from devenv.tui.widgets.resource_table import ResourceTable

        groups = (("Project", MainScreen), ("Cluster, and the same by kubectl", ClusterScreen), ("View", Panes))
        rest = (("Services", ResourceTable), ("Lines", LongTable), ("Logs", LogView), ("Detail", DetailScroll))
        self.app.push_screen(HelpScreen((*groups, *rest)))

    def commands(self) -> Iterator[Command]:
        """Give the palette what the keys do to the selection, with the same in kubectl, then the orders."""
        from devenv.tui.palette import act

        selected = self.selected_cluster
        title = f" {shown(selected.kind)} {shown(selected.name)}" if selected is not None else ""
        for binding in KEYS:
            if self.check_action(*parse_action(binding.action)[1:]):
                own = binding.action not in ("order", "forwards", "events")
                yield f"{binding.description}{title if own else ''}", binding.tooltip, act(self, binding.action)
        for order in PALETTE_ORDERS:
            yield f":{order}", "", partial(self.obey, parse(order))

    def now(self) -> float:
        """Return the time that ages are counted to."""
        return time.time()

    def settle_in(self) -> None:
        """Show another place of the cluster, or another cluster."""
        session = self.session
        if session is None:
            return
        self.joint.move(session.target.namespace)
        self.runtime_diff.forget()
        self._control.put(session.control)
        self.show_kind(self.joint.kind.kind if self.joint.kind is not None else "")
        self.tell_connection()


class Navigation:
    """Goes from one place to another; what has to wait for files or the network waits in a thread."""

    def __init__(self, screen: ClusterScreen) -> None:
        self._screen = screen
        self.kinds: tuple[Kind, ...] = ()
        self.namespaces: tuple[str, ...] = ()
        self.contexts: tuple[str, ...] = ()
        self._learned = False
        self._kind: Kind | None = None
        self._stamp: object = None
        self._current = ""
        self._doubt = ""  # what was wrong with the kubeconfig at the last look
        self.elsewhere = ""  # the kubeconfig's current context, where somebody made it another one than ours

    def begin(self) -> None:
        """Look for the cluster to show, in a thread, and from then on whether the kubeconfig was changed."""
        self._thread("connect", self._connect)
        self._screen.set_interval(LOOK, self.look)

    def look(self) -> None:
        """Look, in a thread, whether the kubeconfig was changed: a cluster to show came, or the current context went.

        Where nothing was changed it costs the files' times. A cluster that is shown is never left by itself.
        """
        self._thread("kubeconfig", self._look)

    def _thread(self, group: str, work: Callable[[], None]) -> None:
        self._screen.run_worker(work, thread=True, group=group, exit_on_error=True)

    def _later(self, call: Callable[..., object], *arguments: object) -> None:
        self._screen.app.call_from_thread(call, *arguments)

    def _failed(self, error: DevenvError) -> None:
        hint = f" → {error.hint}" if error.hint else ""
        self._screen.say(f"{error.message}{hint}", "cluster")

    def _connect(self) -> None:
        connector = self._screen.connector
        self._stamp = connector.stamp()
        try:
            self._current = connector.current()
            session = connector.connect()
        except DevenvError as error:
            self._later(self._failed, error)
            return
        if session is not None:
            self._later(self._attach, session)

    def _attach(self, session: Session) -> None:
        if self._screen.session is None:  # meanwhile an order may have opened one
            self._screen.attach(session)

    def _look(self) -> None:
        connector = self._screen.connector
        stamp = connector.stamp()
        if stamp == self._stamp:
            return
        try:
            current = connector.current()
            session = connector.connect() if self._screen.session is None else None
        except DevenvError as error:
            # The files may just be being written: only what is still wrong at the next look is told.
            if self._doubt != error.message:
                self._doubt = error.message
                return
            self._later(self._failed, error)
        else:
            if session is not None:
                self._later(self._attach, session)
            elif current != self._current:
                self._later(self._noticed, current)
            self._current = current
        self._stamp, self._doubt = stamp, ""

    def _noticed(self, current: str) -> None:
        session = self._screen.session
        if session is not None:
            self.elsewhere = current if current != session.target.context.name else ""
            self._screen.tell_context()

    def follow(self) -> None:
        """Go to the kubeconfig's current context."""
        if self.elsewhere:
            self.to_context(self.elsewhere)

    def stay(self) -> None:
        """Say no more that the kubeconfig's current context is another one."""
        self.elsewhere = ""
        self._screen.tell_context()

    def watch(self) -> None:
        """Watch in the cluster what the table shows, and nothing else."""
        session = self._screen.session
        if session is None:
            return
        from devenv.tui.kube.watched import SERVICES

        kinds = (*SERVICES, *([self._kind] if self._kind is not None else ()))
        session.backend.watch_kinds(
            tuple(dict.fromkeys(kinds)), None if self._screen.all_namespaces else session.target.namespace
        )

    def learn(self) -> None:
        """Ask in a thread which kinds, namespaces and contexts there are; the ones of every cluster are known."""
        if not self.kinds:
            from devenv.backends.kube.kinds import KNOWN

            self.kinds = KNOWN
        session = self._screen.session
        if not self._learned:
            self._learned = True
            self._thread("learn", lambda: self._ask(session))

    def _ask(self, session: Session | None) -> None:
        try:
            contexts = tuple(context.name for context in self._screen.connector.contexts().all)
            kinds = session.kinds() if session is not None else self.kinds
            namespaces = session.namespaces() if session is not None else ()
        except DevenvError as error:
            self._learned = False
            self._later(self._failed, error)
            return
        self._later(self._know, contexts, kinds, namespaces)

    def _know(self, contexts: tuple[str, ...], kinds: tuple[Kind, ...], namespaces: tuple[str, ...]) -> None:
        self.contexts, self.kinds, self.namespaces = contexts, kinds, namespaces
        self._screen.command_line.tell()

    def to_kind(self, word: str, namespace: str = "") -> None:
        """Show the objects of a kind by any of its names; those of every cluster need no discovery."""
        from devenv.backends.kube.errors import KubeError
        from devenv.backends.kube.kinds import KNOWN, find_kind

        session = self._screen.session
        if session is None:
            self._screen.say("No cluster is open: :ctx NAME opens one.", word)
            return
        try:
            kind = find_kind(word, self.kinds or KNOWN)
        except KubeError as error:
            if self._learned:
                self._failed(error)
            else:
                self._thread("learn", lambda: self._find(session, word, namespace))
            return
        self._show(kind, namespace)

    def _find(self, session: Session, word: str, namespace: str) -> None:
        from devenv.backends.kube.kinds import find_kind

        try:
            kinds = session.kinds()
            kind = find_kind(word, kinds)
        except DevenvError as error:
            self._later(self._failed, error)
            return
        self._later(self._show, kind, namespace)

    def _show(self, kind: Kind, namespace: str) -> None:
        if namespace:
            self.to_namespace(namespace)
        self._kind = kind
        self._screen.show_kind(kind.name.lower())

    def forget_kind(self) -> None:
        """Watch the kind no more that was shown."""
        self._kind = None

    def to_namespace(self, name: str) -> None:
        """Go to a namespace, to all of them, or (without a name) let the user choose."""
        screen, session = self._screen, self._screen.session
        if session is None:
            screen.say("No cluster is open: choose one, then its namespace.", "namespace")
            self.to_context("")
        elif not name:
            self._thread("choose", lambda: self._choose_namespace(session))
        elif name == ALL:
            screen.all_namespaces = True
            self.watch()
            screen.settle_in()
        else:
            screen.all_namespaces = False
            session.move(replace(session.target, namespace=name))
            screen.settle_in()

    def _choose_namespace(self, session: Session) -> None:
        try:
            names = session.namespaces()
        except DevenvError as error:
            self._later(self._failed, error)
            return
        here = ALL if self._screen.all_namespaces else session.target.namespace
        choices = [(ALL, ALL, "every namespace"), *((name, name, "") for name in names)]
        self._later(self._screen.choose, "namespace", choices, here, self.to_namespace)

    def to_context(self, name: str) -> None:
        """Go to a context, or (without a name) let the user choose."""
        if name:
            self._thread("connect", lambda: self._open(name))
        else:
            self._thread("choose", self._choose_context)

    def _choose_context(self) -> None:
        try:
            known = self._screen.connector.contexts()
        except DevenvError as error:
            self._later(self._failed, error)
            return
        may = self._screen.connector.may_change
        choices = [
            (info.name, info.name, f"{info.flavour or info.server}{'' if may(info.name) else '  READ-ONLY'}")
            for info in known.all
        ]
        session = self._screen.session
        here = session.target.context.name if session is not None else known.current
        self._later(self._screen.choose, "context", choices, here, self.to_context)

    def _open(self, name: str) -> None:
        screen = self._screen
        try:
            if screen.session is None:
                session = screen.connector.open(name)
                self._later(screen.attach, session)
                return
            target = screen.connector.target(name)
        except DevenvError as error:
            self._later(self._failed, error)
            return
        self._later(self._arrive, target)

    def _arrive(self, target: object) -> None:
        screen, session = self._screen, self._screen.session
        assert session is not None  # a session stays for as long as the program runs
        screen.all_namespaces = False
        session.move(target)  # type: ignore[arg-type]  # call_from_thread hands on what `target` returned
        self._learned = False
        self.kinds = ()
        screen.settle_in()
        self.stay()


def cluster_screen(
    backend: Backend, control: Control, title: str, connector: Connector, *, wake: Callable[[], None] | None = None
) -> tuple[ClusterScreen, Backend, Control]:
    """Return the screen with the joined backend and control; nothing of the cluster is read before it is painted.

    `wake` is given where both were started already, with that function.
    """
    readers, changers = JoinedBackend(backend, wake=wake), JoinedControl(control, wake=wake)
    return ClusterScreen(readers, changers, title, connector), readers, changers
