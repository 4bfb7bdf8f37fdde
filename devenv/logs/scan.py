"""Which lines of a buffer are looked at, and how many rows each takes: from the newest back, a slice of time at once.

The answer for the newest lines, which are on the screen, is there with the first slice; the rest follows while the
screen is drawn and keys are taken.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final

from devenv.core.model import LogLine
from devenv.logs.buffer import LogBuffer

if TYPE_CHECKING:
    from devenv.logs.histogram import Histogram

SLICE: Final = 0.008  # seconds
_STEP: Final = 256  # lines between two looks at the clock


class Scan:
    """The numbers of the lines that `measure` gives rows, in order; follows the buffer without walking it again."""

    def __init__(
        self, buffer: LogBuffer, measure: Callable[[LogLine, int], int], histogram: Histogram | None = None
    ) -> None:
        """`measure` returns how many rows a line, which has that number, takes; 0 leaves it out.

        The `histogram` counts those that are in.
        """
        self.buffer = buffer
        self.histogram = histogram
        self._measure = measure
        self.numbers = array("q")
        self._ends = array("q")  # of each: where its rows end, counted from an origin that stays
        self._start = 0  # where the first one's rows begin
        self._low = self._done = buffer.total  # the lines from `_low` to before `_done` were looked at
        self._moved = buffer.moved

    def __len__(self) -> int:
        """How many rows there are."""
        return self._ends[-1] - self._start if self._ends else 0

    @property
    def complete(self) -> bool:
        """Whether all lines were looked at."""
        return self._low <= self.buffer.first and not self.lags

    @property
    def lags(self) -> bool:
        """Whether lines came that were not looked at yet."""
        return self._done < self.buffer.total

    def looked_at(self, number: int) -> bool:
        """Whether that line was looked at, or is not there any more."""
        return self._low <= number < self._done or number < self.buffer.first

    def sync(self, seconds: float = SLICE) -> int:
        """Take in what the buffer let go of, and for about that time what it got; return how many rows went.

        A flood brings more than can be looked at before the next key: the rest comes with `look_back`.
        """
        buffer = self.buffer
        gone = self._forget(bisect_left(self.numbers, buffer.first))
        moved, self._moved = buffer.moved_since(self._moved), buffer.moved
        if moved is not None and moved < self._done:
            keep = bisect_left(self.numbers, moved)
            if self.histogram is not None:
                self.histogram.forget(keep, len(self.numbers))
            del self.numbers[keep:], self._ends[keep:]
            self._done, self._low = moved, min(self._low, moved)
        self._done, self._low = max(self._done, buffer.first), max(self._low, buffer.first)
        self._look_on(time.perf_counter() + seconds)
        return gone

    def _look_on(self, until: float) -> None:
        """Look at lines that came, up to that time."""
        came = list(islice(reversed(self.buffer.lines), self.buffer.total - self._done))
        end = self._ends[-1] if self._ends else self._start
        counted: list[LogLine] = []
        while came:
            for _ in range(min(_STEP, len(came))):
                line = came.pop()
                rows = self._measure(line, self._done)
                if rows:
                    counted.append(line)
                    end += rows
                    self.numbers.append(self._done)
                    self._ends.append(end)
                self._done += 1
            if self.histogram is not None:
                self.histogram.append(counted)
            counted.clear()
            if time.perf_counter() >= until:
                break

    def _forget(self, count: int) -> int:
        if not count:
            return 0
        gone = self._ends[count - 1] - self._start
        self._start = self._ends[count - 1]
        del self.numbers[:count], self._ends[:count]
        if self.histogram is not None:
            self.histogram.forget(0, count)
        return gone

    def look_back(self, seconds: float = SLICE, *, enough: int | None = None) -> int:
        """Look at older lines for about that time, or for so many rows; return how many rows came at the front.

        Lines that came and were not looked at yet are first.
        """
        buffer, until = self.buffer, time.perf_counter() + seconds
        self._look_on(until)
        measured: list[tuple[int, int]] = []  # the number and the rows, newest first
        counted: list[LogLine] = []
        added = 0
        while self._low > buffer.first:
            low = max(buffer.first, self._low - _STEP)
            lines = list(islice(buffer.lines, low - buffer.first, self._low - buffer.first))
            for back, line in enumerate(reversed(lines), 1):
                rows = self._measure(line, self._low - back)
                if rows:
                    measured.append((self._low - back, rows))
                    counted.append(line)
                    added += rows
            self._low = low
            if time.perf_counter() >= until or (enough is not None and added >= enough):
                break
        measured.reverse()
        if self.histogram is not None:
            self.histogram.prepend(reversed(counted))
        end = self._start = self._start - added
        ends = array("q")
        for _, rows in measured:
            end += rows
            ends.append(end)
        self.numbers = array("q", (number for number, _ in measured)) + self.numbers
        self._ends = ends + self._ends
        return added

    def at_row(self, y: int) -> tuple[int, int] | None:
        """Return the number of the line of that row, and which of its rows it is; None below the end."""
        index = bisect_right(self._ends, self._start + y)
        if y < 0 or index >= len(self.numbers):
            return None
        begins = self._ends[index - 1] if index else self._start
        return self.numbers[index], self._start + y - begins

    def steady(self, y: int) -> int:
        """Return a number of that row which it keeps when rows come and go at the front; negative ones are usual."""
        return self._start + y

    def row_steady(self, steady: int) -> int:
        """Return the row with that steady number now."""
        return steady - self._start

    def behind(self, number: int) -> int:
        """Return how many lines after that one take no row, up to the next that does."""
        index = bisect_right(self.numbers, number)
        return (self.numbers[index] if index < len(self.numbers) else self._done) - number - 1

    def before(self, number: int) -> int | None:
        """Return the number of the last line up to that one that has a row."""
        index = bisect_right(self.numbers, number)
        return self.numbers[index - 1] if index else None

    def row_of(self, number: int) -> int:
        """Return the first row of the line with that number, or of the next one that has any."""
        index = bisect_left(self.numbers, number)
        return (self._ends[index - 1] if index else self._start) - self._start

    def next_to(self, number: int, step: int) -> int | None:
        """Return the next number after (1) or before (-1) that one, from the other end where there is none."""
        if not self.numbers:
            return None
        index = bisect_right(self.numbers, number) if step > 0 else bisect_left(self.numbers, number) - 1
        return self.numbers[index % len(self.numbers)]
