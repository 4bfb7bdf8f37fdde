"""The lines of one resource's log: bounded, counted, searchable. Knows no widget."""

from __future__ import annotations

from collections import deque
from typing import Final

from devenv.core.model import LogLine

LINES_KEPT: Final = 10_000


class LogBuffer:
    """The newest lines. Each line has a number that it keeps while older ones are let go."""

    def __init__(self, kept: int = LINES_KEPT) -> None:
        self.lines: deque[LogLine] = deque(maxlen=kept)
        self.first = 0  # the number of lines[0]: so many were let go at the front
        self.dropped = 0  # lines that the reader had to drop: they never came here
        self.marked = 0  # marks that were put between the lines, or are older than all of them

    @property
    def total(self) -> int:
        """How many lines ever came; the number that the next one gets."""
        return self.first + len(self.lines)

    def append(self, line: LogLine) -> None:
        """Add a line; the oldest is let go where there are too many."""
        if len(self.lines) == self.lines.maxlen:
            self.first += 1
        self.lines.append(line)

    def line(self, number: int) -> LogLine | None:
        """The line of that number, or None where it was let go or has not come."""
        index = number - self.first
        return self.lines[index] if 0 <= index < len(self.lines) else None

    def inherit(self, older: LogBuffer, marker: LogLine) -> None:
        """Begin with the lines of the container that was here before, and a marker after them."""
        mine = list(self.lines)
        self.lines = deque((*older.lines, marker, *mine), maxlen=self.lines.maxlen)
        self.first = older.total + 1 + len(mine) - len(self.lines)
        self.dropped += older.dropped
        self.marked = max(self.marked, older.marked)

    def at(self, moment: float) -> int | None:
        """Return the number of the newest line that is not later than that time; None where there is none."""
        found = None
        for number, line in enumerate(self.lines, self.first):
            if line.at is not None and line.at <= moment:
                found = number
        return found

    def find(self, needle: str, start: int, step: int) -> int | None:
        """Return the number of the next line with that text from `start` on, in the direction of `step`; wraps."""
        wanted = needle.casefold()
        lines = list(self.lines)
        if not wanted or not lines:
            return None
        at = min(max(start - self.first, 0), len(lines) - 1)
        for offset in range(len(lines)):
            index = (at + step * offset) % len(lines)
            if wanted in lines[index].text.casefold():
                return self.first + index
        return None

    def count(self, needle: str) -> int:
        """Count the lines with that text."""
        wanted = needle.casefold()
        return sum(wanted in line.text.casefold() for line in self.lines) if wanted else 0
