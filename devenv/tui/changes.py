"""From a key to a change: the plan, the question, the request, the result. The control does it, nothing here does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.screen import Screen

from devenv.control.protocol import Control, Plan
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
        self.quitting = False
        self.before_leaving: list[Callable[[], bool]] = []  # each may ask first, and then says True

    def ask(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False) -> None:
        """Plan a change; ask where it takes something away, tell why where it is refused, else begin."""
        try:
            plan = self._control.plan(verb, targets, volumes=volumes)
        except DevenvError as error:
            self.impossible(verb, error)
            return
        self.offer(plan)

    def impossible(self, verb: str, error: DevenvError) -> None:
        """Tell why a change could not even be planned."""
        self._refuse(f"{verb} is not possible", error.message, error.hint)

    def offer(self, plan: Plan) -> None:
        """Ask where the plan takes something away, tell why where it is refused, else begin."""
        if not plan.allowed:
            self._refuse(f"{plan.verb} was refused", plan.reason, plan.hint)
        elif plan.needs_confirmation:
            from devenv.tui.dialogs import ConfirmScreen, question

            self._screen.app.push_screen(
                ConfirmScreen(*question(plan)), lambda yes: self._request(plan) if yes else None
            )
        else:
            self._request(plan)

    def _request(self, plan: Plan) -> None:
        try:
            self._control.request(plan)
        except DevenvError as error:
            self._refuse(f"{plan.verb} was refused", error.message, error.hint)

    def _refuse(self, title: str, message: str, hint: str) -> None:
        text = "\n".join([*safe_lines(message), *(f"→ {line}" for line in safe_lines(hint))])
        self._screen.notify(text, title=safe(title), severity="warning", timeout=REASON_SHOWN, markup=False)

    def warn(self, text: str, title: str = "") -> None:
        """Tell something in passing."""
        self._screen.notify(safe(text), title=safe(title), severity="warning", timeout=WARNING_SHOWN, markup=False)

    def tell(self, actions: Iterable[Action], now: float) -> None:
        """Say that a change is done; one that failed is said by the action bar, which stays."""
        for action in actions:
            begun = self._seen.setdefault(action.id, action.at)
            if action.phase is Phase.DONE:
                took = human_duration(max(0.0, now - begun))
                self._screen.notify(f"✓ {safe(action_title(action))}: done in {took}", timeout=4, markup=False)
            if action.phase in (Phase.DONE, Phase.FAILED, Phase.REFUSED) and self.quitting:
                self._screen.app.exit(0)

    def drop(self) -> None:
        """Cancel what runs, or put a failure away."""
        if self._bar.running is not None:
            self._control.cancel(self._bar.running.id)
        else:
            self._bar.dismiss()

    def quit(self) -> None:
        """Leave; while a change runs, ask first, then cancel it and wait for its end."""
        if any(asks() for asks in self.before_leaving):
            return
        running = self._bar.running
        if running is None or self.quitting:
            self._screen.app.exit(0)
            return
        from devenv.tui.dialogs import ConfirmScreen

        question = (f"{action_title(running)} is still running", ("Leaving interrupts it, as ctrl-c does.",), ())
        self._screen.app.push_screen(ConfirmScreen(*question, "cancel it and quit"), self._leave)

    def _leave(self, yes: bool | None) -> None:
        if not yes:
            return
        running = self._bar.running
        if running is None:
            self._screen.app.exit(0)
            return
        self.quitting = True
        self._control.cancel(running.id)
