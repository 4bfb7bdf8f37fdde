"""How a run of smoke tests stands, on the main screen: one line while it goes on, and until it was looked at."""

from __future__ import annotations

from devenv.tui.result_rows import step_parts, summary_parts
from devenv.tui.widgets.line import Line
from devenv.verify.run_state import RunState


class VerifyBar(Line):
    """One line; a click opens the screen."""

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
