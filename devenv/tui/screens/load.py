"""The screen of one load test, while it goes on and afterwards: figures, charts, tables, and the way to its report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from devenv.core.errors import DevenvError
from devenv.load.live.process import OUTPUT
from devenv.tui.load_charts import chart_parts
from devenv.tui.load_rows import number_parts, table_parts, title_parts
from devenv.tui.screens.load_text import LoadTextScreen
from devenv.tui.screens.view import ViewScroll
from devenv.tui.shown import shown
from devenv.tui.widgets.footer import FooterBar
from devenv.tui.widgets.line import Line, Part

if TYPE_CHECKING:
    from devenv.load.live.following import Following
    from devenv.tui.loading import Loading

PAGE, MARKDOWN = "report.html", "report.md"


class LoadScreen(Screen[None]):
    """Shows one run; leaving it changes nothing about the run."""

    CSS_PATH = "load.tcss"
    AUTO_FOCUS = "#load-tables"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,L", "back", "back", key_display="Esc", tooltip="the run goes on", id="load.back"),
        Binding("x", "stop", "stop", tooltip="reports are written; once more kills it", id="load.stop"),
        Binding("n", "new", "new", tooltip="another load test, as this one unless changed", id="load.new"),
        Binding("o", "open_page", "open the report", tooltip="report.html, in a browser", id="load.open"),
        Binding("m", "read_report", "read the report", tooltip="report.md, here", id="load.read"),
        Binding("c", "read_output", "console", tooltip="what Locust printed", id="load.console"),
        Binding("e", "earlier", "earlier", tooltip="earlier load tests", id="load.earlier"),
        Binding("q", "app.quit", "quit", tooltip="asks while a run goes on", id="load.quit"),
        Binding("question_mark", "help", "help", key_display="?", id="load.help"),
    ]

    def __init__(self, loading: Loading, following: Following) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (114, "-wide")]
        self.loader = loading
        self.following = following
        self.title_line = Line(id="load-title")
        self.numbers = Line(id="load-numbers")
        self.tables, self.charts = Static(markup=False), Static(markup=False)
        self.left, self.right = ViewScroll(id="load-tables"), ViewScroll(id="load-charts")
        self.footer = FooterBar()
        self._told: dict[str, tuple[Part, ...]] = {}
        self._keys_for: object = None
        self.drawn = 0  # texts drawn since it was opened: a budget of the tests

    def compose(self) -> ComposeResult:
        """Put how it stands above the charts and the tables."""
        yield self.title_line
        yield self.numbers
        with Container(id="load-body"):
            with self.left:
                yield self.tables
            with self.right:
                yield self.charts
        yield self.footer

    def on_mount(self) -> None:
        """Show what there is."""
        self.bindings_updated_signal.subscribe(self, lambda _: self.footer.tell(self))
        self.call_after_refresh(self.tell)

    def on_screen_resume(self) -> None:
        """Show what happened meanwhile."""
        self.loader.seen()
        self.tell()

    def on_resize(self) -> None:
        """Make the texts for the new width."""
        self.call_after_refresh(self.tell)

    def show(self, following: Following) -> None:
        """Show another run."""
        self.following = following
        self.tell()

    def tell(self) -> None:
        """Show how the run stands; only what changed is drawn."""
        if not self.is_attached or not self.size.width:
            return
        state = self.following.state
        self.title_line.say((" ", ""), *title_parts(state))
        self.numbers.say((" ", ""), *number_parts(state))
        left, right = self.left.scrollable_content_region, self.right.scrollable_content_region
        self._draw("tables", self.tables, table_parts(state, left.width, time.time()))
        self._draw("charts", self.charts, chart_parts(state, right.width, right.height))
        keys_for = (state.over, state.stopping, state.killed)
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.refresh_bindings()

    def _draw(self, name: str, static: Static, parts: list[Part]) -> None:
        if tuple(parts) != self._told.get(name):
            self._told[name] = tuple(parts)
            self.drawn += 1
            static.update(Content.assemble(*parts))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        state = self.following.state
        if action == "stop":
            return not state.over and not state.killed and self.following is self.loader.following
        if action in ("open_page", "read_report"):
            return state.over and bool(state.run)
        if action == "new":
            return not self.loader.goes_on
        if action == "read_output":
            return (self.following.live.folder / OUTPUT).is_file()
        return True

    def action_back(self) -> None:
        """Go back; the run goes on."""
        self.loader.seen()
        self.app.pop_screen()

    def action_stop(self) -> None:
        """Stop the run; once more kills it."""
        self.loader.stop()
        self.refresh_bindings()

    def action_new(self) -> None:
        """Ask what the next run shall be."""
        self.loader.ask()

    def action_earlier(self) -> None:
        """List the earlier runs."""
        self.loader.list_runs()

    def action_open_page(self) -> None:
        """Open the HTML report."""
        self.run_worker(self._open_page, thread=True, exclusive=True, group="report")

    def action_read_report(self) -> None:
        """Show the Markdown report."""
        self.run_worker(self._read_report, thread=True, exclusive=True, group="report")

    def action_read_output(self) -> None:
        """Show what Locust printed."""
        self.app.push_screen(LoadTextScreen("what Locust printed", self.following.live.folder / OUTPUT, at_end=True))

    def action_help(self) -> None:
        """Show all keys."""
        from devenv.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen((("Load test", LoadScreen), ("Tables and charts", ViewScroll))))

    def _report(self, name: str) -> bool:
        """Make the reports where the run was killed before it could; False, and told, where that is not possible."""
        folder = self.following.live.folder
        try:
            if not (folder / name).is_file():
                from devenv.load.ending import write_reports

                write_reports(folder)
        except DevenvError as error:
            self.app.call_from_thread(self.loader.main.changes.impossible, "the report", error)
            return False
        return True

    def _open_page(self) -> None:
        from devenv.tui.opening import open_file

        path = self.following.live.folder / PAGE
        if self._report(PAGE) and not open_file(path):
            self.app.call_from_thread(self._tell_path, str(path))

    def _tell_path(self, path: str) -> None:
        self.app.copy_to_clipboard(path)
        text = f"{path}\nNo browser can be opened from here; the path was copied where the terminal allows it."
        self.notify("\n".join(shown(line) for line in text.split("\n")), title="report", timeout=15, markup=False)

    def _read_report(self) -> None:
        if self._report(MARKDOWN):
            path = self.following.live.folder / MARKDOWN
            self.app.call_from_thread(lambda: self.app.push_screen(LoadTextScreen("report", path)) and None)
