"""A table of figures: name, program, median, range, goal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.tables import print_rows


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
    print_rows(("figure", "program", "median", "min - max", "runs", "goal"), [figure.row() for figure in figures])


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which that share of the values is; not a number where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def in_turn(runs: int, **programs: Callable[[], float]) -> dict[str, tuple[float, ...]]:
    """Run the programs one after the other, again and again; return the seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(runs):
        for name, call in programs.items():
            times[name].append(call())
    return {name: tuple(seconds) for name, seconds in times.items()}
