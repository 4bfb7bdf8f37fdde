"""The smoke tests in the terminal: the run that it started, live results, and the way from a failure to its log.

Imported when somebody first wants to verify something, not with the program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from devenv.core.errors import DevenvError
from devenv.core.model import Change
from devenv.core.state import Delta
from devenv.runs.evidence import ReadOnlyControl, ReplayBackend
from devenv.tui.compose_controller import ComposeController
from devenv.tui.dialogs import ConfirmScreen, Question
from devenv.tui.feed import Feed
from devenv.tui.main_screen import MainScreen
from devenv.tui.runs.frame import Runs, RunScreen
from devenv.tui.runs.results import ResultList, detail_parts, result_rows, step_parts, summary_parts
from devenv.tui.safe_text import Part, safe, safe_lines
from devenv.tui.widgets.bars import Line
from devenv.tui.widgets.text_pane import DetailScroll
from devenv.verify.runner import RUNNING, Launch, LiveRun, RunOptions, RunState, TestState


class EvidenceScreen(MainScreen):
    """The main screen on recorded facts; q and Esc lead back to where it was opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "do('leave')", "back to the results", id="evidence.leave"),
    ]

    def __init__(self, backend: ReplayBackend, service: str, at: float) -> None:
        control = ReadOnlyControl()
        super().__init__(backend, control, backend.title, lambda screen: ComposeController(screen, control))
        self.handlers["leave"] = self._leave
        self.handlers["back"] = self._go_back
        self._shall_show = (service, at)
        self._feed = Feed((backend, control), self._deliver)

    def on_mount(self) -> None:
        """Bring all panes at once: the program is painted already."""
        self.call_after_refresh(self._open)

    async def _open(self) -> None:
        await self.furnish()
        self._feed.start()

    def on_unmount(self) -> None:
        """Nothing more is to be shown."""
        self._feed.stop()

    def _deliver(self, changes: list[Change]) -> None:
        self.call_later(self.take, changes)

    def take(self, changes: Sequence[Change]) -> Delta:
        """Show the records, and once the resources are there the log at the moment."""
        delta = super().take(changes)
        service, at = self._shall_show
        if service and self.show_log((service,), at):
            self._shall_show = ("", 0.0)
        return delta

    def _leave(self) -> None:
        self.app.pop_screen()

    def _go_back(self) -> None:
        """Take one step back; at the table, leave."""
        if self.focused is self.table and not self.filter.value and not self.has_class("detail-open"):
            self._leave()
        else:
            self.panes.back()


if TYPE_CHECKING:
    from devenv.tui.main_screen import MainScreen

NOTHING = "Nothing was verified here yet: a tests everything on an isolated copy, u tests what is up."


class VerifyRuns(Runs):
    """Starts, follows and cancels runs of smoke tests, one at a time."""

    LOOK = 0.2
    KEY = "v"

    def __init__(self, main: MainScreen, launch: Launch, options: tuple[str, ...] = ()) -> None:
        super().__init__(main.app, lambda: main)
        self.state: RunState | None = None
        self._launch = launch
        self._options = options  # what `devenv verify --tui` was given
        self._live: LiveRun | None = None
        self.failed: Callable[[], None] = lambda: None  # called when a run ended, and not well
        main.changes.before_leaving.append(self._asks)

    @property
    def goes_on(self) -> bool:
        """Whether a run has not ended yet, its clean-up included."""
        return self.state is not None and not self.state.over

    def start(self, *, running: bool = False, failed_only: bool = False) -> None:
        """Start a run, unless one goes on: of all tests, or of those that failed in the last one, as that one ran."""
        if self.goes_on:
            return
        options = list(self._options)
        tests: tuple[str, ...] = ()
        if running and RUNNING not in options:
            options.append(RUNNING)
        if failed_only and self.state is not None:
            state = self.state
            if state.running_stack and RUNNING not in options:
                options.append(RUNNING)
            tests = tuple(f"{state.root}/{test.id}" for test in state.failed)
        chosen = RunOptions(tuple(options), tests)
        try:
            self._live = self._launch(chosen)
        except DevenvError as error:
            self._tell_error(error)
            return
        self.state = RunState(time.time(), running_stack=chosen.running)
        self._begin_looking()
        self._tell()

    def cancel(self) -> None:
        """End the run; it takes down what it brought up, and that is shown. Once more is the same."""
        if self._live is not None and self.state is not None and self._live.cancel():
            self.state.cancelled = True
            self._tell()

    def _look(self) -> None:
        live, state = self._live, self.state
        if live is None or state is None:
            return
        code = live.exit_code  # before the last lines are read, or they might be missed
        state.take(live.drain())
        if code is not None:
            state.end(code, time.time(), live.last_words())
            live.close()
            self._live = None
            self._end_looking()
            if self.main.verdicts is not None:
                self.main.verdicts.look()  # the run has something to say about the services
            if code:
                self.failed()
            if self._leaving:
                self.app.exit(0)
                return
        self._tell()

    def screen(self) -> VerifyScreen:
        """Make the screen."""
        return VerifyScreen(self)

    def _tell_error(self, error: DevenvError) -> None:
        text = "\n".join([*safe_lines(error.message), *(f"→ {line}" for line in safe_lines(error.hint))])
        self.app.notify(text, title=safe("verify is not possible"), severity="error", timeout=10, markup=False)

    def _bar_parts(self) -> Sequence[Part]:
        state = self.state
        assert state is not None  # a run is followed
        step = [("  ", ""), *((text, "$quiet") for text, _ in step_parts(state))] if step_parts(state) else []
        return *summary_parts(state, time.time()), *step, ("  v", "bold $primary"), (" shows it", "$quiet")

    def _ask_before_leaving(self) -> None:
        title = "The smoke tests are still running"
        sentences = (
            "Leaving cancels them and waits until what they brought up is taken down.",
            "Leave once more, and devenv does not wait: they take it down all the same.",
        )
        self.app.push_screen(ConfirmScreen(Question(title, sentences, yes="cancel them and quit")), self._answered)

    def _answered(self, yes: bool | None) -> None:
        if yes:
            self._leave(at_once=False)


class VerifyScreen(RunScreen):
    """Shows the run that goes on or the last one; leaving it changes nothing about the run."""

    CSS_PATH = "verify.tcss"
    AUTO_FOCUS = "ResultList"
    KEYS_TITLE = "Smoke tests"
    KEY_GROUPS = (("Results", ResultList), ("Detail", DetailScroll))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,v", "back", "back", key_display="Esc", tooltip="the run goes on", id="verify.back"),
        Binding("x", "cancel", "cancel", tooltip="what it brought up is taken down", id="verify.cancel"),
        Binding("a", "start", "test all", tooltip="on an isolated copy", id="verify.all"),
        Binding("u", "start_running", "test what is up", tooltip="as verify --running does", id="verify.running"),
        Binding("f", "start_failed", "failed again", tooltip="only the tests that failed", id="verify.failed"),
        Binding("q", "app.quit", "quit", tooltip="asks while a run goes on", id="verify.quit"),
        Binding("question_mark", "help", "help", key_display="?", id="verify.help"),
    ]

    def __init__(self, runs: VerifyRuns) -> None:
        super().__init__()
        self.runs = runs
        self.title_line = Line(id="verify-title")
        self.step = Line(id="verify-step")
        self.results = ResultList(id="verify-results")
        self.scroll = DetailScroll(id="verify-detail")
        self.body = Static(markup=False)

    def compose(self) -> ComposeResult:
        """Put how it stands above the results, and what is known of the selected test below them."""
        yield self.title_line
        yield self.step
        yield self.results
        with self.scroll:
            yield self.body
        yield self.footer

    def on_mount(self) -> None:
        """Show what there is."""
        super().on_mount()
        self.runs.seen()
        self.tell()

    def on_screen_resume(self) -> None:
        """Show what happened meanwhile."""
        self.runs.seen()
        self.tell()

    def shows(self, runs: Runs) -> bool:
        """Whether it is about the runs that these are."""
        return runs is self.runs

    def tell(self) -> None:
        """Show how the run stands; only what changed is drawn."""
        state = self.runs.state
        if state is None:
            self.title_line.say((" verify ", "bold reverse"))
            self.results.show((), NOTHING)
            return
        self.title_line.say((" verify ", "bold reverse"), (" ", ""), *summary_parts(state, time.time()))
        self.step.say((" ", ""), *step_parts(state))
        current = state.current
        placeholder = "no test ran" if state.over else "collecting the tests…"
        self.results.show(result_rows(state), placeholder, current.id if current is not None else "")
        self._tell_detail()
        self.offer_keys((state.over, state.cancelled, bool(state.failed)))

    @on(ResultList.Moved)
    def _moved(self) -> None:
        self._tell_detail()
        self.scroll.scroll_to(y=0, animate=False)
        self.refresh_bindings()

    def _tell_detail(self) -> None:
        if self.runs.state is not None:
            self.draw(self.body, detail_parts(self._selected(), self.runs.state))

    def _selected(self) -> TestState | None:
        row, state = self.results.selected, self.runs.state
        return state.tests.get(row.test) if row is not None and state is not None else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        state = self.runs.state
        if action == "cancel":
            return self.runs.goes_on and state is not None and not state.cancelled
        if action in ("start", "start_running"):
            return not self.runs.goes_on
        if action == "start_failed":
            return not self.runs.goes_on and state is not None and bool(state.failed)
        return True

    def action_back(self) -> None:
        """Go to the main screen; the run goes on."""
        self.runs.seen()
        self.app.pop_screen()

    def action_cancel(self) -> None:
        """End the run."""
        self.runs.cancel()

    def action_start(self) -> None:
        """Test everything."""
        self._start()

    def action_start_running(self) -> None:
        """Test what is up."""
        self._start(running=True)

    def action_start_failed(self) -> None:
        """Run the tests again that failed."""
        self._start(failed_only=True)

    def _start(self, *, running: bool = False, failed_only: bool = False) -> None:
        self.results.touched = False
        self.runs.start(running=running, failed_only=failed_only)
        self.refresh_bindings()

    @on(ResultList.Opened)
    def _open_log(self) -> None:
        test, state = self._selected(), self.runs.state
        if test is None or state is None:
            return
        if state.running_stack:
            self._open_live(test)
        elif state.evidence:
            self._open_evidence(test, state)

    def _open_live(self, test: TestState) -> None:
        """Go to the log on the main screen: the run tested what is shown there."""
        main = self.runs.main
        if main.row_of_service(test.services) is None:
            self._refuse(f"{', '.join(test.services) or 'its service'} is not in the table")
            return
        self.action_back()
        main.show_log(test.services, test.at)

    @work(thread=True, exclusive=True)
    def _open_evidence(self, test: TestState, state: RunState) -> None:
        """Read the evidence off the screen's thread: it may be large."""
        from devenv.runs.evidence import find_moment

        try:
            backend, at, service = find_moment(state.evidence, test.id, test.services)
        except DevenvError as error:
            self.app.call_from_thread(self._refuse, error.message)
            return

        def show() -> None:

            self.app.push_screen(EvidenceScreen(backend, service, at or test.at))

        self.app.call_from_thread(show)

    def _refuse(self, reason: str) -> None:
        text = "\n".join(safe_lines(reason))
        self.notify(text, title=safe("no log to show"), severity="warning", markup=False)
