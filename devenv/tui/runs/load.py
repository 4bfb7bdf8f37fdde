"""Load tests in the terminal: the one that it follows, the screen of one, and the list of the earlier ones.

Imported when somebody first wants a load test, or when one was found that goes on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError
from devenv.load.live import Following, LoadState
from devenv.load.runner import OUTPUT, VERB, LiveLoad, LoadOptions, LoadRunner
from devenv.tui.runs.frame import Runs, RunScreen, TextScreen
from devenv.tui.runs.load_form import DETACH, LoadFormScreen, LoadLeaveScreen, load_targets
from devenv.tui.runs.load_list import LoadList
from devenv.tui.runs.load_rows import chart_parts, end_of, mark_text, number_parts, table_parts, title_parts
from devenv.tui.safe_text import Part, safe
from devenv.tui.widgets.bars import Line
from devenv.tui.widgets.text_pane import ViewScroll

if TYPE_CHECKING:
    from devenv.load.runner import KnownRun
    from devenv.tui.main_screen import MainScreen

_opened: list[subprocess.Popen[bytes]] = []  # they live as long as their window; nobody waits for them


def program(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str:
    """Return the program that opens files; "" without a desktop, where a browser would take this terminal."""
    if platform == "darwin":
        return "open"
    has_desktop = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    return (shutil.which("xdg-open", path=environ.get("PATH")) or "") if has_desktop else ""


def open_file(path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Open it and return at once; False where nothing here can."""
    name = program(environ)
    if not name:
        return False
    silent = subprocess.DEVNULL
    try:
        _opened.append(
            subprocess.Popen([name, str(path)], stdin=silent, stdout=silent, stderr=silent, start_new_session=True)
        )
    except OSError:
        return False
    return True


SETTLED: Final = 1.0  # seconds after which no earlier log line is expected any more
NOTHING: Final = "No load test was run here yet: n starts one."
PAGE, MARKDOWN = "report.html", "report.md"


class LoadRuns(Runs):
    """Starts, follows and stops load tests, one at a time; tells the screen, the main screen's line and the logs."""

    LOOK = 1.0  # it writes once a second
    KEY = "L"

    def __init__(self, app: App[int], main: Callable[[], MainScreen], runner: LoadRunner) -> None:
        super().__init__(app, main)
        self.runner = runner
        self.options = LoadOptions()  # the last one
        self.following: Following | None = None
        self._marked = 0
        self._starting = False

    @property
    def state(self) -> LoadState | None:
        """The state of the run that is followed, or of the last one that was."""
        return self.following.state if self.following is not None else None

    @property
    def goes_on(self) -> bool:
        """Whether a run has not ended yet."""
        return self._starting or (self.state is not None and not self.state.over)

    def start(self, options: LoadOptions) -> None:
        """Start a run unless one goes on; the guard is asked in a thread, since it reads the kubeconfig."""
        if self.goes_on:
            return
        self.options = options
        self._starting = True

        def work() -> None:
            try:
                plan = self.runner.plan(options)
                live = self.runner.start(plan, options) if plan.allowed else None
            except DevenvError as error:
                self.app.call_from_thread(self._not_started, error)
            else:
                self.app.call_from_thread(self._started, plan, live)

        self.main.run_worker(work, thread=True, group="load")

    def _not_started(self, error: DevenvError) -> None:
        self._starting = False
        self.main.changes.impossible(VERB, error)

    def _started(self, plan: Plan, live: LiveLoad | None) -> None:
        self._starting = False
        if live is None:
            self.main.changes.offer(plan)  # tells why it was refused
            return
        self.follow(Following(live))
        if not isinstance(self.app.screen, LoadScreen):
            self.app.push_screen(self.screen())

    def follow(self, following: Following) -> None:
        """Follow this run from now on."""
        self.following = following
        self._marked = 0
        self.main.changes.before_leaving.append(self._asks)
        self._begin_looking()
        top = self.app.screen
        if isinstance(top, LoadScreen):
            top.show(following)
        self._look()

    def open(self, run: KnownRun) -> None:
        """Show one of the known runs; its files are read in a thread. One that goes on is followed."""
        if self.following is not None and run.folder == self.following.live.folder:
            self.app.push_screen(self.screen())
        else:
            self._read(run, self._opened)

    def _read(self, run: KnownRun, take: Callable[[Following], None]) -> None:
        def work() -> None:
            following = Following(run.attach())
            try:
                following.look()
            except DevenvError as error:
                self.app.call_from_thread(self.main.changes.impossible, "opening the load test", error)
            else:
                self.app.call_from_thread(take, following)

        self.main.run_worker(work, thread=True, group="load")

    def attach(self, run: KnownRun) -> None:
        """Follow a run that goes on, without showing more than the main screen's line."""
        self._read(run, lambda following: None if self.goes_on else self.follow(following))

    def _opened(self, following: Following) -> None:
        if not following.state.over and not self.goes_on:
            self.follow(following)
        self.app.push_screen(LoadScreen(self, following))

    def ask(self) -> None:
        """Ask what the next run shall be, and start it."""
        targets, chosen = load_targets(self.main.controller.cluster_place())
        if self.following is not None:  # as the last one
            chosen = next((at for at, item in enumerate(targets) if item.name == self.options.target), chosen)
        form = LoadFormScreen(self.options, targets, chosen, self.runner.load.thresholds)
        self.app.push_screen(form, lambda options: self.start(options) if options is not None else None)

    def list_runs(self) -> None:
        """List the earlier runs."""
        self.app.push_screen(LoadRunsScreen(self))

    def show(self) -> None:
        """Show the run that is followed, or the list of all."""
        if self.following is not None:
            self.app.push_screen(self.screen())
        else:
            self.list_runs()

    def stop(self) -> None:
        """Stop the run; once more kills it."""
        following = self.following
        if following is None or not self.goes_on:
            return
        state = following.state
        try:
            if state.stopping:
                following.live.kill()
                state.killed = True
            else:
                following.live.stop()
                state.stopping = state.stopped = True
        except DevenvError as error:
            self.main.changes.impossible("stopping it", error)
        self._tell()

    def cancel(self) -> None:
        """Stop the run, unless it is being stopped already."""
        if self.state is not None and not self.state.stopping:
            self.stop()

    def screen(self) -> LoadScreen:
        """Make the screen of the run that is followed."""
        assert self.following is not None  # the caller looked
        return LoadScreen(self, self.following)

    def _look(self) -> None:
        following = self.following
        if following is None:
            return
        try:
            following.look()
        except DevenvError as error:
            self.main.changes.impossible("following the load test", error)
            self._pause()
            return
        state = following.state
        self._mark(state)
        if state.over:
            self.runner.ended(following.live, state.exit_code)
            self._pause()
            if self._leaving:
                self.app.exit(0)
                return
        self._tell()

    def _pause(self) -> None:
        self._end_looking()
        self.main.changes.before_leaving.remove(self._asks)

    def _mark(self, state: LoadState) -> None:
        """Put the changes of the phase between the lines of the logs."""
        shelf = self.main.following.shelf
        for phase in state.phases[self._marked :]:
            shelf.mark(phase.at, mark_text(phase))
        self._marked = len(state.phases)
        if state.over:
            shelf.mark(state.ended, f"load test: {end_of(state)[0]}")
        if shelf.settle(time.time() - (0.0 if state.over else SETTLED)):
            self.main.log_pane.view.sync()

    def _bar_parts(self) -> Sequence[Part]:
        state = self.state
        assert state is not None  # a run is followed
        return ("L ", "bold $primary"), *title_parts(state), ("  ", ""), *number_parts(state)

    def _ask_before_leaving(self) -> None:
        self.app.push_screen(LoadLeaveScreen(), self._answered)

    def _answered(self, answer: str | None) -> None:
        if answer is not None:
            self._leave(at_once=answer == DETACH)


class LoadScreen(RunScreen):
    """Shows one run; leaving it changes nothing about the run."""

    CSS_PATH = "load.tcss"
    AUTO_FOCUS = "#load-tables"
    KEYS_TITLE = "Load test"
    KEY_GROUPS = (("Tables and charts", ViewScroll),)
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

    def __init__(self, runs: LoadRuns, following: Following) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (114, "-wide")]
        self.load_runs = runs
        self.following = following
        self.title_line = Line(id="load-title")
        self.numbers = Line(id="load-numbers")
        self.tables, self.charts = Static(markup=False), Static(markup=False)
        self.left, self.right = ViewScroll(id="load-tables"), ViewScroll(id="load-charts")

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
        super().on_mount()
        self.call_after_refresh(self.tell)

    def on_screen_resume(self) -> None:
        """Show what happened meanwhile."""
        self.load_runs.seen()
        self.tell()

    def on_resize(self) -> None:
        """Make the texts for the new width."""
        self.call_after_refresh(self.tell)

    def shows(self, runs: Runs) -> bool:
        """Whether it shows the run that is followed."""
        return runs is self.load_runs and self.following is self.load_runs.following

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
        self.draw(self.tables, table_parts(state, left.width, time.time()))
        self.draw(self.charts, chart_parts(state, right.width, right.height))
        self.offer_keys((state.over, state.stopping, state.killed))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        state = self.following.state
        if action == "stop":
            return not state.over and not state.killed and self.following is self.load_runs.following
        if action in ("open_page", "read_report"):
            return state.over and bool(state.run)
        if action == "new":
            return not self.load_runs.goes_on
        if action == "read_output":
            return (self.following.live.folder / OUTPUT).is_file()
        return True

    def action_back(self) -> None:
        """Go back; the run goes on."""
        self.load_runs.seen()
        self.app.pop_screen()

    def action_stop(self) -> None:
        """Stop the run; once more kills it."""
        self.load_runs.stop()
        self.refresh_bindings()

    def action_new(self) -> None:
        """Ask what the next run shall be."""
        self.load_runs.ask()

    def action_earlier(self) -> None:
        """List the earlier runs."""
        self.load_runs.list_runs()

    def action_open_page(self) -> None:
        """Open the HTML report."""
        self.run_worker(self._open_page, thread=True, exclusive=True, group="report")

    def action_read_report(self) -> None:
        """Show the Markdown report."""
        self.run_worker(self._read_report, thread=True, exclusive=True, group="report")

    def action_read_output(self) -> None:
        """Show what Locust printed."""
        self.app.push_screen(TextScreen("what Locust printed", self.following.live.folder / OUTPUT, at_end=True))

    def _report(self, name: str) -> bool:
        """Make the reports where the run was killed before it could; False with a message where that fails."""
        folder = self.following.live.folder
        try:
            if not (folder / name).is_file():
                from devenv.load.ending import write_reports

                write_reports(folder)
        except DevenvError as error:
            self.app.call_from_thread(self.load_runs.main.changes.impossible, "the report", error)
            return False
        return True

    def _open_page(self) -> None:
        path = self.following.live.folder / PAGE
        if self._report(PAGE) and not open_file(path):
            self.app.call_from_thread(self._tell_path, str(path))

    def _tell_path(self, path: str) -> None:
        self.app.copy_to_clipboard(path)
        text = f"{path}\nNo browser can be opened from here; the path was copied where the terminal allows it."
        self.notify("\n".join(safe(line) for line in text.split("\n")), title="report", timeout=15, markup=False)

    def _read_report(self) -> None:
        if self._report(MARKDOWN):
            path = self.following.live.folder / MARKDOWN
            self.app.call_from_thread(lambda: self.app.push_screen(TextScreen("report", path)) and None)


class LoadRunsScreen(RunScreen):
    """Lists the runs; ⏎ opens one."""

    CSS_PATH = "load_runs.tcss"
    AUTO_FOCUS = "LoadList"
    KEYS_TITLE = "Load tests"
    KEY_GROUPS = (("List", LoadList),)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,L", "dismiss", "back", key_display="Esc", id="load_runs.back"),
        Binding("n", "new", "new load test", id="load_runs.new"),
        Binding("q", "app.quit", "quit", id="load_runs.quit"),
        Binding("question_mark", "help", "help", key_display="?", id="load_runs.help"),
    ]

    def __init__(self, runs: LoadRuns) -> None:
        super().__init__()
        self.load_runs = runs
        self.head = Line(id="load-runs-title")
        self.runs = LoadList()

    def compose(self) -> ComposeResult:
        """Put the title above the list."""
        yield self.head
        yield self.runs
        yield self.footer

    def on_mount(self) -> None:
        """Begin to read."""
        super().on_mount()
        self.head.say((" load tests ", "bold reverse"))
        self.runs.show((), "reading…")

    def on_screen_resume(self) -> None:
        """Read what is there now."""
        self.run_worker(self._read, thread=True, exclusive=True)

    def _read(self) -> None:
        from devenv.load.runner import known_runs

        runs = known_runs(self.load_runs.runner.root)
        self.app.call_from_thread(self._take, runs)

    def _take(self, runs: list[KnownRun]) -> None:
        self.runs.show(runs, NOTHING)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a new one while none goes on."""
        return action != "new" or not self.load_runs.goes_on

    @on(LoadList.Opened)
    def _open(self) -> None:
        run = self.runs.selected
        if run is not None:
            self.load_runs.open(run)

    def action_new(self) -> None:
        """Ask what it shall be."""
        self.load_runs.ask()
