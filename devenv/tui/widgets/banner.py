"""What is wrong with the connection or the project, and what to do about it; gone when it healed.

Where nothing is wrong, it may have a note of which the user should know.
"""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from devenv.core.model import Connection, ConnectionState
from devenv.tui.shown import shown_lines

LINES_SHOWN = (5, 3)  # of the message and of the hint
LINES_SHOWN_LOW = (2, 1)  # on a terminal of few rows: the log must keep some
LOW = 30  # rows


class Banner(Static):
    """Shows the message and the hint of a connection that is not well."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.display = False
        self._told: tuple[ConnectionState, str, str] | None = None

    def tell(self, connection: Connection | None, note: tuple[str, str] = ("", "")) -> None:
        """Show what that connection says; where all is well the note with its hint, or nothing."""
        told: tuple[ConnectionState, str, str] | None = None
        if connection is not None and connection.state is not ConnectionState.LIVE:
            told = (connection.state, connection.message, connection.hint)
        elif note[0]:
            told = (ConnectionState.LIVE, *note)
        if told == self._told:
            return
        self._told = told
        self.display = told is not None and bool(told[1] or told[2])
        if told is None or not self.display:
            return
        state, message, hint = told
        failed = state is ConnectionState.FAILED
        self.set_class(failed, "-failed")
        of_message, of_hint = LINES_SHOWN_LOW if self.app.size.height < LOW else LINES_SHOWN
        text = "\n  ".join(shown_lines(message)[:of_message]) or "no connection"
        style = "$error bold" if failed else "$warning"
        parts: list[tuple[str, str]] = [(f"{'✗' if failed else '▲'} {text}", style)]
        for line in shown_lines(hint)[:of_hint]:
            parts.append((f"\n→ {line}", "$foreground"))
        self.update(Content.assemble(*parts))
