"""The smoke tests in the terminal: the run that it started, live results, and the way from a failure to its log.

Imported when somebody first wants to verify something, not with the program.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from devenv.core.errors import DevenvError
from devenv.tui.dialogs import ConfirmScreen
from devenv.tui.runs.results import ResultList, detail_parts, result_rows, step_parts, summary_parts
from devenv.tui.shown import shown, shown_lines
from devenv.tui.widgets.bars import FooterBar, Line
from devenv.tui.widgets.text_pane import DetailScroll
from devenv.verify.run_state import RunState, TestState
from devenv.verify.runner import RUNNING, Launch, LiveRun, RunWish

if TYPE_CHECKING:
    from devenv.tui.main_screen import MainScreen

LOOK: Final = 0.2  # seconds between two looks at what the run told; only while one goes on
NOTHING = "Nothing was verified here yet: a tests everything on an isolated copy, u tests what is up."


class VerifyRuns:
    """Starts, follows and cancels runs, one at a time; tells this screen and the line on the main screen."""

    def __init__(self, main: MainScreen, launch: Launch, options: tuple[str, ...] = ()) -> None:
        self.main = main
        self.state: RunState | None = None
        self._launch = launch
        self._options = options  # what `devenv verify --tui` was given
        self._live: LiveRun | None = None
        self._timer: Timer | None = None
        self._bar: VerifyBar | None = None
        self._leaving = False
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
        wish = RunWish(tuple(options), tests)
        try:
            self._live = self._launch(wish)
        except DevenvError as error:
            self._tell_error(error)
            return
        self.state = RunState(time.time(), running_stack=wish.running)
        self._timer = self._timer or self.main.app.set_interval(LOOK, self._look)
        self._timer.resume()
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
            if self._timer is not None:
                self._timer.pause()
            self.main.verdicts.look()  # the run has something to say about the services
            if self._leaving:
                self.main.app.exit(0)
                return
        self._tell()

    def _tell(self) -> None:
        state = self.state
        if state is None:
            return
        now = time.time()
        top = self.main.app.screen
        if isinstance(top, VerifyScreen):
            top.tell(state, now)
        if self._bar is not None:
            # What has ended is on the main screen until it was looked at.
            self._bar.display = not (state.over and isinstance(top, VerifyScreen)) and (
                not state.over or self._bar.display
            )
            self._bar.tell(state, now)
        elif self.main.is_attached:
            self._bar = VerifyBar()
            self._bar.tell(state, now)
            self.main.mount(self._bar, before=self.main.action_bar)

    def seen(self) -> None:
        """Note that the screen was opened or left: what has ended needs no line on the main screen any more."""
        if self._bar is not None:
            self._bar.display = self.goes_on

    def screen(self) -> VerifyScreen:
        """Make the screen."""
        return VerifyScreen(self)

    def _tell_error(self, error: DevenvError) -> None:
        text = "\n".join([*shown_lines(error.message), *(f"→ {line}" for line in shown_lines(error.hint))])
        self.main.app.notify(text, title=shown("verify is not possible"), severity="error", timeout=10, markup=False)

    def _asks(self) -> bool:
        """Ask before the program is left while a run goes on; False where there is nothing to ask."""
        if not self.goes_on:
            return False
        if self._leaving:
            # It ends and cleans up by itself: whoever insists need not wait for it.
            self.main.app.exit(0)
            return True
        title = "The smoke tests are still running"
        sentences = (
            "Leaving cancels them and waits until what they brought up is taken down.",
            "Leave once more, and devenv does not wait: they take it down all the same.",
        )
        self.main.app.push_screen(ConfirmScreen(title, sentences, (), "cancel them and quit"), self._leave)
        return True

    def _leave(self, yes: bool | None) -> None:
        if not yes:
            return
        if not self.goes_on:
            self.main.app.exit(0)
            return
        self._leaving = True
        self.cancel()


class VerifyBar(Line):
    """How the run stands, on the main screen, until it was looked at: one line; a click opens the screen."""

    DEFAULT_CSS = "VerifyBar { background: $bar; padding: 0 1; }"

    def tell(self, state: RunState, now: float) -> None:
        """Show how it stands and what it does."""
        parts = summary_parts(state, now)
        step = step_parts(state)
        if step:
            parts += [("  ", ""), *((text, "$quiet") for text, _ in step)]
        self.say(*parts, ("  v", "bold $primary"), (" shows it", "$quiet"))

    def on_click(self) -> None:
        """Do what the key does."""
        self.app.simulate_key("v")


class VerifyScreen(Screen[None]):
    """Shows the run that goes on or the last one; leaving it changes nothing about the run."""

    CSS_PATH = "verify.tcss"
    AUTO_FOCUS = "ResultList"
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
        self.footer = FooterBar()
        self._detail: tuple[tuple[str, str], ...] = ()
        self._keys_for: object = None

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
        self.bindings_updated_signal.subscribe(self, lambda _: self.footer.tell(self))
        self._tell_now()

    def on_screen_resume(self) -> None:
        """Show what happened meanwhile."""
        self._tell_now()

    def _tell_now(self) -> None:
        self.runs.seen()
        if self.runs.state is not None:
            self.tell(self.runs.state, time.time())
        else:
            self.title_line.say((" verify ", "bold reverse"))
            self.results.show((), NOTHING)

    def tell(self, state: RunState, now: float) -> None:
        """Show this state of the run; only what changed is drawn."""
        self.title_line.say((" verify ", "bold reverse"), (" ", ""), *summary_parts(state, now))
        self.step.say((" ", ""), *step_parts(state))
        current = state.current
        placeholder = "no test ran" if state.over else "collecting the tests…"
        self.results.show(result_rows(state), placeholder, current.id if current is not None else "")
        self._tell_detail()
        keys_for = (state.over, state.cancelled, bool(state.failed))
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.refresh_bindings()

    @on(ResultList.Moved)
    def _moved(self) -> None:
        self._tell_detail()
        self.scroll.scroll_to(y=0, animate=False)
        self.refresh_bindings()

    def _tell_detail(self) -> None:
        state = self.runs.state
        if state is None:
            return
        parts = tuple(detail_parts(self._selected(), state))
        if parts != self._detail:
            self._detail = parts
            self.body.update(Content.assemble(*parts))

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

    def action_help(self) -> None:
        """Show all keys."""
        from devenv.tui.dialogs import HelpScreen

        groups = (("Smoke tests", VerifyScreen), ("Results", ResultList), ("Detail", DetailScroll))
        self.app.push_screen(HelpScreen(groups))

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
        from devenv.runs.replay import find_moment

        try:
            backend, at, service = find_moment(state.evidence, test.id, test.services)
        except DevenvError as error:
            self.app.call_from_thread(self._refuse, error.message)
            return

        def show() -> None:
            from devenv.tui.runs.evidence import EvidenceScreen

            self.app.push_screen(EvidenceScreen(backend, service, at or test.at))

        self.app.call_from_thread(show)

    def _refuse(self, reason: str) -> None:
        text = "\n".join(shown_lines(reason))
        self.notify(text, title=shown("no log to show"), severity="warning", markup=False)
