"""The main screen: table, log and details of whatever its controller serves; it passes on what the keys ask for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingsMap, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from devenv.control.protocol import Control
from devenv.core.errors import DevenvError
from devenv.core.model import Change, LogLine, LogsDropped, Resource, Runtime, WatchStatus
from devenv.core.state import Delta, Store
from devenv.tui.action_table import ACTIONS, BY_NAME, OF_CLUSTER, group_of, help_groups
from devenv.tui.changes import Changes
from devenv.tui.dispatch import Controller, Dispatcher, Own
from devenv.tui.feed import Subscriptions
from devenv.tui.logs.following import LogFollowing
from devenv.tui.logs.pane import LogPane
from devenv.tui.logs.view import LogView
from devenv.tui.panes import Panes
from devenv.tui.safe_text import Part, safe
from devenv.tui.table.board import Board
from devenv.tui.table.cells import ROLLED
from devenv.tui.table.columns import COLUMNS, VERIFIED
from devenv.tui.widgets.bars import ActionBar, Banner, FooterBar, HeaderBar, Line
from devenv.tui.widgets.inputs import Prompt
from devenv.tui.widgets.resource_table import FoldingTable, ResourceTable

if TYPE_CHECKING:
    from devenv.backends.kube.kubeconfig import Target
    from devenv.backends.protocol import Backend
    from devenv.tui.command_line import CommandLine
    from devenv.tui.dialogs import Command
    from devenv.tui.verdict_watch import VerdictWatch
    from devenv.tui.verdicts import Verdicts

TICK = 1.0  # seconds between two looks at ages and countdowns
AGES = 5.0  # seconds between two looks at the table's ages where none of them counts seconds


class MainScreen(Screen[None]):
    """Draws what changed in the store; what it asks of the backend is what is on screen."""

    AUTO_FOCUS = "ResourceTable"
    BINDINGS: ClassVar[list[BindingType]] = [action.binding() for action in ACTIONS]

    class VerifyAsked(Message):
        """Somebody wants to see the smoke tests."""

    class LoadAsked(Message):
        """Somebody wants to see the load tests."""

    class DiagnosticsAsked(Message):
        """Somebody wants to see what devenv itself uses."""

    class MinikubeAsked(Message):
        """Somebody wants something of minikube: what was typed behind its word."""

        def __init__(self, argument: str) -> None:
            super().__init__()
            self.argument = argument

    class DeployAsked(Message):
        """Somebody wants to deploy an overlay, "" for one to be chosen, or to see how it goes."""

        def __init__(self, overlay: str) -> None:
            super().__init__()
            self.overlay = overlay

    class WatchAsked(Message):
        """Somebody wants what is saved to be in the containers, or no more; in the pods of that place, if any."""

        def __init__(self, pods_of: Target | None) -> None:
            super().__init__()
            self.pods_of = pods_of

    def __init__(
        self,
        backend: Backend,
        control: Control,
        title: str,
        controller: Callable[[MainScreen], Controller],
        *,
        in_cluster: bool = False,
        store: Store | None = None,
    ) -> None:
        """`controller` makes what serves this screen, which shows what is in the `store` already.

        `in_cluster` says that there may be a cluster: its services are lines that open, and it has actions.
        """
        super().__init__()
        # Side by side from 110 columns: the log keeps more than 60 then, a usual log line.
        self.HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-narrow"), (110, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-flat"), (10, "-low"), (30, "-high")]
        self.header = HeaderBar()
        self.banner = Banner()
        self.in_cluster = in_cluster
        self.table = FoldingTable(id="table") if in_cluster else ResourceTable(id="table")
        self.log_pane = LogPane()
        self.probe_paths: Callable[[], Mapping[str, str]] = dict  # of services that answer elsewhere than at /
        self.action_bar = ActionBar()
        self.footer = FooterBar()
        looked_at = "part of a name, a state, an image or a port · /regex/ · label:NAME=VALUE"
        self.filter = Prompt(looked_at, self.table, id="filter")
        self.filter_note = Line(id="filter-note")  # what is wrong with the filter
        self.filter_note.display = False
        self.command_line: CommandLine | None = None  # after the first frame
        self.store = store or Store()
        self.board = Board(self.store, long_names=in_cluster)
        self.changes = Changes(self, control, self.action_bar)
        self.verdicts: VerdictWatch | None = None  # after the first frame
        self.panes = Panes(self, self.table, self.log_pane, self.filter)
        self.backend_name = backend.name
        self.project_hint = title
        self.verifies = False  # whether there is something to run the smoke tests with
        self.loads = False  # and the load tests
        self.deploys = False  # and overlays to deploy
        self.watches = False  # and to watch what is saved with
        self.watch_status = WatchStatus()
        self.before_first_frame: Callable[[], None] = lambda: None  # may `take` what is known already
        self._backend = backend
        self._subscriptions = Subscriptions(backend)
        self._version = 0
        self._ages_at = 0.0  # when (monotonic) the table's ages are due
        self._keys_for: object = None
        self._followed: object = None  # the line that log, details and keys are of
        self._own_bindings = self._bindings  # without the user's own commands
        self.controller = controller(self)
        self.following = LogFollowing(
            self.log_pane, self.table, self.board, self._subscriptions.logs, self.controller.empty_text
        )
        self.handlers: dict[str, Callable[..., object]] = {
            "find": self.panes.find,
            "browse": self._browse,
            "logs": self.panes.go_to_log,
            "merged": self._merge_logs,
            "detail": self.panes.go_to_detail,
            "zoom": self.panes.zoom,
            "tab_before": lambda: self.panes.step_tab(-1),
            "tab_next": lambda: self.panes.step_tab(1),
            "back": self.panes.back,
            "drop": self.drop,
            "dark": lambda: self._choose_theme("dark"),
            "light": lambda: self._choose_theme("light"),
            "colorblind": lambda: self._choose_theme("colorblind"),
            "ansi": lambda: self._choose_theme("ansi"),
            "verify": lambda: self.post_message(self.VerifyAsked()),
            "load": lambda: self.post_message(self.LoadAsked()),
            "watch": self._ask_watch,
            "deploy": lambda overlay="": self.post_message(self.DeployAsked(overlay)),
            "minikube": lambda argument="": self.post_message(self.MinikubeAsked(argument)),
            "mark": self.table.mark,
            "command": self.ask_command,
            "arrange": self._arrange_next,
            "sort": lambda: self._sort(self.board.sort_next),
            "turn": lambda: self._sort(self.board.sort_other_way),
            "columns": self._choose_columns,
            "audit_log": self._show_audit_log,
            "diagnostics": lambda: self.post_message(self.DiagnosticsAsked()),
            "leave": self.changes.quit,
            "help": self.show_help,
            **self.controller.handlers,
        }
        conditions: dict[str, Callable[[], bool]] = {
            "find": lambda: self.filter.is_attached and not self._types,
            "logs": lambda: self.focused is not self.log_pane.view and not self._types,
            "command": lambda: self.command_line is not None and self.command_line.is_attached and not self._types,
            "mark": lambda: bool(self.table.rows) and self.focused is self.table,
            "browse": lambda: any(port.host is not None for port in self.selected.ports) if self.selected else False,
            "verify": lambda: self.verifies,
            "columns": lambda: self.board.kind is None,
            "load": lambda: self.loads,
            "deploy": lambda: self.deploys,
            "watch": lambda: self.watches,
            "drop": lambda: self._may_drop or self.controller.offers(BY_NAME["drop"]),
        }
        self.dispatcher = Dispatcher(
            self.controller, self.handlers, conditions, self.table, self.changes.warn, in_cluster=in_cluster
        )

    def compose(self) -> ComposeResult:
        """Only what the first frame shows; the rest comes after it."""
        bars = iter(self.controller.bars)
        yield self.header
        if bar := next(bars, None):
            yield bar
        yield self.banner
        yield from bars
        yield self.table
        with Horizontal(id="lower"):
            yield self.log_pane
        yield self.action_bar
        yield self.footer
        yield Static("devenv needs at least 40 columns and 10 rows", id="too-small", markup=False)

    def on_mount(self) -> None:
        """Show the frame, with what is known already."""
        self.bindings_updated_signal.subscribe(self, lambda _: self.footer.tell(self))
        self.tell_table()
        self.tell_header(time.time())
        self.before_first_frame()

    async def furnish(self) -> None:
        """Ask the backend, which runs now, for what is on screen; bring the rest, and begin to look at the clock."""
        from devenv.tui.command_line import CommandLine
        from devenv.tui.detail_tabs import DetailTabs
        from devenv.tui.verdict_watch import VerdictWatch
        from devenv.tui.widgets.text_pane import DetailPane

        self._subscriptions.begin()
        self.command_line = CommandLine(
            self.dispatcher.candidates, self._typed, self.controller.typed_here, id="command-line"
        )
        await self.mount(self.filter, self.filter_note, self.command_line, after=self.table)
        self.panes.detail = DetailPane()
        self.panes.tabs = DetailTabs(
            self.panes.detail,
            self._backend,
            self.store,
            self.board,
            describe_group=self.controller.describe,
            verdicts=self.verdict_parts,
            redraw=self.panes.tell_detail,
            paths=self.probe_paths,
        )
        await self.query_one("#lower").mount(self.panes.detail)
        await self.log_pane.furnish()
        self.set_interval(TICK, self._each_second)
        self.verdicts = VerdictWatch(self, self._show_verdicts)
        self.verdicts.take(self.store.since(0))
        self.verdicts.look()
        await self.controller.begin()

    def on_unmount(self) -> None:
        """End what belongs to this screen."""
        self.controller.close()

    @property
    def selected(self) -> Resource | None:
        """The resource under the cursor."""
        row = self.table.selected
        return self.store.resource(row.key) if row else None

    @property
    def marked(self) -> list[Resource]:
        """The resources of the marked lines."""
        rows = [row for row in self.table.rows if row.path in self.table.marks] if self.table.marks else []
        return [known for row in rows if (known := self.store.resource(row.key)) is not None]

    @property
    def preferred_keys(self) -> frozenset[str]:
        """The ids of the keys that stand first in the last line, where there is not room for all."""
        if not self.in_cluster:
            return frozenset()
        return frozenset(action.name for action in ACTIONS if group_of(action, in_cluster=True) == OF_CLUSTER)

    # What came

    def take(self, changes: Sequence[Change]) -> Delta:
        """Apply records and draw what they changed."""
        if lines := [change for change in changes if isinstance(change, LogLine | LogsDropped)]:
            self.following.take(lines)
            changes = [change for change in changes if not isinstance(change, LogLine | LogsDropped)]
        for change in changes:
            if isinstance(change, WatchStatus):
                self._tell_watch(change)
        self.store.apply(changes)
        delta = self.store.since(self._version)
        self._version = delta.version
        now = time.time()
        if not delta.empty:
            if self.verdicts is not None:
                self.verdicts.take(delta)
            self.board.take(delta)
            self.tell_table()
            if delta.connections:
                self.banner.tell(self.store.connection(self.backend_name))
            if delta.connections or delta.updated or delta.removed:
                self.tell_header(now)
            self.panes.tell_detail(delta)
            self.following.tell(delta)
            self.changes.tell(delta.actions, now)
        if delta.actions or self.action_bar.running is not None:
            self.action_bar.tell(delta.actions, self.store.progress, now)
        self._tell_keys()
        if not delta.empty:
            self.controller.tell(delta, now)
        return delta

    def _ask_watch(self) -> None:
        place, is_meant = self.controller.cluster_place() or (None, False)
        self.post_message(self.WatchAsked(place if is_meant else None))

    def _tell_watch(self, status: WatchStatus) -> None:
        before, self.watch_status = self.watch_status, status
        self.tell_header(time.time())
        if status.trouble and not status.word:
            self.changes.impossible("watch", DevenvError(status.trouble, status.hint))
        elif status.trouble and status.trouble != before.trouble:
            self.changes.warn(f"{status.trouble} {status.hint}".rstrip(), "watch")

    def _each_second(self) -> None:
        self.tick(rows=self.table.counts_seconds or time.monotonic() >= self._ages_at)

    def tick(self, *, rows: bool = True) -> None:
        """Draw what time alone has changed, in the table only where its `rows` may have changed."""
        now = time.time()
        if rows:
            self._ages_at = time.monotonic() + AGES - TICK / 2
            self.refresh_rows()
        else:
            self.panes.tell_detail()
        self.tell_header(now)
        self.controller.tell(None, now)
        if self.verdicts is not None:
            self.verdicts.look()
        if self.action_bar.running is not None:
            self.action_bar.tell((), self.store.progress, now)

    def refresh_rows(self) -> None:
        """Make the rows on screen again, and draw what changed in them."""
        self.board.lines.forget_rows()
        self.board.lines.sort_again()
        self.tell_table()
        self.panes.tell_detail()

    def tell_table(self) -> None:
        """Show the board's rows."""
        self.table.show(self.board.lines, self._placeholder())
        problem = self.board.filter_problem
        self.filter_note.display = bool(problem)
        if problem:
            self.filter_note.say((f" ▲ {safe(problem)}; the table stays as it was", "$warning"))
        self._subscribe()

    def _placeholder(self) -> str:
        if self.board.filter_text and self.store.resources:
            return f"nothing matches “{self.board.filter_text}”; Esc shows everything"
        return self.controller.empty_text(None)

    def tell_header(self, now: float) -> None:
        """Show the project with its connection; what is in a cluster is counted elsewhere."""
        resources = list(self.board.compose.values())
        project = next((resource.project for resource in resources if resource.project), self.project_hint)
        connection, happenings = self.store.connection(self.backend_name), self.store.happenings
        self.header.tell(project, connection, resources, now, self.watch_status, happenings)

    def verdict_parts(self, resource: Resource) -> list[Part]:
        """Return what the smoke tests last said about it: a container's service, or a workload."""
        if self.verdicts is None:
            return []
        if resource.runtime is Runtime.COMPOSE:
            return self.verdicts.detail(resource)
        group = self.board.services.group_of_workload(resource) if resource.kind in ROLLED else None
        return [] if group is None else self.verdicts.detail(resource, self.board.services.running(group))

    def _show_verdicts(self, verdicts: Verdicts) -> None:
        self.board.show_verdicts(verdicts.cell, any_known=bool(verdicts.services))
        self.refresh_rows()

    # What is asked of the backend

    def _subscribe(self) -> None:
        names = self.table.column_names
        rows = list(self.table.visible_rows) if ("cpu" in names or "memory" in names) and self.table.display else []
        row = self.table.selected
        if row is not None and self.panes.detail_visible:
            rows.append(row)  # its figures are on screen, also where the table is not
        self._subscriptions.stats(key for row in rows if not row.absent for key in self.board.measured(row))
        exists = row is not None and not row.absent and self.store.resource(row.key) is not None
        self._subscriptions.detail(row.key if row is not None and exists and self.panes.detail_visible else None)

    @on(ResourceTable.Moved)
    def catch_up(self) -> None:
        """Let log, details and keys follow the table's cursor, where they do not yet: it goes ahead (`LineTable`)."""
        row = self.table.selected
        stands = (row.path, row.source) if row is not None else None
        if stands == self._followed:
            return
        self._followed = stands
        self.following.select(row)
        if row is not None:
            self._subscribe()
            self.panes.tell_detail(fresh=True)
            self._tell_keys()

    @on(ResourceTable.Opened)
    def _opened(self) -> None:
        self.catch_up()
        self.panes.go_to_detail()

    @on(ResourceTable.Marked)
    def _look_at_marks(self) -> None:
        self._tell_keys()

    @on(ResourceTable.Scrolled)
    def _look_again(self) -> None:
        self._subscribe()
        if not self.table.passes_by:
            self.panes.tell_detail()

    def on_detail_pane_appeared(self) -> None:
        """Look again at what is on screen; named, not imported: the module of the details is loaded late."""
        self._look_again()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.board.filter_text = event.value
        self.tell_table()

    # Actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        return self.dispatcher.check(action, parameters)

    def action_do(self, name: str) -> None:
        """Do what the table of actions calls by that name."""
        self.catch_up()
        self.dispatcher.do(name)

    @property
    def _types(self) -> bool:
        return isinstance(self.focused, Input)

    @property
    def _may_drop(self) -> bool:
        return self.action_bar.running is not None or self.action_bar.failed is not None

    def _tell_keys(self) -> None:
        bar = self.action_bar
        keys_for = (self.controller.offers_depend_on(), bar.running is None, bar.failed is None)
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.refresh_bindings()

    def commands(self) -> Iterator[Command]:
        """Give the palette what makes sense now."""
        return self.dispatcher.commands(self.selected)

    def _merge_logs(self) -> None:
        if self.following.merge():
            self.panes.go_to_log()

    def choose_commands(self, own: Iterable[Own]) -> None:
        """Offer these commands of the user's own, instead of those before."""
        self.dispatcher.choose_own(own)
        bindings = [action.binding() for action in self.dispatcher.own.values()]
        # Textual 8.2 has keys that come later for the whole app alone, where other screens would have them too.
        self._bindings = BindingsMap.merge([self._own_bindings, BindingsMap(bindings)])
        self.refresh_bindings()

    def show_help(self) -> None:
        """Show all keys."""
        from devenv.tui.dialogs import HelpScreen, chosen_keys
        from devenv.tui.widgets.data_tree import DataTree
        from devenv.tui.widgets.text_pane import DetailScroll

        own = tuple(help_groups(self.handlers, in_cluster=self.in_cluster, chosen=chosen_keys(self.app)))
        if self.dispatcher.own:
            mine = [action.binding() for action in self.dispatcher.own.values() if action.key]
            own = (*own, ("Your own commands", mine))
        lines = [("Lines", FoldingTable)] if self.in_cluster else []
        rest = (("Logs", LogView), ("Detail", DetailScroll), ("Inspect", DataTree))
        self.app.push_screen(HelpScreen((*own, ("Services", ResourceTable), *lines, *rest)))

    def _show_audit_log(self) -> None:
        from devenv.tui.dialogs import AuditScreen

        self.app.push_screen(AuditScreen())

    def drop(self) -> None:
        """Cancel the running change, or put the error of one away."""
        self.changes.drop()
        self._tell_keys()

    def _choose_theme(self, choice: str) -> None:
        from devenv.tui.theme import NAMES

        self.app.theme = NAMES[choice]

    # The command line

    def ask_command(self) -> None:
        """Ask for a line to obey."""
        if self.command_line is not None:
            self.command_line.ask()

    def _typed(self, text: str) -> None:
        if self.command_line is not None:
            self.command_line.close()
        self.set_focus(self.table)
        if text.strip():
            self.dispatcher.obey(text)

    # The order of the lines

    @on(ResourceTable.HeadClicked)
    def _sort_by(self, event: ResourceTable.HeadClicked) -> None:
        self._sort(partial(self.board.sort_by, event.column))

    def _arrange_next(self) -> None:
        self.board.arrange_next()
        self.tell_table()

    def _choose_columns(self) -> None:
        from devenv.tui.dialogs import ColumnsScreen

        services, offered = self.board.services, (*COLUMNS[1:], *VERIFIED)

        def choose(names: tuple[str, ...]) -> None:
            # All of them are what is shown without a choice; without any the name is left.
            services.choose_columns(() if len(names) == len(offered) else names or ("service",))
            self.refresh_rows()

        shown = services.chosen_columns or [column.name for column in offered]
        self.app.push_screen(ColumnsScreen(offered, shown, choose))

    def _sort(self, change: Callable[[Sequence[str]], None]) -> None:
        change(self.table.column_names)
        self.tell_table()

    # The details

    def on_detail_scroll_reveal(self) -> None:
        """Show the values of the environment for a moment; named, not imported, as above."""
        if self.panes.tabs is not None:
            self.panes.tabs.reveal()

    def on_detail_scroll_browse(self) -> None:
        """Open a port in the browser."""
        self._browse()

    def _browse(self) -> None:
        if self.panes.tabs is not None:
            self.panes.tabs.browse(self.selected)

    # A moment in a log

    def row_of_service(self, services: Sequence[str]) -> int | None:
        """Return the row of the last of these services that the table shows; the selected one where none is named."""
        names = [row.service for row in self.table.rows]
        last = next((name for name in reversed(services) if name in names), "" if services else None)
        if last is None and self.table.selected is not None:
            return names.index(self.table.selected.service)
        return names.index(last) if last else None

    def show_log(self, services: Sequence[str], at: float) -> bool:
        """Go to the service's log, at that time, as soon as its lines are there; False where the table has no row."""
        index = self.row_of_service(services)
        if index is None:
            return False
        self.table.select(index)
        self.catch_up()
        self.panes.go_to_log()
        source = self.table.rows[index].source
        self.call_after_refresh(self.following.jump, source, at)
        return True
