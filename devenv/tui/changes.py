"""From a key to a change: the plan, the question, the request, the result. The control does it, nothing here does."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import PurePath

from textual.app import SuspendNotSupported
from textual.screen import Screen

from devenv.control.protocol import Control, Options, Plan
from devenv.core.errors import DevenvError
from devenv.core.model import Action, Phase
from devenv.core.text import human_duration
from devenv.tui.safe_text import safe, safe_lines
from devenv.tui.widgets.bars import ActionBar, action_title

REASON_SHOWN = 10.0  # seconds that a refusal stays: it is read, not glanced at
WARNING_SHOWN = 8.0  # seconds


class Changes:
    """Asks the control for changes and tells the user what became of them."""

    def __init__(self, screen: Screen[None], control: Control, bar: ActionBar) -> None:
        self._screen = screen
        self._control = control
        self._bar = bar
        self._seen: dict[int, float] = {}
        self.announced: set[int] = set()  # the changes whose end was announced
        self.quitting = False
        self.cancels: dict[str, Callable[[int], None]] = {"": control.cancel}  # of all that run something
        self.begun: Callable[[], None] = lambda: None  # called once a change was taken
        self.before_leaving: list[Callable[[], bool]] = []  # each may ask first, and then says True

    def ask(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False, options: Options = None) -> None:
        """Plan a change; ask where it takes something away, tell why where it is refused, else begin."""
        try:
            plan = self._control.plan(verb, targets, volumes=volumes, options=options)
        except DevenvError as error:
            self.impossible(verb, error)
            return
        self.offer(plan, self._control.reach)

    def impossible(self, verb: str, error: DevenvError) -> None:
        """Tell why a change could not even be planned."""
        self.explain(f"{verb} is not possible", error.message, error.hint)

    def offer(
        self,
        plan: Plan,
        reach: Callable[[Plan], Plan] | None = None,
        request: Callable[[Plan], object] | None = None,
    ) -> None:
        """Ask where the plan takes something away, tell why where it is refused, else begin.

        `reach` finds out, in a thread and while the question stands, what exactly it takes. `request` begins it, where
        that is not done by the control.
        """
        request = request or self._control.request
        if not plan.allowed:
            self.explain(f"{plan.verb} was refused", plan.reason, plan.hint)
        elif plan.needs_confirmation:
            from devenv.tui.dialogs import ConfirmScreen, question

            def decided(yes: bool | None) -> None:
                if yes:
                    self._request(plan, request)

            self._screen.app.push_screen(ConfirmScreen(question(plan), reach and partial(reach, plan)), decided)
        else:
            self._request(plan, request)

    def _request(self, plan: Plan, request: Callable[[Plan], object]) -> None:
        try:
            request(plan)
        except DevenvError as error:
            self.explain(f"{plan.verb} was refused", error.message, error.hint)
        else:
            self.begun()

    def leave_to(self, plan: Plan, line: Sequence[str], hand_over: Callable[[Plan, list[str]], int]) -> None:
        """Give the terminal to a command and come back; `hand_over` runs it, passed by the guard."""
        if not plan.allowed:
            self.explain(f"{plan.verb} was refused", plan.reason, plan.hint)
            return
        app = self._screen.app
        try:
            with app.suspend():
                sys.stdout.write(f"$ {safe(shlex.join(line))}\n")
                sys.stdout.flush()
                code = hand_over(plan, list(line))
        except SuspendNotSupported:
            self.warn("This terminal cannot be given to another program.", plan.verb)
            return
        except DevenvError as error:
            self.impossible(plan.verb, error)
            return
        app.refresh(layout=True)
        if code:
            self.warn(f"{plan.verb} ended with exit code {code}", PurePath(line[0]).name)

    def explain(self, title: str, message: str, hint: str) -> None:
        """Tell why something is not as it was asked for."""
        text = "\n".join([*safe_lines(message), *(f"→ {line}" for line in safe_lines(hint))])
        self._screen.notify(text, title=safe(title), severity="warning", timeout=REASON_SHOWN, markup=False)

    def warn(self, text: str, title: str = "") -> None:
        """Tell something in passing."""
        self._screen.notify(safe(text), title=safe(title), severity="warning", timeout=WARNING_SHOWN, markup=False)

    def tell(self, actions: Iterable[Action], now: float) -> None:
        """Say that a change is done; one that failed is said by the action bar, which stays."""
        for action in actions:
            begun = self._seen.setdefault(action.id, action.at)
            if action.phase is Phase.DONE and action.id not in self.announced:
                self.announced.add(action.id)
                took = human_duration(max(0.0, now - begun))
                self._screen.notify(f"✓ {safe(action_title(action))}: done in {took}", timeout=4, markup=False)
            others = any(other.id != action.id for other in self._bar.all_running)
            if action.phase in (Phase.DONE, Phase.FAILED, Phase.REFUSED) and self.quitting and not others:
                self._screen.app.exit(0)

    def drop(self) -> None:
        """Cancel what runs, or put a failure away."""
        if self._bar.running is not None:
            self._cancel(self._bar.running.id)
        else:
            self._bar.dismiss()

    def _cancel(self, action_id: int) -> None:
        for cancel in self.cancels.values():
            cancel(action_id)

    def may_go(self) -> bool:
        """Whether the terminal can be opened on something else now; tells, or asks about, what runs until then."""
        if any(asks() for asks in self.before_leaving):
            return False
        running = self._bar.running
        if running is not None:
            self.warn("Wait for it, or cancel it (x).", f"{action_title(running)} is still running")
        return running is None

    def quit(self) -> None:
        """Leave; while a change runs, ask first, then cancel it and wait for its end."""
        if any(asks() for asks in self.before_leaving):
            return
        running = self._bar.running
        if running is None or self.quitting:
            self._screen.app.exit(0)
            return
        from devenv.tui.dialogs import ConfirmScreen, Question

        title = f"{', '.join(map(action_title, self._bar.all_running))} is still running"
        asked = Question(title, ("Leaving interrupts it, as ctrl-c does.",), yes="cancel it and quit")
        self._screen.app.push_screen(ConfirmScreen(asked), self._leave)

    def _leave(self, yes: bool | None) -> None:
        if not yes:
            return
        running = self._bar.running
        if running is None:
            self._screen.app.exit(0)
            return
        self.quitting = True
        for action in self._bar.all_running:
            self._cancel(action.id)
