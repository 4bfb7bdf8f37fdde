"""The run of smoke tests that this terminal started: it goes on whatever screen is shown, and is asked about at last.

Imported when somebody first wants to verify something, not with the program.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from textual.timer import Timer

from devenv.core.errors import DevenvError
from devenv.tui.screens.confirm import ConfirmScreen
from devenv.tui.shown import shown, shown_lines
from devenv.tui.widgets.verify_bar import VerifyBar
from devenv.verify.live import RUNNING, Launch, LiveRun, RunWish
from devenv.verify.run_state import RunState

if TYPE_CHECKING:
    from devenv.tui.screens.main import MainScreen
    from devenv.tui.screens.verify import VerifyScreen

LOOK: Final = 0.2  # seconds between two looks at what the run told; only while one goes on


class Verifying:
    """Starts, follows and cancels runs, one at a time; tells the screen and the line on the main screen."""

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
            self.main.verified()
            if self._leaving:
                self.main.app.exit(0)
                return
        self._tell()

    def _tell(self) -> None:
        from devenv.tui.screens.verify import VerifyScreen

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
        from devenv.tui.screens.verify import VerifyScreen

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
