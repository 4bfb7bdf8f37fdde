"""The screen of `devenv verify`: live results by behaviour and stage, and the way from a failure to its log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from devenv.core.errors import DevenvError
from devenv.tui.moments import service_row, show_log
from devenv.tui.result_rows import detail_parts, result_rows, step_parts, summary_parts
from devenv.tui.shown import shown, shown_lines
from devenv.tui.widgets.detail_pane import DetailScroll
from devenv.tui.widgets.footer import FooterBar
from devenv.tui.widgets.line import Line
from devenv.tui.widgets.result_list import ResultList

if TYPE_CHECKING:
    from devenv.tui.verifying import Verifying
    from devenv.verify.run_state import RunState, TestState

NOTHING = "Nothing was verified here yet: a tests everything on an isolated copy, u tests what is up."


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

    def __init__(self, verifying: Verifying) -> None:
        super().__init__()
        self.verifying = verifying
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
        self.verifying.seen()
        if self.verifying.state is not None:
            self.tell(self.verifying.state, time.time())
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
        state = self.verifying.state
        if state is None:
            return
        parts = tuple(detail_parts(self._selected(), state))
        if parts != self._detail:
            self._detail = parts
            self.body.update(Content.assemble(*parts))

    def _selected(self) -> TestState | None:
        row, state = self.results.selected, self.verifying.state
        return state.tests.get(row.test) if row is not None and state is not None else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        state = self.verifying.state
        if action == "cancel":
            return self.verifying.goes_on and state is not None and not state.cancelled
        if action in ("start", "start_running"):
            return not self.verifying.goes_on
        if action == "start_failed":
            return not self.verifying.goes_on and state is not None and bool(state.failed)
        return True

    def action_back(self) -> None:
        """Go to the main screen; the run goes on."""
        self.verifying.seen()
        self.app.pop_screen()

    def action_cancel(self) -> None:
        """End the run."""
        self.verifying.cancel()

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
        self.verifying.start(running=running, failed_only=failed_only)
        self.refresh_bindings()

    def action_help(self) -> None:
        """Show all keys."""
        from devenv.tui.screens.help import HelpScreen

        groups = (("Smoke tests", VerifyScreen), ("Results", ResultList), ("Detail", DetailScroll))
        self.app.push_screen(HelpScreen(groups))

    @on(ResultList.Opened)
    def _open_log(self) -> None:
        test, state = self._selected(), self.verifying.state
        if test is None or state is None:
            return
        if state.running_stack:
            self._open_live(test)
        elif state.evidence:
            self._open_evidence(test, state)

    def _open_live(self, test: TestState) -> None:
        """Go to the log on the main screen: the run tested what is shown there."""
        main = self.verifying.main
        if service_row(main, test.services) is None:
            self._refuse(f"{', '.join(test.services) or 'its service'} is not in the table")
            return
        self.action_back()
        show_log(main, test.services, test.at)

    @work(thread=True, exclusive=True)
    def _open_evidence(self, test: TestState, state: RunState) -> None:
        """Read the evidence off the screen's thread: it may be large."""
        from devenv.verify.replay import find_moment

        try:
            backend, at, service = find_moment(state.evidence, test.id, test.services)
        except DevenvError as error:
            self.app.call_from_thread(self._refuse, error.message)
            return

        def show() -> None:
            from devenv.tui.screens.evidence import EvidenceScreen

            self.app.push_screen(EvidenceScreen(backend, service, at or test.at))

        self.app.call_from_thread(show)

    def _refuse(self, reason: str) -> None:
        text = "\n".join(shown_lines(reason))
        self.notify(text, title=shown("no log to show"), severity="warning", markup=False)
