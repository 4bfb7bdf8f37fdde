"""What a change is doing now, and how it ended; a failure stays until somebody dismisses it."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.content import Content
from textual.widgets import Static

from devenv.core.model import Action, Phase, Progress
from devenv.core.text import human_duration
from devenv.tui.shown import shown, shown_rows
from devenv.tui.widgets.banner import EDGE, LOW

ROWS = (13, 5)  # of the screen, below the title: all that a failure may take, and the hint's part (main.tcss)
ROWS_LOW = (4, 2)  # on a terminal of few rows
SPINNER = "◐◓◑◒"


def action_title(action: Action) -> str:
    """Return what was asked for: the verb and its targets."""
    return f"{action.verb} {', '.join(action.targets) or 'project'}"


def step_words(progress: Iterable[Progress]) -> str:
    """Return the step that runs, with how many are done of how many."""
    steps = [step for step in progress if not step.parent_id]
    if not steps:
        return ""
    done = sum(step.status in ("done", "warning") for step in steps)
    working = next((step for step in reversed(steps) if step.status == "working"), steps[-1])
    percent = f" {working.percent}%" if working.percent else ""
    details = f" {working.details}" if working.details else ""
    return f"{done}/{len(steps)}  {working.id} {working.text}{percent}{details}"


class ActionBar(Static):
    """One line while a change runs; as many as its error needs when it failed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.display = False
        self._told: tuple[tuple[str, str], ...] = ()
        self.running: Action | None = None
        self.failed: Action | None = None

    def tell(self, actions: Iterable[Action], progress: Iterable[Progress], now: float) -> None:
        """Take in changed actions and show the one that matters: the running one, else the one that failed."""
        for action in actions:
            if action.phase in (Phase.REQUESTED, Phase.RUNNING):
                self.running = action
                self.failed = None
                continue
            if self.running is not None and self.running.id == action.id:
                self.running = None
            if action.phase is not Phase.DONE:
                self.failed = action
        self._draw(progress, now)

    def dismiss(self) -> None:
        """Put the failure away."""
        self.failed = None
        self._draw((), 0.0)

    def _draw(self, progress: Iterable[Progress], now: float) -> None:
        if self.running is not None:
            parts = self._running_parts(self.running, progress, now)
        elif self.failed is not None:
            parts = self._failed_parts(self.failed)
        else:
            parts = []
        if tuple(parts) == self._told:
            return
        self._told = tuple(parts)
        self.display = bool(parts)
        self.screen.set_class(bool(self.display), "-acting")
        self.set_class(self.running is None and self.failed is not None, "-failed")
        self.update(Content.assemble(*parts))

    def _running_parts(self, action: Action, progress: Iterable[Progress], now: float) -> list[tuple[str, str]]:
        elapsed = max(0, int(now - action.at))
        words = step_words(progress) or action.detail or action.phase.value
        return [
            (f"{SPINNER[elapsed % len(SPINNER)]} {shown(action_title(action))}", "bold $accent"),
            (f"  {shown(words)}", "$foreground"),
            (f"  {human_duration(elapsed) if elapsed >= 1 else ''}  ", "$quiet"),
            ("x", "bold $primary"),
            (" cancel", "$quiet"),
        ]

    def _failed_parts(self, action: Action) -> list[tuple[str, str]]:
        word = "refused" if action.phase is Phase.REFUSED else "failed"
        code = f" (exit code {action.exit_code})" if action.exit_code else ""
        parts = [
            (f"✗ {shown(action_title(action))} {word}{code}", "bold $error"),
            ("   x", "bold $primary"),
            (" dismiss", "$quiet"),
        ]
        rows, of_hint = ROWS_LOW if self.app.size.height < LOW else ROWS
        width = max(8, self.app.size.width - EDGE)
        hint = shown_rows("→ ", action.hint, width, of_hint)
        parts += [(f"\n{row}", "$foreground") for row in shown_rows("  ", action.detail, width, rows - len(hint))]
        parts += [(f"\n{row}", "$accent") for row in hint]
        return parts

    def on_resize(self, event: events.Resize) -> None:
        """Cut a failure anew for another width."""
        if self.running is None and self.failed is not None:
            self._draw((), 0.0)
