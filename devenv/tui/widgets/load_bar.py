"""How a load test stands, on the main screen: one line while it goes on, and until it was looked at."""

from __future__ import annotations

from devenv.load.live.state import LoadState
from devenv.tui.load_rows import number_parts, title_parts
from devenv.tui.widgets.line import Line


class LoadBar(Line):
    """One line; a click opens the screen."""

    DEFAULT_CSS = "LoadBar { background: $bar; padding: 0 1; }"

    def tell(self, state: LoadState) -> None:
        """Show how it stands."""
        parts = [*title_parts(state), ("  ", ""), *number_parts(state)]
        self.say(("L ", "bold $primary"), *parts)

    def on_click(self) -> None:
        """Do what the key does."""
        self.app.simulate_key("L")
