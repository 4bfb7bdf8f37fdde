"""What is wrong with the connection or the project, and what to do about it; gone when it healed.

Where nothing is wrong, it may have a note of which the user should know.
"""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.widgets import Static

from devenv.core.model import Connection, ConnectionState
from devenv.tui.shown import shown_rows

ROWS = (8, 3)  # of the screen: all that it may take, and the hint's part of them (main.tcss: max-height)
ROWS_LOW = (4, 2)  # on a terminal of few rows: the log must keep some
LOW = 30  # rows
EDGE = 3  # cells of its border and padding


class Banner(Static):
    """Shows the message and the hint of a connection that is not well."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.display = False
        self._told: tuple[ConnectionState, str, str] | None = None
        self._drawn_for: tuple[int, ...] = ()

    def tell(self, connection: Connection | None, note: tuple[str, str] = ("", "")) -> None:
        """Show what that connection says; where all is well the note with its hint, or nothing."""
        told: tuple[ConnectionState, str, str] | None = None
        if connection is not None and (connection.state is not ConnectionState.LIVE or connection.message):
            told = (connection.state, connection.message, connection.hint)
        elif note[0]:
            told = (ConnectionState.LIVE, *note)
        if told == self._told and self._drawn_for == tuple(self.app.size):
            return
        self._told, self._drawn_for = told, tuple(self.app.size)
        self.display = told is not None and bool(told[1] or told[2])
        self.screen.set_class(bool(self.display), "-banner")
        if told is None or not self.display:
            return
        state, message, hint = told
        failed = state is ConnectionState.FAILED
        self.set_class(failed, "-failed")
        rows, of_hint = ROWS_LOW if self.app.size.height < LOW else ROWS
        width = max(8, self.app.size.width - EDGE)
        below = shown_rows("→ ", hint, width, of_hint)
        above = shown_rows("✗ " if failed else "▲ ", message or "no connection", width, rows - len(below))
        style = "$error bold" if failed else "$warning"
        self.update(Content.assemble(("\n".join(above), style), *((f"\n{line}", "$foreground") for line in below)))

    def on_resize(self, event: events.Resize) -> None:
        """Cut it anew for another width."""
        if self._told is not None:
            state, message, hint = self._told
            self.tell(Connection("", state, message=message, hint=hint), (message, hint))
