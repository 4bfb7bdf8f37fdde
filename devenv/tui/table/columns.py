"""The table's columns: which fit into a width, and how wide each is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from devenv.tui.safe_text import fit, fit_ends


class Column(Struct, frozen=True):
    """A column: at least `least` cells wide, at most `most`; the lowest `rank` gives way first in a narrow terminal.

    A `spare` column gives way before a name is cut. One that is `elastic` is narrower than `least` where its cells
    have less to show; the others keep their width, so that figures that change do not move the rest of a line.
    """

    name: str
    title: str
    least: int
    most: int
    rank: int
    right: bool = False
    short: str = ""  # the title where the long one does not fit
    elastic: bool = False
    spare: bool = False

    def bounds(self, need: int | None) -> tuple[int, int]:
        """Return the least and the most cells for what its cells need; None: nothing is known of them."""
        title = len(self.title)
        least = self.least if need is None or not self.elastic else min(self.least, max(title, need))
        return least, max(least, min(self.most, max(title, need or 0)))


class Placed(Struct, frozen=True):
    """A column with its place on the line."""

    column: Column
    x: int
    width: int


COLUMNS: Final = (
    Column("service", "SERVICE", 10, 80, 9, elastic=True),
    Column("state", "STATE", 22, 30, 8, elastic=True),
    Column("health", "HEALTH", 11, 11, 7, elastic=True),
    Column("restarts", "RESTARTS", 3, 14, 4, right=True, short="RST"),
    Column("cpu", "CPU", 5, 6, 6, right=True),
    Column("memory", "MEMORY", 7, 8, 5, right=True),
    Column("ports", "PORTS", 9, 100, 2, elastic=True, spare=True),
    Column("age", "AGE", 4, 4, 3, right=True),
)
# A pod's name is longer than a container's.
LONG_NAMES: Final = (Column("service", "SERVICE", 20, 80, 9, elastic=True), *COLUMNS[1:])
# What the smoke tests last said, once they have said something: the first to give way, the details have it too.
VERIFIED: Final = (Column("verdict", "VERIFIED", 12, 18, 1, spare=True),)
FIGURES: Final = ("restarts", "cpu", "memory", "age")  # the largest stands first, but for the age
MARGIN: Final = 2  # the cursor's mark and a space


def place(
    width: int, needs: Mapping[str, int] | None = None, every: tuple[Column, ...] = COLUMNS
) -> tuple[Placed, ...]:
    """Return the columns that fit into `width` cells; `needs` are the widest cells of each that are known.

    The first column holds the name: spare columns go before it is cut, it is cut before others go, and it is the first
    to get what is left over, for without it a row says nothing.
    """
    needs = needs or {}
    gap = 2 if width >= 100 else 1
    columns = list(every)
    bounds = {column.name: column.bounds(needs.get(column.name)) for column in every}
    name = every[0].name
    for spare, first in ((True, bounds[name][1]), (False, bounds[name][0])):
        while MARGIN + first + sum(bounds[column.name][0] + gap for column in columns[1:]) > width:
            others = [column for column in columns[1:] if column.spare or not spare]
            if not others or len(columns) <= 2:
                break
            columns.remove(min(others, key=lambda column: column.rank))
    widths = {column.name: bounds[column.name][0] for column in columns}
    left = width - MARGIN - sum(widths.values()) - gap * (len(columns) - 1)
    for column in sorted(columns, key=lambda column: (column.name != name, -column.rank)):
        more = max(0, min(left, bounds[column.name][1] - widths[column.name]))
        widths[column.name] += more
        left -= more
    placed = []
    x = MARGIN
    for column in columns:
        placed.append(Placed(column, x, widths[column.name]))
        x += widths[column.name] + gap
    return tuple(placed)


def fitted(text: str, placed: Placed) -> str:
    """Return what a cell says in exactly the room that it has."""
    if placed.column.name in ("service", "namespace"):
        return fit_ends(text, placed.width)
    if placed.column.name == "restarts" and len(text) > placed.width:
        text = text.partition(" ")[0]  # the count without the age of the newest
    return fit(text, placed.width, right=placed.column.right)


def title(placed: Placed, arrow: str = "") -> str:
    """Return a column's head in exactly its room, with the arrow where the lines are in its order."""
    column = placed.column
    room = placed.width - len(arrow)
    words = column.title if len(column.title) <= room or not column.short else column.short
    return fit(words[:room] + arrow, placed.width, right=column.right)
