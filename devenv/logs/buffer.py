"""The newest lines of one or several sources: bounded, counted, and several in the order of their times."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from itertools import accumulate, islice, takewhile
from operator import itemgetter
from typing import ClassVar, Final

from devenv.core.model import LogLine

LINES_KEPT: Final = 50_000
_MOVES: Final = 100  # a look after more of them finds every line another
PLACED: Final = 3_000  # of the newest lines: those among which one that comes late gets its place


class LogBuffer:
    """The newest lines. Each line has a number that it keeps while older ones are let go."""

    kept: ClassVar[int] = LINES_KEPT  # of each new buffer, where none is named; `[logs]` of devenv.toml says it

    def __init__(self, kept: int = 0) -> None:
        self.lines: deque[LogLine] = deque(maxlen=kept or self.kept)
        self.first = 0  # the number of lines[0]: so many were let go at the front
        self.dropped: Counter[str] = Counter()  # by source: lines that the reader had to drop; they never came here
        self.marked = 0  # marks that were put between the lines, or are older than all of them
        self.names: dict[str, str] = {}  # of each source that is told apart: what stands before its lines
        self._cleared = 0  # the number of the first line after the last clearing
        self._moves: deque[int] = deque(maxlen=_MOVES)  # the lowest number whose line is another one now, of each time
        self.moved = 0  # how often numbers got other lines

    @property
    def let_go(self) -> int:
        """How many lines had to make room."""
        return self.first - self._cleared

    @property
    def total(self) -> int:
        """How many lines ever came; the number that the next one gets."""
        return self.first + len(self.lines)

    def append(self, line: LogLine) -> None:
        """Add a line; the oldest is let go where there are too many."""
        if len(self.lines) == self.lines.maxlen:
            self.first += 1
        self.lines.append(line)

    def extend(self, lines: Sequence[LogLine], *, place: bool) -> None:
        """Add lines; with `place` each where its time belongs, among the newest `PLACED` of those that are there."""
        if place and lines:
            first = min((line.at for line in lines if line.at is not None), default=None)
            lines = _sorted([*(self._taken_back(first) if first is not None else ()), *lines])
        room = (self.lines.maxlen or 0) - len(self.lines)
        self.first += max(0, len(lines) - room)
        self.lines.extend(lines)

    def _taken_back(self, at: float) -> list[LogLine]:
        """Take out the lines at the end that are later, to be put back in their order."""
        lines = self.lines
        newest = islice(reversed(lines), PLACED)
        back = sum(1 for _ in takewhile(lambda line: _at(line) > at, newest))
        if back:
            self._moves.append(self.total - back)
            self.moved += 1
        return [lines.pop() for _ in range(back)][::-1]

    def moved_since(self, moved: int) -> int | None:
        """Return the lowest number that stands for another line than when `moved` was that; None for none."""
        missed = self.moved - moved
        if missed > _MOVES:
            return self.first
        return min(islice(reversed(self._moves), missed), default=None)

    def clear(self) -> None:
        """Let all lines go on purpose: they are not counted as let go for want of room."""
        self.first = self._cleared = self.total
        self.lines.clear()
        self.dropped.clear()

    def line(self, number: int) -> LogLine | None:
        """The line of that number, or None where it was let go or has not come."""
        index = number - self.first
        return self.lines[index] if 0 <= index < len(self.lines) else None

    def number_of(self, line: LogLine, start: int) -> int | None:
        """Return the number of that very line, from `start` on."""
        later = islice(self.lines, max(0, start - self.first), None)
        return next((number for number, one in enumerate(later, max(start, self.first)) if one is line), None)

    def inherit(self, older: LogBuffer, marker: LogLine) -> None:
        """Begin with the lines of the container that was here before, and a marker after them."""
        mine = list(self.lines)
        self.lines = deque((*older.lines, marker, *mine), maxlen=self.lines.maxlen)
        self.first = older.total + 1 + len(mine) - len(self.lines)
        self.dropped += older.dropped
        self.marked = max(self.marked, older.marked)

    def at(self, moment: float) -> int | None:
        """Return the number of the newest line that is not later than that time; None where there is none."""
        newest = None
        for number, line in enumerate(self.lines, self.first):
            if line.at is not None and line.at <= moment:
                newest = number
        return newest


def _at(line: LogLine) -> float:
    return line.at or 0.0


def _sorted(lines: Sequence[LogLine]) -> list[LogLine]:
    """Return them in the order of their times; one without stays behind the one before it."""
    times = list(accumulate(lines, lambda at, line: at if line.at is None else line.at, initial=0.0))[1:]
    return [line for _, line in sorted(zip(times, lines, strict=True), key=itemgetter(0))]
