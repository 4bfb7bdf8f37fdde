"""The table of resources on the line API: a change draws the cells that changed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from devenv.tui.columns import COLUMNS, VERIFIED_COLUMNS, Placed, place
from devenv.tui.rows import CELLS, Identity, Row
from devenv.tui.shown import fit, fit_ends, shown
from devenv.tui.widgets.line_table import LineTable, component_classes, keys

# A container that is re-created is away for a moment; later its return must not move the cursor under a finger.
RETURN_WITHIN: Final = 15.0


class ResourceTable(LineTable[Row]):
    """Shows rows; the cursor stays on the same service and number whatever happens around it."""

    STYLES = "table"
    COMPONENT_CLASSES: ClassVar[set[str]] = component_classes("table")
    BINDINGS: ClassVar[list[BindingType]] = keys("table", "detail")

    class Scrolled(Message):
        """Other rows are visible."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._selected: tuple[Identity, str] | None = None  # what was announced
        self._wanted: Identity | None = None  # what the user chose, though it may be away for a moment
        self._lost_at: float | None = None
        self._placed: tuple[Placed, ...] = ()
        self._placed_for = 0
        self._needs: dict[str, int] = {}  # the widest cell of each column: it only grows, so that columns do not dance
        self._verified = False
        self.cells_updated = 0  # since the start: a budget of the tests

    @property
    def visible_rows(self) -> tuple[Row, ...]:
        """The rows that are on screen now."""
        top = self.scroll_offset.y
        return tuple(self.rows[top : top + max(0, self.size.height - 1)])

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns that fit."""
        return tuple(placed.column.name for placed in self._placed)

    def show(self, rows: Sequence[Row], placeholder: str = "") -> None:
        """Show these rows; only the difference to what is shown is drawn."""
        before, self.rows = self.rows, tuple(rows)
        if [row.identity for row in before] == [row.identity for row in rows]:
            self._update_cells(before)
        else:
            self._update_all()
        if placeholder != self.placeholder:
            self.placeholder = placeholder
            if not rows:
                self.refresh()
        self._announce()

    def _update_cells(self, before: Sequence[Row]) -> None:
        top = self.scroll_offset.y
        if self._learn(new for old, new in zip(before, self.rows, strict=True) if old.cells != new.cells):
            self.refresh()
        for index, (old, new) in enumerate(zip(before, self.rows, strict=True)):
            if old.cells == new.cells:
                continue
            y = 1 + index - top
            for placed in self._placed:
                at = self.cell_index(placed)
                if old.cells[at] != new.cells[at]:
                    self.cells_updated += 1
                    if 1 <= y < self.size.height:
                        self.refresh(Region(placed.x, y, placed.width, 1))

    def _update_all(self) -> None:
        self._find_cursor()
        self.cells_updated += len(self.rows) * len(self._placed)
        self._needs.clear()
        self._learn(self.rows)
        self._place()
        self.virtual_size = Size(0, len(self.rows) + 1)
        self.refresh()

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def cell_names(self) -> Sequence[str]:
        """The columns of a row's cells."""
        return CELLS

    def _learn(self, rows: Iterable[Row]) -> bool:
        """Take in how wide the cells of these rows are; return whether any is wider than all before."""
        grown = False
        for row in rows:
            for name, cell in zip(self.cell_names, row.cells, strict=True):
                width = len(cell.text) if cell.text.isascii() else cell_len(cell.text)
                if width > self._needs.get(name, -1):
                    self._needs[name] = width
                    grown = True
        if grown:
            self._placed_for = 0
        return grown

    def _place(self) -> None:
        if self._width != self._placed_for:
            self._placed_for = self._width
            self._placed = self.fit_columns(self._width, self._needs)

    def fit_columns(self, width: int, needs: Mapping[str, int]) -> tuple[Placed, ...]:
        """Return the columns that fit."""
        return place(width, needs, VERIFIED_COLUMNS if self._verified else COLUMNS)

    def show_verdicts(self) -> None:
        """Show what the smoke tests said, from now on."""
        if not self._verified:
            self._verified = True
            self._placed_for = 0
            self.refresh()

    def cell_index(self, placed: Placed) -> int:
        """Return which cell of a row that column shows."""
        return self.cell_names.index(placed.column.name)

    def _find_cursor(self) -> None:
        self._put_cursor(next((index for index, row in enumerate(self.rows) if row.identity == self._wanted), None))

    def _put_cursor(self, index: int | None) -> None:
        """Put it where the wanted row is now; None where it is away."""
        now = monotonic()
        if index is not None:
            if self._lost_at is None or now - self._lost_at < RETURN_WITHIN or len(self.rows) == 1:
                self._cursor = index
            self._lost_at = None
        elif self._wanted is not None and self._lost_at is None:
            self._lost_at = now
        self._cursor = max(0, min(self._cursor, len(self.rows) - 1))

    def _announce(self) -> None:
        row = self.selected
        now = (row.identity, row.key) if row else None
        if self._wanted is None and row is not None:
            self._wanted = row.identity
        if now != self._selected:
            self._selected = now
            self.post_message(self.Moved())

    def select(self, index: int) -> None:
        """Put the cursor on that row."""
        index = max(0, min(index, len(self.rows) - 1))
        if index == self._cursor:
            return
        for row in (self._cursor, index):
            self._refresh_row(row)
        self._cursor = index
        self._wanted, self._lost_at = self.rows[index].identity, None
        self._reveal()
        self._announce()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the details of what is there."""
        return action != "open" or bool(self.rows)

    def on_resize(self, event: events.Resize) -> None:
        """Choose the columns for the new width, and for the rows that came into view."""
        self._learn(self.visible_rows)
        self._place()
        self.refresh()
        self._reveal()
        self.post_message(self.Scrolled())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell that other rows are visible."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Scrolled())

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen: the head, a row, or nothing."""
        self.lines_drawn += 1
        self._place()  # a scroll bar that came takes a column without any event
        width = self._width
        if y == 0:
            head = self._style("head")
            return self._join(
                [(fit(self._title(placed), placed.width, right=placed.column.right), head) for placed in self._placed],
                head,
            )
        index = y - 1 + self.scroll_offset.y
        if index >= len(self.rows):
            text = f"  {shown(self.placeholder)}" if y == 1 and not self.rows else ""
            return Strip([Segment(text, self._style("quiet"))]).crop_extend(0, width, self._style("plain"))
        return self._draw_row(self.rows[index], index == self._cursor)

    def _draw_row(self, row: Row, under_cursor: bool) -> Strip:
        parts = []
        for placed in self._placed:
            cell = row.cells[self.cell_index(placed)]
            tone = "quiet" if row.absent else cell.tone
            parts.append((_fitted(cell.text, placed), self._style(tone)))
        strip = self._join(parts, self._style("plain"), mark="▌ " if under_cursor else "  ")
        if not under_cursor:
            return strip
        cursor = self._style("cursor")
        if cursor.reverse:
            # Sixteen colours have no quiet background: the whole row is reversed, words and glyphs still tell.
            return Strip([Segment(text, cursor) for text, _, _ in strip], strip.cell_length)
        # Only the background and weight of the cursor: what a cell says by its tone stays readable.
        over = Style(bgcolor=cursor.bgcolor, bold=True)
        return Strip(
            [
                Segment(text, style if style is not None and style.reverse else (style or Style.null()) + over)
                for text, style, _ in strip
            ],
            strip.cell_length,
        )

    def _join(self, parts: list[tuple[str, Style]], gap: Style, mark: str = "  ") -> Strip:
        segments = [Segment(mark, self._style("cursor") if mark.strip() else gap)]
        x = len(mark)
        for (text, style), placed in zip(parts, self._placed, strict=True):
            segments.append(Segment(" " * (placed.x - x), gap))
            # Only the words are reversed in an alarm, not the emptiness after them.
            words = text.rstrip() if style.reverse else text
            segments.append(Segment(words, style))
            segments.append(Segment(" " * (len(text) - len(words)), gap))
            x = placed.x + placed.width
        return Strip(segments).crop_extend(0, self._width, gap)

    def _title(self, placed: Placed) -> str:
        column = placed.column
        return column.title if len(column.title) <= placed.width or not column.short else column.short


def _fitted(text: str, placed: Placed) -> str:
    if placed.column.name in ("service", "namespace"):
        return fit_ends(text, placed.width)
    if placed.column.name == "restarts" and len(text) > placed.width:
        text = text.partition(" ")[0]  # the count without the age of the newest
    return fit(text, placed.width, right=placed.column.right)
