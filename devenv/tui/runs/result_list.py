"""The results of a run on the line API: a change draws the lines that changed, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.strip import Strip

from devenv.tui.runs.result_rows import HEAD, ResultRow
from devenv.tui.shown import fit
from devenv.tui.widgets.line_table import LineTable, component_classes, keys

_WIDTHS: Final = (0, 22, 10, 9, 7, 9)  # cells of each column; the first takes the rest
_LEAST_NAME: Final = 22
_NARROW: Final = 60
_GIVES_WAY: Final = (5, 4, 3, 2)  # which column goes first in a narrow terminal


class ResultList(LineTable[ResultRow]):
    """Shows rows; the cursor stays on the same row, and follows the run until somebody moves it."""

    STYLES = "results"
    LEAD = 1  # the heading of the group
    COMPONENT_CLASSES: ClassVar[set[str]] = component_classes("results")
    BINDINGS: ClassVar[list[BindingType]] = keys("results", "log of the failure")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: tuple[ResultRow, ...] = ()
        self.touched = False  # by the user: it does not follow the run any more

    def show(self, rows: Sequence[ResultRow], placeholder: str = "", current: str = "") -> None:
        """Show these rows; the cursor goes to the row of the test `current` unless the user has moved it."""
        before, self.rows = self.rows, tuple(rows)
        old = before[self._cursor].key if before else ""
        wanted = current if current and not self.touched else old
        keys = [row.key for row in self.rows]
        if [row.key for row in before] == keys:
            for index, (was, row) in enumerate(zip(before, self.rows, strict=True)):
                if was != row:
                    self._refresh_row(index)
        else:
            self.virtual_size = Size(0, len(self.rows) + 1)
            self.refresh()
        if placeholder != self.placeholder:
            self.placeholder = placeholder
            self.refresh()
        index = keys.index(wanted) if wanted in keys else min(self._cursor, max(0, len(keys) - 1))
        self._stand(index)

    def select(self, index: int) -> None:
        """Put the cursor on that row, for the user."""
        self.touched = True
        self._stand(max(0, min(index, len(self.rows) - 1)))

    def _stand(self, index: int) -> None:
        if index == self._cursor:
            return
        self.call_after_refresh(self._reveal)  # the rows may be new, and with them how far it can be scrolled
        for row in (self._cursor, index):
            self._refresh_row(row)
        self._cursor = index
        self.post_message(self.Moved())

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self._reveal()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the log of what has failed."""
        return action != "open" or bool(self.selected and self.selected.test)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen: the head, a row, or nothing."""
        self.lines_drawn += 1
        width = self.scrollable_content_region.width
        columns = _columns(width)
        if y == 0:
            head = self._style("head")
            parts = [fit(HEAD[at], cells, right=at > 1) for at, cells in columns]
            return Strip([Segment(f"  {' '.join(parts)}", head)]).crop_extend(0, width, head)
        index = y - 1 + self.scroll_offset.y
        plain = self._style("plain")
        if index >= len(self.rows):
            text = f"  {self.placeholder}" if y == 1 and not self.rows else ""
            return Strip([Segment(text, self._style("quiet"))]).crop_extend(0, width, plain)
        cursor = self._style("cursor") if index == self._cursor else None
        base = plain if cursor is None else plain + Style(bgcolor=cursor.bgcolor, bold=True)
        segments = [Segment("▌ " if cursor is not None else "  ", cursor or plain)]
        for at, cells in columns:
            cell = self.rows[index].cells[at]
            style = self._style(cell.tone)
            if not self.rows[index].test:
                style += Style(bold=True)
            if cursor is not None:
                style = cursor if cursor.reverse else style + Style(bgcolor=cursor.bgcolor, bold=True)
            segments.append(Segment(fit(cell.text, cells, right=at > 1), style))
            segments.append(Segment(" ", cursor if cursor is not None and cursor.reverse else base))
        return Strip(segments).crop_extend(0, width, base)


def _columns(width: int) -> list[tuple[int, int]]:
    """Return which columns fit, and how many cells each takes."""
    widths = list(_WIDTHS)
    if width < _NARROW:
        widths[1] = len("inconclusive")
    kept = list(range(len(HEAD)))
    for at in (*_GIVES_WAY, 1):
        if _LEAST_NAME + sum(widths[item] + 1 for item in kept[1:]) + 2 <= width:
            break
        kept.remove(at)
    widths[0] = max(1, width - 2 - sum(widths[item] + 1 for item in kept[1:]) - 1)
    return [(at, widths[at]) for at in kept]
