"""The table of resources for any number of lines: it looks only at those that are on screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.geometry import Region, Size

from devenv.tui.columns import COLUMNS, VERIFIED_COLUMNS, Column, Placed, place
from devenv.tui.kube.lines import Lines
from devenv.tui.rows import CELLS, Row
from devenv.tui.widgets.resource_table import ResourceTable

NAME: Final = Column("service", "SERVICE", 20, 80, 9, elastic=True)  # a pod's name is longer than a container's
LONG: Final = (NAME, *COLUMNS[1:])
VERIFIED: Final = (NAME, *VERIFIED_COLUMNS[1:])


class LongTable(ResourceTable):
    """Shows `Lines`: drawing costs what is visible, a change what it touches."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "unfold(True)", "open", key_display="→", tooltip="what a service is made of", id="open"),
        Binding("left", "unfold(False)", "close", key_display="←", id="close"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: Lines | None = None
        self.unfold: Callable[[bool], None] = lambda wanted: None  # called with whether the line is to be opened
        self._structure = -1
        self._drawn: tuple[Row, ...] = ()
        self._top = 0

    def show(self, rows: Sequence[Row], placeholder: str = "") -> None:
        """Show these rows; of lines, only those on screen are compared with what is drawn."""
        if not isinstance(rows, Lines):
            self.lines = None
            super().show(rows, placeholder)
            return
        if rows is not self.lines or rows.structure != self._structure:
            self._take_lines(rows)
        else:
            self._update_visible()
        if placeholder != self.placeholder:
            self.placeholder = placeholder
            if not rows:
                self.refresh()
        self._announce()

    def _take_lines(self, lines: Lines) -> None:
        if lines is not self.lines:
            if self.lines is not None:
                self.lines.chosen = self._wanted
            self._wanted, self._lost_at, self._cursor = lines.chosen, None, 0
        is_new = lines is not self.lines
        if is_new:
            self._needs.clear()
        self.lines = lines
        self.rows = lines
        self._structure = lines.structure
        self._find_line()
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

    def _find_line(self) -> None:
        if self.lines is None:
            return
        index = self.lines.find(self._wanted) if self._wanted is not None else None
        if index is None and self._wanted is not None and (other := self.lines.stand_in(self._wanted)) is not None:
            self._wanted, index = other, self.lines.find(other)
        self._put_cursor(index)

    def _update_visible(self) -> None:
        before, top = self._drawn, self._top
        self._remember()
        grown = self._learn(new for old, new in zip(before, self._drawn, strict=False) if old is not new)
        if grown or top != self._top or len(before) != len(self._drawn):
            self.refresh()  # what a scroll or another size has drawn may be older than these rows
            return
        for y, (old, new) in enumerate(zip(before, self._drawn, strict=True), start=1):
            if old is new:
                continue
            for placed in self._placed:
                at = self.cell_index(placed)
                if old.cells[at] != new.cells[at]:
                    self.cells_updated += 1
                    self.refresh(Region(placed.x, y, placed.width, 1))

    def _remember(self) -> None:
        self._top, self._drawn = self.scroll_offset.y, self.visible_rows

    def fit_columns(self, width: int, needs: Mapping[str, int]) -> tuple[Placed, ...]:
        """Return those of the lines' own columns that fit; of their names all are known, also those out of sight."""
        if self.lines is None:
            return super().fit_columns(width, needs)
        needs = {**needs, "service": self.lines.longest}
        if self.lines.columns is COLUMNS:
            return place(width, needs, VERIFIED if self._verified else LONG)
        return place(width, needs, self.lines.columns)

    @property
    def cell_names(self) -> Sequence[str]:
        """The columns of the lines' cells."""
        return CELLS if self.lines is None else self.lines.cell_names

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Take in how wide the cells are that came into view."""
        super().watch_scroll_y(old_value, new_value)
        if self._learn(self.visible_rows):
            self.refresh()

    def action_unfold(self, wanted: bool) -> None:
        """Open or close the line under the cursor."""
        self.unfold(wanted)

    @property
    def cursor(self) -> int:
        """The index of the line under the cursor."""
        return self._cursor
