"""The newest lines of each log, bounded and counted; a buffer for each of the last selected. Knows no widget."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from devenv.core.model import LogLine, LogsDropped
from devenv.tui.rows import Identity

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


SHELF: Final = 3  # logs that are still followed after the selection went on: coming back finds them whole
MARKS_KEPT: Final = 400
_MARK: Final = ""  # the key of a mark: of no resource, so that it is not copied with a resource's lines


class LogMarks:
    """Moments told in every log, in the order of their times; each buffer knows how many of all it has seen."""

    def __init__(self) -> None:
        self._marks: deque[LogLine] = deque(maxlen=MARKS_KEPT)
        self._total = 0

    def add(self, at: float, text: str) -> None:
        """Add a mark; the oldest is let go where there are too many."""
        self._marks.append(LogLine(_MARK, at, "devenv", text))
        self._total += 1

    def fill(self, buffer: LogBuffer, until: float) -> bool:
        """Put the marks until that time into a buffer, without those that are older than its first line.

        Returns whether there were any.
        """
        before, gone = buffer.total, self._total - len(self._marks)
        buffer.marked = max(buffer.marked, gone)
        while buffer.marked < self._total:
            mark = self._marks[buffer.marked - gone]
            if mark.at is not None and mark.at > until:
                break
            if buffer.lines:
                buffer.append(mark)
            buffer.marked += 1
        return buffer.total != before

    def without(self, buffer: LogBuffer) -> list[LogLine]:
        """Return a buffer's lines without its marks, which are put in anew with the lines."""
        buffer.marked = 0
        return [line for line in buffer.lines if not (line.key == _MARK and line.stream == "devenv")]


class LogShelf:
    """Routes log lines to the buffer of their resource; a line of an unknown one is thrown away."""

    def __init__(self) -> None:
        self._buffers: OrderedDict[str, LogBuffer] = OrderedDict()
        self._identities: dict[str, Identity] = {}
        self.marks = LogMarks()

    @property
    def keys(self) -> tuple[str, ...]:
        """Whose logs are wanted."""
        return tuple(self._buffers)

    def select(self, identity: Identity, key: str, now: float) -> LogBuffer:
        """Return the buffer of that resource, with the lines of the container that stood in its place before."""
        buffer = self._buffers.get(key)
        if buffer is None:
            buffer = LogBuffer()
            older = next((old for old, place in self._identities.items() if place == identity and old != key), None)
            if older is not None:
                before = self._buffers.pop(older)
                del self._identities[older]
                if before.lines:
                    buffer.inherit(before, LogLine(key, now, "devenv", "container was re-created"))
            self._buffers[key] = buffer
            self._identities[key] = identity
        self._buffers.move_to_end(key)
        while len(self._buffers) > SHELF:
            gone, _ = self._buffers.popitem(last=False)
            del self._identities[gone]
        return buffer

    def take(self, change: LogLine | LogsDropped) -> LogBuffer | None:
        """Put a line away; return the buffer that it went to."""
        buffer = self._buffers.get(change.key)
        if buffer is None:
            return None
        if isinstance(change, LogsDropped):
            buffer.dropped += change.count
        else:
            self.put(buffer, change)
        return buffer

    def put(self, buffer: LogBuffer, line: LogLine) -> None:
        """Append a line, after the marks that are older."""
        if line.at is not None:
            self.marks.fill(buffer, line.at)
        buffer.append(line)

    def mark(self, at: float, text: str) -> None:
        """Tell a moment in every log, between the lines of before and after."""
        self.marks.add(at, text)

    def settle(self, until: float) -> bool:
        """Tell the moments until then also where no later line came; return whether there were any."""
        filled = [self.marks.fill(buffer, until) for buffer in self._buffers.values() if buffer.lines]
        return any(filled)
