"""The table of resources on the line API: it looks only at lines on screen, and draws the cells that changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from time import monotonic
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from devenv.tui.safe_text import safe
from devenv.tui.table.columns import Column, Placed, fitted, place, title
from devenv.tui.table.lines import GroupKey, Lines, Path, Row
from devenv.tui.widgets.line_table import LineTable, component_classes, keys

# A container that is re-created is away for a moment; later its return must not move the cursor under a finger.
RETURN_WITHIN: Final = 15.0
_SECONDS: Final = re.compile(r"\d ?s\b")


class ResourceTable(LineTable[Row]):
    """Shows lines: drawing costs what is visible, a change what it touches.

    The cursor stays on the same service and number whatever happens around it.
    """

    STYLES = "table"
    COMPONENT_CLASSES: ClassVar[set[str]] = component_classes("table")
    BINDINGS: ClassVar[list[BindingType]] = keys("table", "detail")
    FITTED_ANEW: ClassVar[bool] = True  # columns give back what a line took that went

    class Scrolled(Message):
        """Other rows are visible."""

    class HeadClicked(Message):
        """Somebody clicked on a column's head."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    class Marked(Message):
        """Lines were marked, or are no more."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.marks: set[Path] = set()  # lines that the next change is for
        self.lines: Lines | None = None
        self._structure = -1
        self._columns: tuple[Column, ...] = ()
        self._drawn: tuple[Row, ...] = ()
        self._top = 0
        self._selected: tuple[Path, str | GroupKey] | None = None  # what was announced
        self._chosen: Path | None = None  # what the user chose, though it may be away for a moment
        self._lost_at: float | None = None
        self._placed: tuple[Placed, ...] = ()
        self._placed_for = 0
        self._needs: dict[str, int] = {}  # the widest cell of each column: it only grows, so that columns do not dance
        self.cells_updated = 0  # since the start: a budget of the tests

    @property
    def visible_rows(self) -> tuple[Row, ...]:
        """The rows that are on screen now."""
        top = self.scroll_offset.y
        return tuple(self.rows[top : top + max(0, self.size.height - 1)])

    @property
    def counts_seconds(self) -> bool:
        """Whether a row on screen tells of seconds, which go by."""
        return any(_SECONDS.search(cell.text) for row in self._drawn for cell in row.cells)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns that fit."""
        return tuple(placed.column.name for placed in self._placed)

    @property
    def cursor(self) -> int:
        """The index of the line under the cursor."""
        return self._cursor

    def show(self, lines: Lines, placeholder: str = "") -> None:
        """Show these lines; only those on screen are compared with what is drawn."""
        if lines.columns is not self._columns:
            self._columns = lines.columns
            self._placed_for = 0
            self.refresh()
        if lines is not self.lines or lines.structure != self._structure:
            self._take_lines(lines)
        else:
            self._update_visible()
        if placeholder != self.placeholder:
            self.placeholder = placeholder
            if not lines:
                self.refresh()
        self._announce()

    def _take_lines(self, lines: Lines) -> None:
        is_new = lines is not self.lines
        if is_new:
            if self.lines is not None:
                self.lines.chosen = self._chosen
            self._chosen, self._lost_at, self._cursor = lines.chosen, None, 0
        if is_new or self.FITTED_ANEW:
            self._needs.clear()
            lines.measure()
        self.lines = lines
        self.rows = lines
        self._structure = lines.structure
        self._find_line(lines)
        self._learn(self.visible_rows)
        self._placed_for = 0
        self._place()
        size = Size(0, len(lines) + 1)
        if size != self.virtual_size:
            self.virtual_size = size
        if is_new:
            self.scroll_to(y=max(0, self._cursor - 1) if self._cursor >= self.size.height - 1 else 0, animate=False)
        self._remember()
        self.refresh()

    def _find_line(self, lines: Lines) -> None:
        index = lines.find(self._chosen) if self._chosen is not None else None
        if index is None and self._chosen is not None and (other := lines.stand_in(self._chosen)) is not None:
            self._chosen, index = other, lines.find(other)
        self._put_cursor(index)

    def _update_visible(self) -> None:
        before, top = self._drawn, self._top
        self._remember()
        grown = self._learn(new for old, new in zip(before, self._drawn, strict=False) if old is not new)
        moved = top != self._top or len(before) != len(self._drawn)
        if grown or moved:
            self.refresh()
        if moved:
            return  # what a scroll or another size has drawn may be older than these rows
        for y, (old, new) in enumerate(zip(before, self._drawn, strict=True), start=1):
            if old is new:
                continue
            for placed in self._placed:
                at = self._cell_index(placed)
                if old.cells[at] != new.cells[at]:
                    self.cells_updated += 1
                    self.refresh(Region(placed.x, y, placed.width, 1))

    def _remember(self) -> None:
        self._top, self._drawn = self.scroll_offset.y, self.visible_rows

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    def _learn(self, rows: Iterable[Row]) -> bool:
        """Take in how wide the cells of these rows are; return whether any is wider than all before."""
        grown, names = False, self.lines.cell_names if self.lines is not None else ()
        for row in rows:
            for name, cell in zip(names, row.cells, strict=True):
                width = len(cell.text) if cell.text.isascii() else cell_len(cell.text)
                if width > self._needs.get(name, -1):
                    self._needs[name] = width
                    grown = True
        if grown:
            self._placed_for = 0
        return grown

    def _place(self) -> None:
        if self.lines is not None and self._width != self._placed_for:
            self._placed_for = self._width
            # Of the names all are known, also those out of sight.
            self._placed = place(self._width, {**self._needs, "service": self.lines.longest}, self.lines.columns)

    def _cell_index(self, placed: Placed) -> int:
        return self.lines.cell_names.index(placed.column.name) if self.lines is not None else 0

    def _put_cursor(self, index: int | None) -> None:
        """Put it where the chosen row is now; None where it is away."""
        now = monotonic()
        if index is not None:
            if self._lost_at is None or now - self._lost_at < RETURN_WITHIN or len(self.rows) == 1:
                self._cursor = index
            self._lost_at = None
        elif self._chosen is not None and self._lost_at is None:
            self._lost_at = now
        self._cursor = max(0, min(self._cursor, len(self.rows) - 1))

    def _announce(self, *, by_hand: bool = False) -> None:
        row = self.selected
        now = (row.path, row.source) if row else None
        if self._chosen is None and row is not None:
            self._chosen = row.path
        if now != self._selected:
            self._selected = now
            if by_hand:
                self._tell_moved()
            else:
                self.post_message(self.Moved())

    def select(self, index: int) -> None:
        """Put the cursor on that row."""
        index = max(0, min(index, len(self.rows) - 1))
        if index == self._cursor:
            return
        for row in (self._cursor, index):
            self._refresh_row(row)
        self._cursor = index
        self._chosen, self._lost_at = self.rows[index].path, None
        self._reveal()
        self._announce(by_hand=True)

    def choose(self, path: Path) -> None:
        """Put the cursor on that line, also where it is not there yet."""
        self._chosen, self._lost_at = path, None
        if self.lines is not None:
            self._find_line(self.lines)
            self.refresh()
            self._announce()

    def mark(self) -> None:
        """Mark the line under the cursor, or take its mark away, and go to the next."""
        row = self.selected
        if row is not None:
            self.marks ^= {row.path}
            self._refresh_row(self._cursor)
            self.post_message(self.Marked())
            self.select(self._cursor + 1)

    def unmark(self) -> None:
        """Take all marks away."""
        if self.marks:
            self.marks.clear()
            self.refresh()
            self.post_message(self.Marked())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the details of what is there."""
        return action != "open" or bool(self.rows)

    def on_click(self, event: events.Click) -> None:
        """Tell which column's head was clicked; a click on a row is `LineTable`'s, which is called too."""
        under = next((one for one in self._placed if one.x <= event.x < one.x + one.width), None)
        if event.y == 0 and under is not None:
            self.post_message(self.HeadClicked(under.column.name))

    def on_resize(self, event: events.Resize) -> None:
        """Choose the columns for the new width, and for the rows that came into view."""
        self._remember()
        self._learn(self._drawn)
        self._place()
        self.refresh()
        self._reveal()
        self.post_message(self.Scrolled())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell that other rows are visible, and take in how wide their cells are."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Scrolled())
        if self._learn(self.visible_rows):
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen: the head, a row, or nothing."""
        self.lines_drawn += 1
        self._place()  # a scroll bar that came takes a column without any event
        width = self._width
        if y == 0:
            head, order = self.style_of("head"), self.lines.order if self.lines is not None else None
            arrows = {order.column: "▼" if order.falling else "▲"} if order is not None else {}
            return self._join(
                [(title(placed, arrows.get(placed.column.name, "")), head) for placed in self._placed],
                head,
            )
        index = y - 1 + self.scroll_offset.y
        if index >= len(self.rows):
            text = f"  {safe(self.placeholder)}" if y == 1 and not self.rows else ""
            return Strip([Segment(text, self.style_of("quiet"))]).crop_extend(0, width, self.style_of("plain"))
        return self._draw_row(self.rows[index], index == self._cursor)

    def _draw_row(self, row: Row, under_cursor: bool) -> Strip:
        parts = []
        for placed in self._placed:
            cell = row.cells[self._cell_index(placed)]
            tone = "quiet" if row.absent else cell.tone
            parts.append((fitted(cell.text, placed), self.style_of(tone)))
        is_marked = bool(self.marks) and row.path in self.marks
        lead = ("▌" if under_cursor else " ") + ("✓" if is_marked else " ")
        strip = self._join(parts, self.style_of("plain"), mark=lead)
        if not under_cursor:
            return strip
        cursor = self.style_of("cursor")
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
        segments = [Segment(mark, self.style_of("cursor") if mark.strip() else gap)]
        x = len(mark)
        for (text, style), placed in zip(parts, self._placed, strict=True):
            segments.append(Segment(" " * (placed.x - x), gap))
            # Only the words are reversed in an alarm, not the emptiness after them.
            words = text.rstrip() if style.reverse else text
            segments.append(Segment(words, style))
            segments.append(Segment(" " * (len(text) - len(words)), gap))
            x = placed.x + placed.width
        return Strip(segments).crop_extend(0, self._width, gap)


class FoldingTable(ResourceTable):
    """The table where lines open into what they are made of."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "right", "unfold(True)", "open", key_display="→", tooltip="what a service is made of", id="table.unfold"
        ),
        Binding("left", "unfold(False)", "close", key_display="←", id="table.fold"),
    ]
    FITTED_ANEW = False  # lines come and go as they are opened and closed: columns would dance, and there may be many

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.unfold: Callable[[bool], None] = lambda to_open: None  # called with whether the line is to be opened

    def action_unfold(self, to_open: bool) -> None:
        """Open or close the line under the cursor."""
        self.unfold(to_open)
