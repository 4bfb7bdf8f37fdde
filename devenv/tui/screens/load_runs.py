"""The earlier load tests of the project, and the way to a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from devenv.tui.widgets.footer import FooterBar
from devenv.tui.widgets.line import Line
from devenv.tui.widgets.load_list import LoadList

if TYPE_CHECKING:
    from devenv.load.live.runs import KnownRun
    from devenv.tui.loading import Loading

NOTHING = "No load test was run here yet: n starts one."


class LoadRunsScreen(Screen[None]):
    """Lists the runs; ⏎ opens one."""

    CSS_PATH = "load_runs.tcss"
    AUTO_FOCUS = "LoadList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,L", "dismiss", "back", key_display="Esc", id="load_runs.back"),
        Binding("n", "new", "new load test", id="load_runs.new"),
        Binding("q", "app.quit", "quit", id="load_runs.quit"),
        Binding("question_mark", "help", "help", key_display="?", id="load_runs.help"),
    ]

    def __init__(self, loading: Loading) -> None:
        super().__init__()
        self.loader = loading
        self.head = Line(id="load-runs-title")
        self.runs = LoadList()
        self.footer = FooterBar()

    def compose(self) -> ComposeResult:
        """Put the title above the list."""
        yield self.head
        yield self.runs
        yield self.footer

    def on_mount(self) -> None:
        """Begin to read."""
        self.bindings_updated_signal.subscribe(self, lambda _: self.footer.tell(self))
        self.head.say((" load tests ", "bold reverse"))
        self.runs.show((), "reading…")

    def on_screen_resume(self) -> None:
        """Read what is there now."""
        self.run_worker(self._read, thread=True, exclusive=True)

    def _read(self) -> None:
        found = self.loader.rig.known()
        self.app.call_from_thread(self._take, found)

    def _take(self, found: list[KnownRun]) -> None:
        self.runs.show(found, NOTHING)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a new one while none goes on."""
        return action != "new" or not self.loader.goes_on

    @on(LoadList.Opened)
    def _open(self) -> None:
        run = self.runs.selected
        if run is not None:
            self.loader.open(run)

    def action_new(self) -> None:
        """Ask what it shall be."""
        self.loader.ask()

    def action_help(self) -> None:
        """Show all keys."""
        from devenv.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen((("Load tests", LoadRunsScreen), ("List", LoadList))))
