"""Fits a series of any length into the columns of a chart, without hiding its peaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from devenv.load.figures import total
from devenv.load.series import LoadTick

COLUMNS: Final = 500  # of a chart: one for each two CSS pixels


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the time of its middle, the mean of its values, the least and the greatest of them."""

    t: float
    mean: float
    low: float
    high: float


def columns(values: Iterable[tuple[float, float | None]], length: float, count: int = COLUMNS) -> list[Column]:
    """Put values into at most `count` columns of equal width over `length` seconds; empty columns are left out."""
    width = length / count if length > 0 else 1.0
    buckets: dict[int, list[tuple[float, float]]] = {}
    for t, value in values:
        if value is not None:
            buckets.setdefault(min(count - 1, max(0, int(t / width))), []).append((t, value))
    found = []
    for _, items in sorted(buckets.items()):
        numbers = [value for _, value in items]
        middle = sum(t for t, _ in items) / len(items)
        found.append(Column(middle, sum(numbers) / len(numbers), min(numbers), max(numbers)))
    return found


def percentiles(load: Sequence[LoadTick], percent: float, length: float, count: int = COLUMNS) -> list[Column]:
    """Return the percentile of all requests of each column: of merged histograms, as percentiles have no mean."""
    width = max(length / count if length > 0 else 1.0, 1e-9)
    buckets: dict[int, list[LoadTick]] = {}
    for tick in load:
        buckets.setdefault(int(tick.t / width), []).append(tick)
    found = []
    for _, ticks in sorted(buckets.items()):
        value = total(tick.total for tick in ticks).percentile(percent)
        if value is not None:
            found.append(Column(sum(tick.t for tick in ticks) / len(ticks), value, value, value))
    return found
