"""What the tables on the line API have in common: a head, a cursor, and the keys and clicks that move it."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import ClassVar, Final, Generic, TypeVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.timer import Timer

RowT = TypeVar("RowT")
PASSING: Final = 0.08  # seconds: a cursor that moves on within them only passes by; a key repeats every 25 to 40 ms
_TONES = ("head", "good", "warn", "bad", "alarm", "quiet", "cursor")


def component_classes(name: str) -> set[str]:
    """Return the style classes of a table's parts."""
    return {f"{name}--{tone}" for tone in _TONES}


def keys(name: str, opens: str) -> list[BindingType]:
    """Return the bindings of a table with ids that begin with its name; `opens` is what ⏎ shows."""
    return [
        Binding("enter", "open", opens, key_display="⏎", id=f"{name}.open"),
        Binding("up,k", "move(-1)", "up", show=False, id=f"{name}.up"),
        Binding("down,j", "move(1)", "down", show=False, id=f"{name}.down"),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False, id=f"{name}.page_up"),
        Binding("pagedown,ctrl+f", "page(1)", "page down", show=False, id=f"{name}.page_down"),
        Binding("home,g", "edge(-1)", "first", show=False, id=f"{name}.first"),
        Binding("end,G", "edge(1)", "last", show=False, id=f"{name}.last"),
    ]


class LineTable(ScrollView, Generic[RowT], can_focus=True):
    """Keeps a cursor on one of its rows, which stand below a line with the head."""

    STYLES: ClassVar[str]  # what its component classes begin with
    LEAD: ClassVar[int] = 0  # rows that stay in view above the cursor

    class Moved(Message):
        """The cursor stands on another row, or on another thing in its place."""

    class Opened(Message):
        """Somebody wants to see more of the row under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: Sequence[RowT] = ()
        self.placeholder = ""
        self.lines_drawn = 0  # since the start: a budget of the tests
        self._cursor = 0
        self._moved_at = float("-inf")
        self._passing: Timer | None = None
        self._styles: dict[str, Style] = {}

    @property
    def selected(self) -> RowT | None:
        """The row under the cursor."""
        return self.rows[self._cursor] if self.rows else None

    def select(self, index: int) -> None:
        """Put the cursor on that row, or on the nearest there is."""
        index = max(0, min(index, len(self.rows) - 1))
        for row in (self._cursor, index):
            self._refresh_row(row)
        self._cursor = index
        self._reveal()
        self._tell_moved()

    @property
    def passes_by(self) -> bool:
        """Whether the cursor is on its way: `Moved` is told once it stays."""
        return self._passing is not None

    def _tell_moved(self) -> None:
        """Tell it once the rows themselves are painted, and only of the last of many moves.

        What follows a cursor lays the screen out anew and paints most of it: ten times what two rows cost, and the next
        key would wait for it.
        """
        now = monotonic()
        goes_on, self._moved_at = now - self._moved_at < PASSING, now
        if self._passing is not None:
            self._passing.stop()
            self._passing = None
        if goes_on:
            self._passing = self.set_timer(PASSING, self._stays)
        else:
            self.call_after_refresh(self.post_message, self.Moved())

    def _stays(self) -> None:
        self._passing = None
        self.post_message(self.Moved())

    def _refresh_row(self, index: int) -> None:
        y = 1 + index - self.scroll_offset.y
        if 1 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def _reveal(self) -> None:
        top, room = self.scroll_offset.y, max(1, self.size.height - 1)
        if self._cursor < top:
            self.scroll_to(y=max(0, self._cursor - self.LEAD), animate=False)
        elif self._cursor >= top + room:
            self.scroll_to(y=self._cursor - room + 1, animate=False)

    def action_move(self, step: int) -> None:
        """Move the cursor by rows."""
        self.select(self._cursor + step)

    def action_page(self, step: int) -> None:
        """Move the cursor by a screen."""
        self.select(self._cursor + step * max(1, self.size.height - 2))

    def action_edge(self, direction: int) -> None:
        """Move the cursor to the first or the last row."""
        self.select(0 if direction < 0 else len(self.rows) - 1)

    def action_open(self) -> None:
        """Open the row under the cursor."""
        self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        """Select the row that was clicked; a second click opens it."""
        index = event.y - 1 + self.scroll_offset.y
        if event.y < 1 or index >= len(self.rows):
            return
        self.select(index)
        if event.chain == 2:
            self.action_open()

    def notify_style_update(self) -> None:
        """Forget the styles of the theme before."""
        super().notify_style_update()
        self._styles = {}

    def style_of(self, name: str) -> Style:
        """Return the style of one of the table's parts, "plain" of the rest."""
        style = self._styles.get(name)
        if style is None:
            style = self.rich_style if name == "plain" else self.get_component_rich_style(f"{self.STYLES}--{name}")
            self._styles[name] = style
        return style
