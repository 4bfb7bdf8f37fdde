"""The newest lines of each log, bounded and counted; a buffer for each of the last selected. Knows no widget."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from heapq import merge
from typing import Final

from msgspec.structs import replace

from devenv.core.model import LogLine, LogsDropped
from devenv.tui.table.lines import GroupKey, Path

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
        newest = None
        for number, line in enumerate(self.lines, self.first):
            if line.at is not None and line.at <= moment:
                newest = number
        return newest

    def find(self, needle: str, start: int, step: int) -> int | None:
        """Return the number of the next line with that text from `start` on, in the direction of `step`; wraps."""
        folded = needle.casefold()
        lines = list(self.lines)
        if not folded or not lines:
            return None
        at = min(max(start - self.first, 0), len(lines) - 1)
        for offset in range(len(lines)):
            index = (at + step * offset) % len(lines)
            if folded in lines[index].text.casefold():
                return self.first + index
        return None

    def count(self, needle: str) -> int:
        """Count the lines with that text."""
        folded = needle.casefold()
        return sum(folded in line.text.casefold() for line in self.lines) if folded else 0


SHELF: Final = 3  # logs that are still followed after the selection went on: coming back finds them whole
MARKS_KEPT: Final = 400
_BAR: Final = " │ "
Source = str | GroupKey  # of a line: the key of its resource, or the service that it stands for as a whole
# Of a pod's key: the key of its workload, and how the pod is called beside the others of that workload.
WorkloadOf = Callable[[str], tuple[str, str]]
_MARK: Final = ""  # the key of a mark: of no resource, so that it is not copied with a resource's lines


class LogMarks:
    """Moments shown in every log, in the order of their times; each buffer knows how many of all it has seen."""

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
    """The buffers of the lines that were selected lately, and what writes into each.

    A buffer may be fed by many sources: a workload's pods, or a service in both runtimes; each line then says in front
    which one wrote it. A line of an unknown source is thrown away.
    """

    def __init__(self, workload_of: WorkloadOf = lambda key: ("", "")) -> None:
        self._workload_of = workload_of
        self._buffers: OrderedDict[Source, LogBuffer] = OrderedDict()
        self._paths: dict[Source, Path] = {}
        self._fronts: dict[Source, dict[str, str]] = {}  # of each: its sources, and what stands before their lines
        self.marks = LogMarks()

    @property
    def kept(self) -> tuple[Source, ...]:
        """Whose logs are kept, the last selected one last."""
        return tuple(self._buffers)

    @property
    def keys(self) -> tuple[str, ...]:
        """Whose logs are followed: all sources of what is kept."""
        return tuple(dict.fromkeys(key for one in self._buffers for key in self._fronts[one]))

    def select(self, path: Path, source: Source, now: float) -> LogBuffer:
        """Return the buffer of that line, with the lines of the container that stood in its place before.

        A new one begins with what its source wrote into another buffer.
        """
        buffer = self._buffers.get(source)
        if buffer is None:
            buffer = LogBuffer()
            older = next((old for old, place in self._paths.items() if place == path and old != source), None)
            if older is not None:
                before = self._forget(older)
                if before.lines:
                    buffer.inherit(before, LogLine(str(source), now, "devenv", "container was re-created"))
            self._buffers[source], self._paths[source], self._fronts[source] = buffer, path, {}
            if isinstance(source, str):
                self.feed(source, {source: ""})
        self._buffers.move_to_end(source)
        while len(self._buffers) > SHELF:
            self._forget(next(iter(self._buffers)))
        return buffer

    def _forget(self, source: Source) -> LogBuffer:
        del self._paths[source], self._fronts[source]
        return self._buffers.pop(source)

    def feed(self, row: Source, fronts: Mapping[str, str]) -> LogBuffer | None:
        """Let these sources write into the buffer of that line, each with its own words in front.

        Returns the buffer where lines that were at hand already came into it.
        """
        fresh = fronts.keys() - self._fronts[row].keys()
        self._fronts[row] = dict(fronts)
        return self._fill(row, fresh) if fresh else None

    def _fill(self, row: Source, fresh: set[str]) -> LogBuffer | None:
        # A source that is followed already does not begin with its last lines once more.
        buffer = self._buffers[row]
        known: list[list[LogLine]] = []
        for source in fresh:
            other = next((one for one in self._buffers if one != row and self._front(one, source) is not None), None)
            if other is not None:
                lines = (
                    line for line in self._buffers[other].lines if source in (line.key, self._workload_of(line.key)[0])
                )
                known.append([self._labelled(row, self._plain(other, line)) for line in lines])
        if not any(known):
            return None
        mine = self.marks.without(buffer)
        buffer.lines.clear()
        for line in merge(mine, *known, key=lambda line: line.at or 0.0):
            self.put(buffer, line)
        return buffer

    def take(self, change: LogLine | LogsDropped) -> LogBuffer | None:
        """Put a line away; return the buffer that it went to, the last selected one of several."""
        touched: LogBuffer | None = None
        for row, buffer in self._buffers.items():
            if self._front(row, change.key) is None:
                continue
            touched = buffer
            if isinstance(change, LogsDropped):
                touched.dropped += change.count
            else:
                self.put(touched, self._labelled(row, change))
        return touched

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

    def _front(self, row: Source, key: str) -> str | None:
        """Return what stands before the lines of that key in that buffer; None where they do not belong there."""
        fronts = self._fronts[row]
        if key in fronts:
            return fronts[key]
        workload, name = self._workload_of(key)
        if not workload or workload not in fronts:
            return None
        return " ".join(part for part in (fronts[workload], name) if part)

    def _labelled(self, row: Source, line: LogLine) -> LogLine:
        front = self._front(row, line.key)
        return replace(line, text=f"{front}{_BAR}{line.text}") if front else line

    def _plain(self, row: Source, line: LogLine) -> LogLine:
        front = self._front(row, line.key)
        return replace(line, text=line.text.removeprefix(f"{front}{_BAR}")) if front else line
