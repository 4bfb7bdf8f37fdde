"""Logs of several sources in one: of a workload's pods, or of a service in both runtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import merge

from msgspec.structs import replace

from devenv.core.model import LogLine, LogsDropped
from devenv.tui.logs.buffers import LogBuffer, LogShelf
from devenv.tui.rows import Identity

# Of a pod's key: the key of its workload, and how the pod is called beside the others of that workload.
Resolve = Callable[[str], tuple[str, str]]
_BAR = " │ "


class MergedShelf(LogShelf):
    """A buffer may be fed by many sources; each line then says in front which one wrote it."""

    def __init__(self, resolve: Resolve) -> None:
        super().__init__()
        self._resolve = resolve
        self._sources: dict[str, dict[str, str]] = {}  # of a row's key: source and what stands before its lines

    @property
    def rows(self) -> tuple[str, ...]:
        """The keys of the rows whose logs are kept."""
        return super().keys

    @property
    def keys(self) -> tuple[str, ...]:
        """Whose logs are wanted: the sources of the rows."""
        return tuple(dict.fromkeys(source for row in self.rows for source in self._sources.get(row, {row: ""})))

    def select(self, identity: Identity, key: str, now: float) -> LogBuffer:
        """Return the buffer of that row; a new one begins with what its source wrote for another row."""
        is_new = key not in self.rows
        buffer = super().select(identity, key, now)
        if is_new:
            self._sources.pop(key, None)
            if not key.startswith("group:"):
                self.feed(key, {key: ""})
        return buffer

    def feed(self, row: str, sources: Mapping[str, str]) -> LogBuffer | None:
        """Let these sources write into the buffer of that row, each with its own words in front.

        Returns the buffer where lines that were at hand already came into it.
        """
        fresh = sources.keys() - self._sources.get(row, {}).keys()
        self._sources[row] = dict(sources)
        for gone in self._sources.keys() - set(self.rows):
            del self._sources[gone]
        return self._fill(row, fresh) if fresh else None

    def _fill(self, row: str, fresh: set[str]) -> LogBuffer | None:
        # A source that is followed already does not begin with its last lines once more.
        buffer = self._buffers[row]
        known: list[list[LogLine]] = []
        for source in fresh:
            other = next(
                (other for other in self.rows if other != row and self._front(other, source) is not None), None
            )
            if other is not None:
                lines = (
                    line for line in self._buffers[other].lines if source in (line.key, self._resolve(line.key)[0])
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
        found: LogBuffer | None = None
        for row in self.rows:
            if self._front(row, change.key) is None:
                continue
            found = self._buffers[row]
            if isinstance(change, LogsDropped):
                found.dropped += change.count
            else:
                self.put(found, self._labelled(row, change))
        return found

    def _front(self, row: str, key: str) -> str | None:
        """Return what stands before the lines of that key in that row; None where they do not belong there."""
        sources = self._sources.get(row, {row: ""})
        if key in sources:
            return sources[key]
        workload, name = self._resolve(key)
        if not workload or workload not in sources:
            return None
        return " ".join(part for part in (sources[workload], name) if part)

    def _labelled(self, row: str, line: LogLine) -> LogLine:
        front = self._front(row, line.key)
        return replace(line, text=f"{front}{_BAR}{line.text}") if front else line

    def _plain(self, row: str, line: LogLine) -> LogLine:
        front = self._front(row, line.key)
        return replace(line, text=line.text.removeprefix(f"{front}{_BAR}")) if front else line
