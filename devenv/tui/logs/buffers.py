"""The logs of the lines that were selected last: a buffer for each, and what writes into it. Knows no widget."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final

from devenv.core.model import LogLine, LogsDropped
from devenv.logs.buffer import LogBuffer
from devenv.tui.table.lines import GroupKey, Path

SHELF: Final = 3  # logs that are still followed after the selection went on: coming back finds them whole
RE_CREATED: Final = "container was re-created"  # the mark between the lines of two containers
MARKS_KEPT: Final = 400
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

    def due(self, buffer: LogBuffer, until: float, first: LogLine | None) -> list[LogLine]:
        """Return the marks until that time which a buffer lacks, without those that are older than its first line."""
        gone = self._total - len(self._marks)
        buffer.marked = max(buffer.marked, gone)
        due: list[LogLine] = []
        while buffer.marked < self._total:
            mark = self._marks[buffer.marked - gone]
            if (mark.at or 0.0) > until:
                break
            if first is not None and (mark.at or 0.0) >= (first.at or 0.0):
                due.append(mark)
            buffer.marked += 1
        return due

    def without(self, buffer: LogBuffer) -> list[LogLine]:
        """Return a buffer's lines without its marks, which are put in anew with the lines."""
        buffer.marked = 0
        return [line for line in buffer.lines if not (line.key == _MARK and line.stream == "devenv")]


class LogShelf:
    """The buffers of the lines that were selected lately, and what writes into each.

    A buffer may be fed by many sources: a workload's pods, a service in both runtimes, or all services; it then knows
    what each is called. A line of an unknown source is thrown away.
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
                    buffer.inherit(before, LogLine(str(source), now, "devenv", RE_CREATED))
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

    def let_go(self, row: Source) -> None:
        """Let the lines of sources go that do not write into that buffer any more."""
        buffer = self._buffers[row]
        kept = [line for line in buffer.lines if line.stream == "devenv" or self._front(row, line.key) is not None]
        buffer.clear()
        buffer.extend(kept, place=False)

    def _fill(self, row: Source, fresh: set[str]) -> LogBuffer | None:
        # A source that is followed already does not begin with its last lines once more.
        buffer = self._buffers[row]
        known: list[LogLine] = []
        for source in fresh:
            other = next((one for one in self._buffers if one != row and self._front(one, source) is not None), None)
            if other is not None:
                lines = self._buffers[other].lines
                known += [line for line in lines if source in (line.key, self._workload_of(line.key)[0])]
        if not known:
            return None
        buffer.names |= {key: self._front(row, key) or "" for key in {line.key for line in known}}
        mine = self.marks.without(buffer)
        buffer.lines.clear()
        self._put(buffer, [*mine, *known], place=True)
        return buffer

    def take(self, *changes: LogLine | LogsDropped) -> list[LogBuffer]:
        """Put lines away; return the buffers that they went to."""
        keys = {change.key for change in changes}
        touched: list[LogBuffer] = []
        for row, buffer in self._buffers.items():
            names = {key: name for key in keys if (name := self._front(row, key)) is not None}
            if not names:
                continue
            buffer.names |= names
            lines: list[LogLine] = []
            for change in changes:
                if change.key in names:
                    if isinstance(change, LogLine):
                        lines.append(change)
                    else:
                        buffer.dropped[change.key] += change.count
            if lines:
                self._put(buffer, lines, place=len(buffer.names) > 1)
            touched.append(buffer)
        return touched

    def _put(self, buffer: LogBuffer, lines: list[LogLine], *, place: bool) -> None:
        """Add lines, with the marks that are older."""
        until = max((line.at for line in lines if line.at is not None), default=0.0)
        marks = self.marks.due(buffer, until, buffer.lines[0] if buffer.lines else lines[0])
        buffer.extend([*lines, *marks], place=place or bool(marks))

    def mark(self, at: float, text: str) -> None:
        """Tell a moment in every log, between the lines of before and after."""
        self.marks.add(at, text)

    def settle(self, until: float) -> bool:
        """Tell the moments until then also where no later line came; return whether there were any."""
        filled = False
        for buffer in self._buffers.values():
            if buffer.lines and (marks := self.marks.due(buffer, until, buffer.lines[0])):
                buffer.extend(marks, place=False)
                filled = True
        return filled

    def _front(self, row: Source, key: str) -> str | None:
        """Return what that source is called in that buffer; None where its lines do not belong there."""
        fronts = self._fronts[row]
        if key in fronts:
            return fronts[key]
        workload, name = self._workload_of(key)
        if not workload or workload not in fronts:
            return None
        return " ".join(part for part in (fronts[workload], name) if part)
