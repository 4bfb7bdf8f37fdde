"""A table of figures: name, program, median, range, goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """Measured values of one thing, in one unit; `failed` counts the runs in which it was never seen."""

    name: str
    program: str
    values: tuple[float, ...]
    unit: str
    goal: str = ""
    failed: int = 0

    @property
    def median(self) -> float:
        """The middle value; not a number when nothing was measured."""
        return statistics.median(self.values) if self.values else float("nan")

    def row(self) -> tuple[str, ...]:
        """The figure as the table's cells."""
        digits = 0 if self.unit == "MB" else 3 if self.unit == "s" else 2
        spread = f"{min(self.values):.{digits}f} - {max(self.values):.{digits}f}" if self.values else "-"
        runs = f"{len(self.values)}" + (f" (+{self.failed} not seen)" if self.failed else "")
        return self.name, self.program, f"{self.median:.{digits}f} {self.unit}", spread, runs, self.goal


def print_table(figures: Sequence[Figure]) -> None:
    """Write the figures to stdout as an aligned Markdown table."""
    rows = [("figure", "program", "median", "min - max", "runs", "goal"), *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |", flush=True)
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
