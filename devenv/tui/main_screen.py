"""The main screen: table, log and details of whatever its controller serves; it passes on what the keys ask for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from devenv.backends.protocol import Backend
from devenv.control.protocol import Control
from devenv.core.errors import DevenvError
from devenv.core.model import Change, Happening, LogLine, LogsDropped, Resource, Runtime, Sample, State, WatchStatus
from devenv.core.state import Delta, Store
from devenv.logs.buffer import LogBuffer
from devenv.tui.action_table import (
    ACTIONS,
    BY_NAME,
    BY_WORD,
    IN_VIEW,
    NO_KEYS,
    OF_CLUSTER,
    ROLLED,
    SERVICE,
    UserAction,
    group_of,
    help_groups,
)
from devenv.tui.changes import Changes
from devenv.tui.feed import Subscriptions
from devenv.tui.logs.buffers import LogShelf
from devenv.tui.logs.pane import LogJump, LogPane, LogView
from devenv.tui.safe_text import Part, safe
from devenv.tui.table.board import Board
from devenv.tui.table.lines import GroupKey, Row
from devenv.tui.verdict_watch import VerdictWatch
from devenv.tui.widgets.bars import ActionBar, Banner, FooterBar, HeaderBar, Line
from devenv.tui.widgets.inputs import Prompt
from devenv.tui.widgets.resource_table import FoldingTable, ResourceTable

if TYPE_CHECKING:
    from devenv.backends.kube.kubeconfig import Target
    from devenv.tui.command_line import CommandLine, Places
    from devenv.tui.detail_tabs import DetailTabs
    from devenv.tui.dialogs import Command
    from devenv.tui.table.order import Order
    from devenv.tui.verdicts import Verdicts
    from devenv.tui.widgets.text_pane import DetailPane

SETTLED = 0.08  # seconds: a selection that only passes by does not open a log stream
TICK = 1.0  # seconds between two looks at ages and countdowns
MERGED = GroupKey("*", "*")  # the source that stands for all lines of the table
MERGED_PATH = ("*",)
MERGED_MOST = 60  # lines of the table; each log is a connection and a thread
ZOOMS = ("zoom-table", "zoom-logs", "zoom-detail")
Handlers = Mapping[str, Callable[..., object]]  # by the names of `devenv.tui.action_table`


class Controller(Protocol):
    """What the main screen shows and does, for one runtime or for two."""

    handlers: Handlers  # an action that has none is not offered; those of the screen's own actions are replaced

    @property
    def bars(self) -> Sequence[Widget]:
        """What stands below the header, and below the banner."""
        ...

    async def begin(self) -> None:
        """Bring what the first frame could do without."""
        ...

    def close(self) -> None:
        """End what would outlive the screen."""
        ...

    def offers(self, action: UserAction) -> bool:
        """Whether an action makes sense for the selection now."""
        ...

    def offers_depend_on(self) -> object:
        """Return what `offers` looks at: while it is the same, nothing else is offered."""
        ...

    def commands(self) -> Iterator[Command]:
        """Give the palette what is not in the table of actions."""
        ...

    @property
    def typed_here(self) -> str:
        """Return what stands in the empty command line."""
        ...

    def places(self) -> Places:
        """Return what of a cluster can be typed."""
        ...

    def obey_other(self, word: str, argument: str) -> None:
        """Do what was typed where its word is no action's."""
        ...

    def tell(self, delta: Delta | None, now: float) -> None:
        """Show what is the controller's own: after a change, or (None) because time went on."""
        ...

    def empty_text(self, row: Row | None) -> str:
        """Return what an empty table says, or the empty log of that row."""
        ...

    def cluster_place(self) -> tuple[Target, bool] | None:
        """Return the cluster and namespace that are shown, and whether the selection is there alone."""
        ...

    def describe(self, group: GroupKey) -> tuple[list[Part], list[Part]] | None:
        """Return the use and the text of a service that several resources make; None where there is nothing to say."""
        ...


class MainScreen(Screen[None]):
    """Draws what changed in the store; what it asks of the backend is what is on screen."""

    AUTO_FOCUS = "ResourceTable"
    BINDINGS: ClassVar[list[BindingType]] = [action.binding() for action in ACTIONS]

    class VerifyAsked(Message):
        """Somebody wants to see the smoke tests."""

    class LoadAsked(Message):
        """Somebody wants to see the load tests."""

    class WatchAsked(Message):
        """Somebody wants what is saved to be in the containers, or no more."""

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
        self.detail: DetailPane | None = None
        self.tabs: DetailTabs | None = None
        self.chosen_keys: Mapping[str, str] = NO_KEYS  # by the names of actions
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
        self.shelf = LogShelf(self.board.services.workload_of)
        self.changes = Changes(self, control, self.action_bar)
        self.verdicts = VerdictWatch(self, self._show_verdicts)
        self.backend_name = backend.name
        self.project_hint = title
        self.verifies = False  # whether there is something to run the smoke tests with
        self.loads = False  # and the load tests
        self.watches = False  # and to watch what is saved with
        self.watch_status = WatchStatus()
        self.before_first_frame: Callable[[], None] = lambda: None  # may `take` what is known already
        self._backend = backend
        self._subscriptions = Subscriptions(backend)
        self._version = 0
        self._settle: Timer | None = None
        self._keys_for: object = None
        self._log_jump: LogJump | None = None
        self._merged = False  # whether the log is that of all lines of the table
        self.controller = controller(self)
        self.handlers: dict[str, Callable[..., object]] = {
            "find": self._find,
            "logs": self.go_to_log,
            "merged": self._merge_logs,
            "detail": self.go_to_detail,
            "zoom": self._zoom,
            "tab_before": lambda: self._step_tab(-1),
            "tab_next": lambda: self._step_tab(1),
            "back": self.go_back,
            "drop": self.drop,
            "dark": lambda: self._choose_theme("dark"),
            "light": lambda: self._choose_theme("light"),
            "colorblind": lambda: self._choose_theme("colorblind"),
            "ansi": lambda: self._choose_theme("ansi"),
            "verify": lambda: self.post_message(self.VerifyAsked()),
            "load": lambda: self.post_message(self.LoadAsked()),
            "watch": lambda: self.post_message(self.WatchAsked()),
            "mark": self.table.mark,
            "command": self.ask_command,
            "sort": self._sort_next,
            "turn": self._sort_other_way,
            "audit_log": self._show_audit_log,
            "leave": self.changes.quit,
            "help": self.show_help,
            **self.controller.handlers,
        }

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
        from devenv.tui.widgets.text_pane import DetailPane

        self._subscriptions.begin()
        self.command_line = CommandLine(self._candidates, self._typed, self.controller.typed_here, id="command-line")
        await self.mount(self.filter, self.filter_note, self.command_line, after=self.table)
        self.detail = DetailPane()
        self.tabs = DetailTabs(
            self.detail,
            self._backend,
            self.store,
            self.board,
            describe_group=self.controller.describe,
            verdicts=self.verdict_parts,
            redraw=self.tell_detail,
            paths=self.probe_paths,
        )
        await self.query_one("#lower").mount(self.detail)
        await self.log_pane.furnish()
        self.set_interval(TICK, self.tick)
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
    def detail_visible(self) -> bool:
        """Whether the details are on screen."""
        return self.detail is not None and self.detail.display

    @property
    def preferred_keys(self) -> frozenset[str]:
        """The ids of the keys that stand first in the last line, where there is not room for all."""
        if not self.in_cluster:
            return frozenset()
        return frozenset(action.name for action in ACTIONS if group_of(action, in_cluster=True) == OF_CLUSTER)

    # What came

    def take(self, changes: Sequence[Change]) -> Delta:
        """Apply records and draw what they changed."""
        self._take_logs([change for change in changes if isinstance(change, LogLine | LogsDropped)])
        for change in changes:
            if isinstance(change, WatchStatus):
                self._tell_watch(change)
        self.store.apply(changes)
        delta = self.store.since(self._version)
        self._version = delta.version
        now = time.time()
        if not delta.empty:
            self.verdicts.take(delta)
            self.board.take(delta)
            self.tell_table()
            if delta.connections:
                self.banner.tell(self.store.connection(self.backend_name))
            if delta.connections or delta.updated or delta.removed:
                self.tell_header(now)
            self.tell_detail(delta)
            if self._changes_followed(delta):
                self._follow()
            self.changes.tell(delta.actions, now)
        if delta.actions or self.action_bar.running is not None:
            self.action_bar.tell(delta.actions, self.store.progress, now)
        self._tell_keys()
        if not delta.empty:
            self.controller.tell(delta, now)
        return delta

    def _take_logs(self, lines: Sequence[LogLine | LogsDropped]) -> None:
        on_screen = self.log_pane.view.buffer
        if lines and any(buffer is on_screen for buffer in self.shelf.take(*lines)):
            self.log_pane.view.sync()
            if self._log_jump is not None:
                self._jump(self._log_jump)

    def _tell_watch(self, status: WatchStatus) -> None:
        before, self.watch_status = self.watch_status, status
        self.tell_header(time.time())
        if status.trouble and not status.word:
            self.changes.impossible("watch", DevenvError(status.trouble, status.hint))
        elif status.trouble and status.trouble != before.trouble:
            self.changes.warn(f"{status.trouble} {status.hint}".rstrip(), "watch")

    def tick(self) -> None:
        """Draw what time alone has changed."""
        now = time.time()
        self.refresh_rows()
        self.tell_header(now)
        self.controller.tell(None, now)
        self.verdicts.look()
        if self.action_bar.running is not None:
            self.action_bar.tell((), self.store.progress, now)

    def refresh_rows(self) -> None:
        """Make the rows on screen again, and draw what changed in them."""
        self.board.lines.forget_rows()
        self.board.lines.sort_again()
        self.tell_table()
        self.tell_detail()

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
        self.header.tell(project, self.store.connection(self.backend_name), resources, now, self.watch_status)

    def tell_detail(self, delta: Delta | None = None, *, fresh: bool = False) -> None:
        """Show the details of the selected row, after a change only where it is about that."""
        row = self.table.selected
        if self.tabs is not None and self.detail_visible and row is not None and _concerns(delta, row):
            self.tabs.tell(row, fresh=fresh)

    def verdict_parts(self, resource: Resource) -> list[Part]:
        """Return what the smoke tests last said about it: a container's service, or a workload."""
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
        if row is not None and self.detail_visible:
            rows.append(row)  # its figures are on screen, also where the table is not
        self._subscriptions.stats(key for row in rows if not row.absent for key in self.board.measured(row))
        exists = row is not None and not row.absent and self.store.resource(row.key) is not None
        self._subscriptions.detail(row.key if row is not None and exists and self.detail_visible else None)

    def _follow(self) -> None:
        """Follow what exists, after the logs of services have learnt what these are made of now."""
        for source in self.shelf.kept:
            group = self.board.services.groups.get(source) if isinstance(source, GroupKey) else None
            sources = group.sources() if group is not None else self._all_sources() if source == MERGED else None
            if sources is not None and self.shelf.feed(source, sources) is self.log_pane.view.buffer:
                self.log_pane.view.show_again()
        self._subscriptions.logs(key for key in self.shelf.keys if self._was_created(key))

    def _was_created(self, key: str) -> bool:
        resource = self.store.resource(key)
        return resource is not None and resource.state not in (State.ABSENT, State.PROVIDED)

    def _changes_followed(self, delta: Delta) -> bool:
        """Whether something that is followed came or changed, or a service may be made of something else now."""
        if any(isinstance(source, GroupKey) for source in self.shelf.kept):
            return bool(delta.updated or delta.removed)
        return any(resource.key in self.shelf.keys for resource in delta.updated)

    @on(ResourceTable.Moved)
    def _moved(self) -> None:
        row = self.table.selected
        if row is None:
            self.log_pane.show("", LogBuffer(), "")
            return
        first = not self.shelf.kept
        if not self._merged:
            self._show_log(row)
        if self._settle is not None:
            self._settle.stop()
        if first:
            self._follow()
        else:
            self._settle = self.set_timer(SETTLED, self._follow)
        self._subscribe()
        self.tell_detail(fresh=True)
        self._tell_keys()

    def _show_log(self, row: Row) -> None:
        buffer = self.shelf.select(row.path, row.source, time.time())
        resource = self.store.resource(row.key)
        started_at = resource.started_at if resource is not None else None
        self.log_pane.show(row.title, buffer, self.controller.empty_text(row), started_at)

    def _merge_logs(self) -> None:
        """Show the logs of the marked lines, else of all lines, as one; or that of the selected one again."""
        row = self.table.selected
        if row is None:
            return
        self._merged = not self._merged
        if self._merged:
            buffer = self.shelf.select(MERGED_PATH, MERGED, time.time())
            self.shelf.feed(MERGED, self._all_sources())
            self.shelf.let_go(MERGED)  # it may have been that of other lines before
            self.log_pane.show(
                "of the marked lines" if self.table.marks else "all that the table shows", buffer, "no output yet"
            )
        else:
            self._show_log(row)
        self._follow()
        self.go_to_log()

    def _all_sources(self) -> dict[str, str]:
        """Return the sources of the marked lines, else of all that the table shows, each with its name."""
        sources: dict[str, str] = {}
        marks = self.table.marks
        for row in islice((row for row in self.table.rows if not marks or row.path in marks), MERGED_MOST):
            group = self.board.services.groups.get(row.group) if row.group is not None else None
            if group is not None:
                sources |= {key: f"{row.title} {runtime}" for key, runtime in group.sources().items()}
            elif row.key and not row.absent:
                sources.setdefault(row.key, row.title)
        return sources

    @on(ResourceTable.Marked)
    def _look_at_marks(self) -> None:
        self._tell_keys()

    @on(ResourceTable.Scrolled)
    def _look_again(self) -> None:
        self._subscribe()
        self.tell_detail()

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
        return self.offers(BY_NAME[str(parameters[0])]) if action == "do" else True

    def offers(self, action: UserAction) -> bool:
        """Whether the action makes sense now."""
        match action.name:
            case name if name not in self.handlers:
                return False
            case "find":
                return self.filter.is_attached and not isinstance(self.focused, Input)
            case "logs":
                return self.focused is not self.log_pane.view and not isinstance(self.focused, Input)
            case "command":
                there = self.command_line is not None and self.command_line.is_attached
                return there and not isinstance(self.focused, Input)
            case "mark":
                return bool(self.table.rows) and self.focused is self.table
            case "verify":
                return self.verifies
            case "load":
                return self.loads
            case "watch":
                return self.watches
            case "drop" if self.action_bar.running is not None or self.action_bar.failed is not None:
                return True
        return self.controller.offers(action)

    def action_do(self, name: str) -> None:
        """Do what the table of actions calls by that name."""
        self.handlers[name]()

    def _tell_keys(self) -> None:
        bar = self.action_bar
        keys_for = (self.controller.offers_depend_on(), bar.running is None, bar.failed is None)
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.refresh_bindings()

    def commands(self) -> Iterator[Command]:
        """Give the palette what makes sense now: for the selection, for the project, for the view."""
        selected = self.selected
        yield from self.controller.commands()
        for action in sorted(ACTIONS, key=lambda action: (SERVICE not in action.palette, action.group == IN_VIEW)):
            run = self.handlers.get(action.name)
            if run is None or not action.palette:
                continue
            if SERVICE not in action.palette:
                if self.offers(action):
                    yield action.palette, action.meaning or action.binding(in_cluster=self.in_cluster).tooltip, run
            elif selected is not None and selected.runtime is Runtime.COMPOSE and selected.service:
                yield action.palette.format(service=safe(selected.service)), action.meaning, run

    def show_help(self) -> None:
        """Show all keys."""
        from devenv.tui.dialogs import HelpScreen
        from devenv.tui.widgets.data_tree import DataTree
        from devenv.tui.widgets.text_pane import DetailScroll

        own = help_groups(self.handlers, in_cluster=self.in_cluster, chosen=self.chosen_keys)
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

    def _candidates(self, text: str) -> tuple[str, ...]:
        from devenv.tui.command_line import candidates

        services = dict.fromkeys(row.service for row in self.table.rows)
        return candidates(text, self.handlers, services, self.controller.places())

    def _typed(self, text: str) -> None:
        if self.command_line is not None:
            self.command_line.close()
        self.set_focus(self.table)
        if text.strip():
            self.obey(text)

    def obey(self, text: str) -> None:
        """Do what was typed: an action by its word, of a service that may be named; else what the controller knows."""
        from devenv.tui.command_line import parse

        command = parse(text)
        action = BY_WORD.get(command.word)
        if action is None or action.name not in self.handlers:
            self.controller.obey_other(command.word, command.argument)
        elif action.argument:
            self.handlers[action.name](command.argument)
        elif not command.argument or (action.of_service and self._go_to(command.argument)):
            if self.offers(action):
                self.handlers[action.name]()
            else:
                self.changes.warn("That does nothing here now.", f":{text.strip().removeprefix(':')}")
        else:
            what = "no service of that name is shown" if action.of_service else "nothing follows this word"
            self.changes.warn(f"{command.argument}: {what}", f":{command.word}")

    def _go_to(self, service: str) -> bool:
        """Put the cursor on the first line of a service; return whether there is one."""
        index = next((index for index, row in enumerate(self.table.rows) if row.service == service), None)
        if index is not None:
            self.table.unmark()  # the act is for the one that was named
            self.table.select(index)
        return index is not None

    # The order of the lines

    def _sort_next(self) -> None:
        from devenv.tui.table.order import next_order

        self._sort(next_order(self.board.order, self.table.column_names))

    def _sort_other_way(self) -> None:
        from devenv.tui.table.order import turned

        self._sort(turned(self.board.order, self.table.column_names))

    @on(ResourceTable.HeadClicked)
    def _sort_by(self, event: ResourceTable.HeadClicked) -> None:
        from devenv.tui.table.order import begun, turned

        now, columns = self.board.order, self.table.column_names
        same = event.column == (now.column if now is not None else columns[0])
        self._sort(turned(now, columns) if same else begun(event.column))

    def _sort(self, order: Order | None) -> None:
        self.board.order = order
        self.tell_table()

    # The panes

    def _find(self) -> None:
        """Ask for a text: to filter the services by, or in the log to search for."""
        if self.focused is self.log_pane.view:
            self.log_pane.prompt.ask()
        elif self.detail is not None and self.detail.data_tree is not None and self.focused is self.detail.data_tree:
            self.query_one("#detail-search", Prompt).ask()
        else:
            self.remove_class("zoom-logs", "zoom-detail")
            self.filter.ask()

    def go_to_log(self) -> None:
        """Go to the log, at once: the next key may be typed already. `Widget.focus` would wait for its turn."""
        self.remove_class("detail-open", "zoom-table", "zoom-detail")
        self.set_focus(self.log_pane.view)

    @on(ResourceTable.Opened)
    def go_to_detail(self) -> None:
        """Go to the details; where there is no room beside the log, they take its place."""
        if self.detail is not None:
            self.add_class("detail-open")
            self.remove_class("zoom-table", "zoom-logs")
            self.set_focus(self.detail.content)

    def _step_tab(self, by: int) -> None:
        """Open the next tab of the details, or the one before; where they are not on screen, open them."""
        if not self.detail_visible:
            self.go_to_detail()
        elif self.tabs is not None:
            self.tabs.step(by)

    def on_detail_scroll_reveal(self) -> None:
        """Show the values of the environment for a moment; named, not imported, as below."""
        if self.tabs is not None:
            self.tabs.reveal()

    def on_detail_scroll_browse(self) -> None:
        """Open a port in the browser."""
        if self.tabs is not None:
            self.tabs.browse()

    def _zoom(self) -> None:
        """Give the whole screen to the pane with the focus, or take it back."""
        if any(self.has_class(name) for name in ZOOMS):
            self.remove_class(*ZOOMS)
        elif self.focused is self.log_pane.view:
            self.add_class("zoom-logs")
        elif self.detail is not None and self.focused is self.detail.content:
            self.add_class("zoom-detail")
        else:
            self.add_class("zoom-table")

    def go_back(self) -> None:
        """Take one step back: the search, then zoom and details; then to the table, its marks and its filter."""
        if self.focused is self.log_pane.view and self.log_pane.view.search_text:
            self.log_pane.stop_search()
            return
        self.remove_class(*ZOOMS, "detail-open")
        if self.focused is not self.table:
            self.set_focus(self.table)
        elif self.table.marks:
            self.table.unmark()
        elif self.filter.value:
            self.filter.action_clear()

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
        self.go_to_log()
        source = self.table.rows[index].source
        self.call_after_refresh(lambda: self._jump(LogJump(self.log_pane.view, source, at)))
        return True

    def _jump(self, jump: LogJump) -> None:
        row = self.table.selected
        waits = row is not None and row.source == jump.source and jump.look()
        self._log_jump = jump if waits else None


def _concerns(delta: Delta | None, row: Row) -> bool:
    """Whether a change is about that row; None is about every one."""
    if delta is None:
        return True
    if row.group is not None:
        return bool(delta.updated or delta.removed or delta.samples)
    groups: tuple[Sequence[Resource | Sample | Happening], ...] = (delta.updated, delta.samples, delta.happenings)
    return any(item.key == row.key for group in groups for item in group)
