"""The load test that this terminal follows: it goes on whatever screen is shown, and outlives the terminal if wanted.

Imported when somebody first wants a load test, or when one was found that goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from textual.timer import Timer

from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError
from devenv.load.live.following import Following
from devenv.load.live.process import LiveLoad, LoadWish
from devenv.load.live.rig import VERB, LoadRig
from devenv.load.live.state import LoadState
from devenv.tui.load_rows import end_of, mark_text
from devenv.tui.load_targets import load_targets
from devenv.tui.screens.load import LoadScreen
from devenv.tui.screens.load_form import LoadFormScreen
from devenv.tui.screens.load_leave import DETACH, STOP, LoadLeaveScreen
from devenv.tui.widgets.load_bar import LoadBar

if TYPE_CHECKING:
    from devenv.load.live.runs import KnownRun
    from devenv.tui.app import DevenvApp
    from devenv.tui.screens.main import MainScreen

LOOK: Final = 1.0  # seconds between two looks at what the run wrote; it writes once a second
SETTLED: Final = 1.0  # seconds after which no earlier log line is expected any more


class Loading:
    """Starts, follows and stops load tests, one at a time; tells the screen, the main screen's line and the logs."""

    def __init__(self, app: DevenvApp, rig: LoadRig) -> None:
        self.app = app
        self.rig = rig
        self.wish = LoadWish()  # the last one
        self.following: Following | None = None
        self._timer: Timer | None = None
        self._bar: LoadBar | None = None
        self._marked = 0
        self._starting = False
        self._leaving = False

    @property
    def main(self) -> MainScreen:
        """The main screen; another one takes its place when a cluster comes."""
        return self.app.main

    @property
    def state(self) -> LoadState | None:
        """The state of the run that is followed, or of the last one that was."""
        return self.following.state if self.following is not None else None

    @property
    def goes_on(self) -> bool:
        """Whether a run has not ended yet."""
        return self._starting or (self.state is not None and not self.state.over)

    def start(self, wish: LoadWish) -> None:
        """Start a run unless one goes on; the guard is asked in a thread, since it reads the kubeconfig."""
        if self.goes_on:
            return
        self.wish = wish
        self._starting = True

        def work() -> None:
            try:
                plan = self.rig.plan(wish)
                live = self.rig.start(plan, wish) if plan.allowed else None
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
        self._timer = self._timer or self.app.set_interval(LOOK, self._look)
        self._timer.resume()
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
        targets, chosen = load_targets(self.main)
        if self.following is not None:  # as the last one
            chosen = next((at for at, item in enumerate(targets) if item.name == self.wish.target), chosen)
        form = LoadFormScreen(self.wish, targets, chosen, self.rig.load.thresholds)
        self.app.push_screen(form, lambda wish: self.start(wish) if wish is not None else None)

    def list_runs(self) -> None:
        """List the earlier runs."""
        from devenv.tui.screens.load_runs import LoadRunsScreen

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

    def screen(self) -> LoadScreen:
        """Make the screen of the run that is followed."""
        assert self.following is not None  # the caller looked
        return LoadScreen(self, self.following)

    def seen(self) -> None:
        """Note that the screen was opened or left: what has ended needs no line on the main screen any more."""
        if self._bar is not None:
            self._bar.display = self.goes_on

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
            self.rig.ended(following.live, state.exit_code)
            self._pause()
            if self._leaving:
                self.app.exit(0)
                return
        self._tell()

    def _pause(self) -> None:
        if self._timer is not None:
            self._timer.pause()
        self.main.changes.before_leaving.remove(self._asks)

    def _mark(self, state: LoadState) -> None:
        """Put the changes of the phase between the lines of the logs."""
        shelf = self.main.shelf
        for phase in state.phases[self._marked :]:
            shelf.mark(phase.at, mark_text(phase))
        self._marked = len(state.phases)
        if state.over:
            shelf.mark(state.ended, f"load test: {end_of(state)[0]}")
        if shelf.settle(time.time() - (0.0 if state.over else SETTLED)):
            self.main.log_pane.view.sync()

    def _tell(self) -> None:
        state = self.state
        if state is None:
            return
        top = self.app.screen
        on_screen = isinstance(top, LoadScreen) and top.following is self.following
        if isinstance(top, LoadScreen) and on_screen:
            top.tell()
        if self._bar is not None and self._bar.is_attached:
            # What has ended is on the main screen until it was looked at.
            self._bar.display = not (state.over and on_screen) and (not state.over or self._bar.display)
            self._bar.tell(state)
        elif self.main.is_attached:
            self._bar = LoadBar()
            self._bar.tell(state)
            self.main.mount(self._bar, before=self.main.action_bar)

    def _asks(self) -> bool:
        """Ask before the program is left while a run goes on; False where there is nothing to ask."""
        if not self.goes_on:
            return False
        if self._leaving:
            self.app.exit(0)  # it stops by itself: whoever insists need not wait for it
            return True
        self.app.push_screen(LoadLeaveScreen(), self._leave)
        return True

    def _leave(self, answer: str | None) -> None:
        if answer == DETACH or (answer == STOP and not self.goes_on):
            self.app.exit(0)
        elif answer == STOP:
            self._leaving = True
            if self.state is not None and not self.state.stopping:
                self.stop()
