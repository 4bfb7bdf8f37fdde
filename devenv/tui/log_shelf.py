"""The logs at hand: one buffer a resource, for the selected one and those that were selected just before it."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from devenv.core.model import LogLine, LogsDropped
from devenv.tui.rows import Identity
from devenv.tui.widgets.log_buffer import LogBuffer

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
