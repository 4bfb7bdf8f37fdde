"""The lines of a table of any length: kept in order one by one, and made into rows only where somebody looks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

from msgspec import Struct

from devenv.tui.table.cells import CELLS, Cell
from devenv.tui.table.columns import COLUMNS, Column

if TYPE_CHECKING:
    from devenv.tui.table.arrangement import Order, Value
    from devenv.tui.table.filter import RowFilter

Path = tuple[str, ...]  # where a line stands: lines are in the order of their paths


class GroupKey(NamedTuple):
    """A service, and the namespace where that is not the one whose services are the Compose project's too."""

    service: str
    namespace: str


class Row(Struct, frozen=True):
    """One line of the table. `cells` are in the order of the lines' columns, and harmless.

    The path is what the line stands for, whichever container is behind it now: it outlives a container's re-creation.
    """

    path: Path
    service: str
    key: str  # of the resource that it stands for; "" where it stands for several
    title: str
    cells: tuple[Cell, ...]
    absent: bool = False
    group: GroupKey | None = None  # of a service that it stands for as a whole, with all of its resources

    @property
    def source(self) -> str | GroupKey:
        """Whose log is the line's."""
        return self.group or self.key


class Lines(Sequence[Row], ABC):
    """A sequence of rows. `structure` grows when lines come, go or are put elsewhere; a changed row is a new object."""

    columns: tuple[Column, ...] = COLUMNS
    cell_names: tuple[str, ...] = CELLS

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._rows: dict[Path, Row] = {}
        self.structure = 0
        self.longest = 0  # of the first cells: it only grows until it is measured, so that columns do not dance
        self.only: RowFilter | None = None  # what passes is shown
        self.order: Order | None = None  # None: in the order of the paths
        self._values: dict[Path, Value | None] = {}  # that lines were put in order by, until they change
        self._in_order: list[Path] = []
        self._in_order_for = -1  # the structure that they were put in order for
        self.chosen: Path | None = None  # where the cursor was when other lines were shown
        self.rows_built = 0  # since the start: a budget of the tests

    @abstractmethod
    def build(self, path: Path) -> Row:
        """Make the row of a line."""

    @abstractmethod
    def width(self, path: Path) -> int:
        """Return how many cells the line's first cell needs, cheaply."""

    @abstractmethod
    def filter(self, only: RowFilter | None) -> None:
        """Show only what passes; None shows everything."""

    @abstractmethod
    def value(self, path: Path, column: str) -> Value | None:
        """Return what the line is put in order by; None for nothing, which stands last."""

    @property
    def by_path(self) -> bool:
        """Whether the lines are in the order of their paths."""
        return self.order is None

    def arranged(self, heads: Iterable[Path]) -> list[Path]:
        """Return these lines as they stand where they are sorted by no column."""
        return list(heads)

    def head(self, path: Path) -> Path:
        """Return the line that this one stays below, in any order; itself where it stands alone."""
        return path

    def sort(self, order: Order | None) -> None:
        """Put the lines in that order."""
        self.order = order
        self._values.clear()
        self.structure += 1

    def sort_again(self) -> None:
        """Put the lines in order by what they say now."""
        if len(self._values) == len(self._paths):
            return  # nothing changed since
        before = self._in_order
        if self.order is not None and (now := self._sorted()) != before:
            self.structure += 1
            self._in_order, self._in_order_for = now, self.structure

    @property
    def shown(self) -> list[Path]:
        """The lines from top to bottom."""
        if self.by_path:
            return self._paths
        if self._in_order_for != self.structure:
            self._in_order, self._in_order_for = self._sorted(), self.structure
        return self._in_order

    def _sorted(self) -> list[Path]:
        from devenv.tui.table.arrangement import in_order

        families: dict[Path, list[Path]] = {}
        for path in self._paths:
            families.setdefault(self.head(path), []).append(path)
        if self.order is None:
            return [path for head in self.arranged(families) for path in families[head]]
        order, falling = self.order, self.order.falling

        def value(path: Path) -> Value | None:
            if path not in self._values:
                self._values[path] = self.value(path, order.column)
            return self._values[path]

        made = []
        for head in in_order(families, value, falling=falling):
            members = [path for path in families[head] if path != head]
            made += [
                *([head] if len(members) < len(families[head]) else ()),
                *in_order(members, value, falling=falling),
            ]
        return made

    def find(self, path: Path) -> int | None:
        """Return the index of that line, None where it is not there."""
        index = self._place(path)
        return index if index is None or self.by_path else self.shown.index(path)

    def _place(self, path: Path) -> int | None:
        index = bisect_left(self._paths, path)
        return index if index < len(self._paths) and self._paths[index] == path else None

    def stand_in(self, path: Path) -> Path | None:
        """Return the line that a line which is there, but not shown, is now a part of; None where there is none."""
        return None

    def stale(self, path: Path) -> None:
        """Let the row be made again when somebody looks."""
        self._rows.pop(path, None)
        self._values.pop(path, None)

    def forget_rows(self) -> None:
        """Let all rows be made again when somebody looks: time alone has changed them."""
        self._rows.clear()

    def show(self, path: Path) -> None:
        """Put a line into its place; nothing happens where it is there."""
        if self._place(path) is not None:
            return
        self._paths.insert(bisect_left(self._paths, path), path)
        self.longest = max(self.longest, self.width(path))
        self.structure += 1

    def hide(self, path: Path) -> None:
        """Take a line away; nothing happens where it is not there."""
        index = self._place(path)
        if index is not None:
            del self._paths[index]
            self.structure += 1
        self.stale(path)

    def reset(self, paths: Iterable[Path]) -> None:
        """Show exactly these lines."""
        self._paths = sorted(paths)
        self._rows.clear()
        self._values.clear()
        self.measure()
        self.structure += 1

    def measure(self) -> None:
        """Find the longest of the first cells again."""
        self.longest = max(map(self.width, self._paths), default=0)

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Row]:
        return (self._row(path) for path in list(self.shown))

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(index, slice):
            return tuple(self._row(path) for path in self.shown[index])
        return self._row(self.shown[index])

    def _row(self, path: Path) -> Row:
        row = self._rows.get(path)
        if row is None:
            self.rows_built += 1
            row = self._rows[path] = self.build(path)
        return row
