"""Values over time in bounded memory: when a run grows longer than the bins reach, two bins become one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

BINS: Final = 256  # more than a chart has columns; after 2 hours a bin is half a minute


@dataclass(slots=True)
class _Bin:
    total: float
    count: int
    most: float
    last: float

    def join(self, later: _Bin) -> None:
        self.total += later.total
        self.count += later.count
        self.most = max(self.most, later.most)
        self.last = later.last


def _mean(item: _Bin) -> float:
    return item.total / item.count


def _most(item: _Bin) -> float:
    return item.most


def _last(item: _Bin) -> float:
    return item.last


class Course:
    """Series by name over one time axis. Times are seconds since the recording began."""

    MEAN: Final[Callable[[_Bin], float]] = staticmethod(_mean)
    MOST: Final[Callable[[_Bin], float]] = staticmethod(_most)
    LAST: Final[Callable[[_Bin], float]] = staticmethod(_last)

    def __init__(self, bins: int = BINS) -> None:
        self._most_bins = bins
        self._step = 1.0
        self._series: dict[str, dict[int, _Bin]] = {}

    def add(self, name: str, t: float, value: float | None) -> None:
        """Add a value; an unknown one is left out, and shows as a gap."""
        if value is None or t < 0:
            return
        while t / self._step >= self._most_bins:
            self._fold()
        bins = self._series.setdefault(name, {})
        fresh = _Bin(value, 1, value, value)
        known = bins.setdefault(int(t / self._step), fresh)
        if known is not fresh:
            known.join(fresh)

    def names(self, prefix: str) -> list[str]:
        """Return the names that begin so."""
        return sorted(name for name in self._series if name.startswith(prefix))

    def columns(
        self, name: str, since: float, until: float, count: int, how: Callable[[_Bin], float]
    ) -> list[float | None]:
        """Return the values of `count` equal parts of a time; None where nothing is known."""
        bins = self._series.get(name, {})
        width = (until - since) / max(1, count)
        found: list[float | None] = []
        for column in range(count):
            first = int((since + column * width) / self._step)
            end = max(first + 1, int((since + (column + 1) * width) / self._step))
            values = [how(bins[index]) for index in range(first, end) if index in bins]
            found.append(_joined(values, how) if values else None)
        return found

    def _fold(self) -> None:
        self._step *= 2
        for name, bins in self._series.items():
            folded: dict[int, _Bin] = {}
            for index in sorted(bins):
                item = bins[index]
                known = folded.setdefault(index // 2, item)
                if known is not item:
                    known.join(item)
            self._series[name] = folded


def _joined(values: list[float], how: Callable[[_Bin], float]) -> float:
    if how is _last:
        return values[-1]
    return max(values) if how is _most else sum(values) / len(values)
