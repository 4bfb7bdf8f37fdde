"""How many lines, and how many errors of them, were written when: kept up as lines are looked at and let go of."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from devenv.core.model import LogLine
from devenv.logs.record import ERROR, level_of

BUCKETS: Final = 512  # that are kept; more than a screen has columns
_NOT_COUNTED: Final = -1


class Column(Struct, frozen=True):
    """A stretch of time: where it begins, in seconds since the epoch, and what was written in it."""

    at: float
    lines: int
    errors: int


class Histogram:
    """The counts of a growing list of lines, whose oldest and newest may go; one change costs as much as its lines.

    A bucket is a second long, or a power of two of them where there would be too many.
    """

    def __init__(self) -> None:
        # Of each line its second, doubled, and one more for an error: what goes is taken off what it was put on.
        self._moments = array("q")
        self._counts: dict[int, tuple[int, int]] = {}  # lines and errors, by the second shifted to the right
        self._shift = 0

    def append(self, lines: Iterable[LogLine]) -> None:
        """Count lines behind the others."""
        moments = [_moment(line) for line in lines]
        self._moments.extend(moments)
        self._count(moments, 1)

    def prepend(self, lines: Iterable[LogLine]) -> None:
        """Count lines, the oldest first, before the others."""
        moments = array("q", map(_moment, lines))
        self._moments = moments + self._moments
        self._count(moments, 1)

    def forget(self, begin: int, end: int) -> None:
        """Take lines off again, by their places in the list."""
        self._count(self._moments[begin:end], -1)
        del self._moments[begin:end]

    def _count(self, moments: Iterable[int], by: int) -> None:
        counts = self._counts
        for moment in moments:
            if moment != _NOT_COUNTED:
                bucket = moment >> 1 + self._shift
                lines, errors = counts.get(bucket, (0, 0))
                if lines + by:
                    counts[bucket] = lines + by, errors + (moment & 1) * by
                else:
                    del counts[bucket]
        while len(counts) > BUCKETS:
            self._widen()
            counts = self._counts

    def _widen(self) -> None:
        merged: dict[int, tuple[int, int]] = {}
        for bucket, (lines, errors) in self._counts.items():
            before = merged.get(bucket >> 1, (0, 0))
            merged[bucket >> 1] = before[0] + lines, before[1] + errors
        self._counts, self._shift = merged, self._shift + 1

    def columns(self, width: int) -> list[Column]:
        """Return so many stretches of the time from the first to the last line; none where no line has a time."""
        if not self._counts:
            return []
        first, last = min(self._counts), max(self._counts)
        if self._shift and last - first < BUCKETS // 4:  # the lines that needed so wide buckets are gone
            self._counts, self._shift = {}, 0
            self._count(self._moments, 1)
            first, last = min(self._counts), max(self._counts)
        span = last + 1 - first
        counts = [(0, 0)] * width
        for bucket, (lines, errors) in self._counts.items():
            begin, end = ((at - first) * width // span for at in (bucket, bucket + 1))
            for column in range(begin, max(begin + 1, end)):  # where there are more columns than buckets: a wide one
                counts[column] = counts[column][0] + lines, counts[column][1] + errors
        return [
            Column(float(first + column * span // width << self._shift), lines, errors)
            for column, (lines, errors) in enumerate(counts)
        ]

    def since(self, at: float) -> int | None:
        """Return the place of the first line from that second on; None where all are older."""
        due = int(at) << 1
        return next((place for place, moment in enumerate(self._moments) if moment >= due), None)

    def error(self, place: int, step: int) -> int | None:
        """Return the place of the next (1) or the last (-1) error of another second than that place's."""
        second = self._moments[place] >> 1 if place < len(self._moments) else None
        places = range(place + 1, len(self._moments)) if step > 0 else range(min(place, len(self._moments)) - 1, -1, -1)
        for other in places:
            moment = self._moments[other]
            if moment & 1 and moment != _NOT_COUNTED and moment >> 1 != second:
                return other
        return None


def _moment(line: LogLine) -> int:
    if line.at is None or line.stream == "devenv":
        return _NOT_COUNTED
    return int(line.at) << 1 | (level_of(line.text) >= ERROR)
