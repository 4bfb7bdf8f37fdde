"""The table's columns: which fit into a width, and how wide each is. The terminal's width decides, never a redraw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    """A column: at least `least` cells wide, at most `most`; the lowest `rank` gives way first in a narrow terminal."""

    name: str
    title: str
    least: int
    most: int
    rank: int
    right: bool = False
    short: str = ""  # the title where the long one does not fit


@dataclass(frozen=True, slots=True)
class Placed:
    """A column with its place on the line."""

    column: Column
    x: int
    width: int


COLUMNS: Final = (
    Column("service", "SERVICE", 10, 32, 9),
    Column("state", "STATE", 22, 30, 8),
    Column("health", "HEALTH", 11, 11, 7),
    Column("restarts", "RESTARTS", 3, 8, 4, right=True, short="RST"),
    Column("cpu", "CPU", 5, 6, 6, right=True),
    Column("memory", "MEMORY", 7, 8, 5, right=True),
    Column("ports", "PORTS", 9, 40, 2),
    Column("age", "AGE", 3, 4, 3, right=True),
)
# With what the smoke tests last said, once they have said something: the first to give way, the details have it too.
VERIFIED_COLUMNS: Final = (*COLUMNS, Column("verdict", "VERIFIED", 12, 18, 1))
MARGIN: Final = 2  # the cursor's mark and a space
# Who gets what is left over: the name first (without it a row says nothing), then where a crash is told.
_GROWS: Final = ("service", "restarts", "state", "ports", "cpu", "memory", "age", "verdict")


def place(width: int, longest_service: int = 0, every: tuple[Column, ...] = COLUMNS) -> tuple[Placed, ...]:
    """Return the columns that fit into `width` cells; what is left over goes to those that can use it."""
    gap = 2 if width >= 100 else 1
    columns = list(every)
    while len(columns) > 2 and MARGIN + sum(column.least + gap for column in columns) - gap > width:
        columns.remove(min(columns, key=lambda column: column.rank))
    widths = {column.name: column.least for column in columns}
    most = {column.name: column.most for column in columns}
    most["service"] = min(max(longest_service, len("SERVICE")), most["service"])
    spare = width - MARGIN - sum(widths.values()) - gap * (len(columns) - 1)
    known = all(column.name in _GROWS or column.name == "health" for column in every)
    for name in _GROWS if known else ("service", *(column.name for column in every[1:])):
        more = min(spare, most.get(name, 0) - widths.get(name, 0))
        if more > 0:
            widths[name] += more
            spare -= more
    placed = []
    x = MARGIN
    for column in columns:
        placed.append(Placed(column, x, widths[column.name]))
        x += widths[column.name] + gap
    return tuple(placed)
