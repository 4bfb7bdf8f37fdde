"""The screen that devenv opens with: it shows the store and passes on what the keys ask for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer

from devenv.backends.protocol import Backend
from devenv.control.protocol import Control
from devenv.core.model import Change, ConnectionState, Happening, LogLine, LogsDropped, Resource, Sample, State
from devenv.core.state import Delta, Store
from devenv.tui.board import Board, Showing
from devenv.tui.changes import Changes
from devenv.tui.log_shelf import LogShelf
from devenv.tui.rows import Row
from devenv.tui.screens.panes import Panes
from devenv.tui.verdict_watch import VerdictWatch
from devenv.tui.wanted import Wanted
from devenv.tui.widgets.log_buffer import LogBuffer
from devenv.tui.widgets.log_view import LogView
from devenv.tui.widgets.resource_table import ResourceTable

if TYPE_CHECKING:
    from devenv.tui.log_jump import LogJump
    from devenv.tui.verdicts import Verdicts

SETTLED = 0.08  # seconds: a selection that only passes by does not open a log stream
TICK = 1.0  # seconds between two looks at ages and countdowns


class MainScreen(Panes):
    """Draws what changed in the store; what it asks of the backend is what is on screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "drop", "cancel/dismiss", tooltip="the running change, or the error of one", id="drop"),
        Binding("r", "change('restart')", "restart", id="restart"),
        Binding("s", "change('start')", "start", id="start"),
        Binding("S", "change('stop')", "stop", key_display="S", id="stop"),
        Binding("u", "change('up')", "up", tooltip="the selected service", id="up"),
        Binding("U", "change_all('up')", "up all", key_display="U", tooltip="the whole project", id="up_all"),
        Binding("D", "change_all('down')", "down", key_display="D", tooltip="the whole project; asks", id="down"),
        Binding("v", "verify", "verify", tooltip="the smoke tests: run them, see how they go", id="verify"),
        Binding("L", "load", "load", key_display="L", tooltip="load tests: run one, see how it goes", id="load"),
        Binding("q", "leave", "quit", id="quit"),
        Binding("question_mark", "help", "help", key_display="?", id="help"),
    ]

    class VerifyAsked(Message):
        """Somebody wants to see the smoke tests."""

    class LoadAsked(Message):
        """Somebody wants to see the load tests."""

    def __init__(self, backend: Backend, control: Control, title: str) -> None:
        super().__init__()
        self.store = Store()
        self.board: Showing = Board(self.store)
        self.shelf = LogShelf()
        self.changes = Changes(self, control, self.action_bar)
        self._backend_name = backend.name
        self._wanted = Wanted(backend)
        self.project_hint = title
        self._version = 0
        self._settle: Timer | None = None
        self._keys_for: object = None
        self.verifies = False  # whether there is something to run the smoke tests with
        self.loads = False  # and the load tests
        self._verdicts = VerdictWatch(self, self._show_verdicts)
        self._log_jump: LogJump | None = None
        self.before_first_frame: Callable[[], None] = lambda: None  # may `take` what is known already

    @property
    def selected(self) -> Resource | None:
        """The resource under the cursor."""
        row = self.table.selected
        return self.store.resource(row.key) if row else None

    def on_mount(self) -> None:
        """Show the frame, with what is known already."""
        self.bindings_updated_signal.subscribe(self, lambda _: self.footer.tell(self))
        self._tell_table()
        self._tell_header(time.time())
        self.before_first_frame()

    async def furnish(self) -> None:
        """Ask the backend, which runs now, for what is on screen; bring the rest, and begin to look at the clock."""
        self._wanted.begin()
        await super().furnish()
        self.set_interval(TICK, self._tick)
        self._verdicts.look()

    def take(self, changes: Sequence[Change]) -> Delta:
        """Apply records and draw what they changed."""
        self._take_logs([change for change in changes if isinstance(change, LogLine | LogsDropped)])
        self.store.apply(changes)
        delta = self.store.since(self._version)
        self._version = delta.version
        now = time.time()
        if not delta.empty:
            self._verdicts.take(delta)
            self.board.take(delta, now)
            self._tell_table()
            if delta.connections:
                self.banner.tell(self.store.connection(self._backend_name))
            if delta.connections or delta.updated or delta.removed:
                self._tell_header(now)
            self._tell_detail(delta)
            self._follow_if_created(delta)
            self.changes.tell(delta.actions, now)
        if delta.actions or self.action_bar.running is not None:
            self.action_bar.tell(delta.actions, self.store.progress.values(), now)
        self._tell_keys()
        return delta

    def _take_logs(self, lines: Sequence[LogLine | LogsDropped]) -> None:
        on_screen = self.log_pane.view.buffer
        touched = [self.shelf.take(line) for line in lines]
        if any(buffer is on_screen for buffer in touched):
            self.log_pane.view.sync()
            if self._log_jump is not None:
                self._jump(self._log_jump)

    def row_of_service(self, services: Sequence[str]) -> int | None:
        """Return the row of the last of these services that the table shows; the selected one where none is named."""
        names = [row.identity.service for row in self.table.rows]
        shown_one = next((name for name in reversed(services) if name in names), "" if services else None)
        if shown_one is None and self.table.selected is not None:
            return names.index(self.table.selected.identity.service)
        return names.index(shown_one) if shown_one else None

    def show_log(self, services: Sequence[str], at: float) -> bool:
        """Go to the service's log, at that time, as soon as its lines are there; False where the table has no row."""
        from devenv.tui.log_jump import LogJump

        index = self.row_of_service(services)
        if index is None:
            return False
        self.table.select(index)
        self.action_logs()
        key = self.table.rows[index].key
        self.call_after_refresh(lambda: self._jump(LogJump(self.log_pane.view, key, at)))
        return True

    def _jump(self, jump: LogJump) -> None:
        row = self.table.selected
        waits = row is not None and row.key == jump.key and jump.look()
        self._log_jump = jump if waits else None

    def _show_verdicts(self, found: Verdicts, keys: Iterable[str]) -> None:
        self.board.verdict = found.cell
        if found.services:
            self.table.show_verdicts()
        self.refresh_rows(keys)

    def refresh_rows(self, keys: Iterable[str]) -> None:
        """Build rows again, and draw what changed in them."""
        self.board.refresh(keys, time.time())
        self._tell_table()
        self._tell_detail()

    def _tick(self) -> None:
        now = time.time()
        self.refresh_rows([row.key for row in self.table.visible_rows])
        self._tell_header(now)
        self._verdicts.look()
        if self.action_bar.running is not None:
            self.action_bar.tell((), self.store.progress.values(), now)

    def _tell_table(self) -> None:
        self.table.show(self.board.shown, self._placeholder())
        self._watch()

    def _placeholder(self) -> str:
        if self.board.filter_text and self.store.resources:
            return f"nothing matches “{self.board.filter_text}”; Esc shows everything"
        connection = self.store.connection(self._backend_name)
        if connection is None or connection.state is ConnectionState.CONNECTING:
            return "connecting…"
        if connection.state is ConnectionState.LIVE:
            return "nothing is declared or running here"
        return "nothing to show until the connection is back"

    def _tell_header(self, now: float) -> None:
        resources = self.store.resources.values()
        project = next((resource.project for resource in resources if resource.project), self.project_hint)
        self.header.tell(project, self.store.connection(self._backend_name), resources, now)

    def _tell_detail(self, delta: Delta | None = None, *, fresh: bool = False) -> None:
        row = self.table.selected
        resource = self.selected
        if self.detail is None or not self.detail_visible or row is None or resource is None:
            return
        if delta is not None and not _touches(delta, row.key):
            return
        from devenv.tui.widgets.detail_text import describe, describe_use

        use = describe_use(resource, self.store.sample(row.key), self.board.history(row.key))
        text = describe(resource, self.store.happenings(row.key), time.time()) + self._verdicts.detail(resource)
        self.detail.tell(row.title, use, text, fresh=fresh)

    def _tell_keys(self) -> None:
        resource, bar = self.selected, self.action_bar
        keys_for = (resource and (resource.service, resource.state), bar.running is None, bar.failed is None)
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.refresh_bindings()

    def _watch(self) -> None:
        names = self.table.column_names
        measured = "cpu" in names or "memory" in names
        self._wanted.stats(row.key for row in self.table.visible_rows if measured and not row.absent)
        row = self.table.selected
        self._wanted.detail(row.key if row and not row.absent and self.detail_visible else None)

    def _follow(self) -> None:
        self._wanted.logs(key for key in self.shelf.keys if self._exists(key))

    def _follow_if_created(self, delta: Delta) -> None:
        if any(resource.key in self.shelf.keys for resource in delta.updated):
            self._follow()

    def _exists(self, key: str) -> bool:
        resource = self.store.resource(key)
        return resource is not None and resource.state not in (State.ABSENT, State.PROVIDED)

    def _waiting(self, row: Row) -> str:
        return "nothing was created yet, so there is no log" if row.absent else "no output yet"

    @on(ResourceTable.Moved)
    def _moved(self) -> None:
        row = self.table.selected
        if row is None:
            self.log_pane.show("", LogBuffer(), "")
            return
        first = not self.shelf.keys
        buffer = self.shelf.select(row.identity, row.key, time.time())
        self.log_pane.show(row.title, buffer, self._waiting(row))
        if self._settle is not None:
            self._settle.stop()
        if first:
            self._follow()
        else:
            self._settle = self.set_timer(SETTLED, self._follow)
        self._watch()
        self._tell_detail(fresh=True)
        self._tell_keys()

    @on(ResourceTable.Scrolled)
    @on(Panes.Rearranged)
    def _look_again(self) -> None:
        self._watch()
        self._tell_detail()

    @on(Panes.Filtered)
    def _filter(self, event: Panes.Filtered) -> None:
        self.board.filter_text = event.text
        self._tell_table()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense for the selection now."""
        if action == "change":
            resource = self.selected
            return bool(resource and resource.service and makes_sense(str(parameters[0]), resource))
        if action in ("verify", "load"):
            return self.verifies if action == "verify" else self.loads
        if action == "drop":
            return self.action_bar.running is not None or self.action_bar.failed is not None
        return super().check_action(action, parameters)

    def action_change(self, verb: str) -> None:
        """Change the selected service."""
        resource = self.selected
        if resource is not None and resource.service:
            self.changes.ask(verb, (resource.service,))

    def action_change_all(self, verb: str) -> None:
        """Change the whole project."""
        self.changes.ask(verb)

    def action_drop(self) -> None:
        """Cancel the running change, or put the error of one away."""
        self.changes.drop()
        self._tell_keys()

    def verified(self) -> None:
        """Look at once at what a run that has ended says."""
        self._verdicts.look()

    def action_verify(self) -> None:
        """Open the screen of the smoke tests."""
        self.post_message(self.VerifyAsked())

    def action_load(self) -> None:
        """Open the screen of the load tests."""
        self.post_message(self.LoadAsked())

    def action_leave(self) -> None:
        """Quit."""
        self.changes.quit()

    def action_help(self) -> None:
        """Show all keys."""
        from devenv.tui.screens.help import HelpScreen
        from devenv.tui.widgets.detail_pane import DetailScroll

        groups = (("Project", MainScreen), ("View", Panes), ("Services", ResourceTable))
        self.app.push_screen(HelpScreen((*groups, ("Logs", LogView), ("Detail", DetailScroll))))


def _touches(delta: Delta, key: str) -> bool:
    groups: tuple[Sequence[Resource | Sample | Happening], ...] = (delta.updated, delta.samples, delta.happenings)
    return any(item.key == key for group in groups for item in group)


def makes_sense(verb: str, resource: Resource) -> bool:
    """Whether a change does something to that container."""
    if verb == "restart":
        return resource.state not in (State.ABSENT, State.PROVIDED)
    if verb == "start":
        return resource.state in (State.EXITED, State.CREATED, State.DEAD)
    return verb == "up" or resource.state.is_up
