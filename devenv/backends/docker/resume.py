"""Where a log was when it broke off, and which lines of the new connection were there before."""

from __future__ import annotations

from devenv.core.model import LogLine

OVERLAP = 0.001  # seconds asked for again, since a time as float is exact to 0.3 us only


class Resume:
    """Counts what was seen, so that a resumed log neither repeats nor loses a line."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._at_last = 0  # lines with exactly that time
        self._skip_at: float | None = None
        self._to_skip = 0

    def params(self, tail: int) -> dict[str, str | int]:
        """Return the query for the next connection: the last `tail` lines at first, then all since the last one."""
        if self._last is None:
            return {"tail": tail}
        self._skip_at, self._to_skip = self._last, self._at_last
        return {"since": f"{self._last - OVERLAP:.9f}", "tail": "all"}

    def new_of(self, lines: list[LogLine]) -> list[LogLine]:
        """Return those lines that were not seen before the connection was made anew."""
        if self._skip_at is not None:
            lines = [line for line in lines if not self._seen(line)]
        times = [line.at for line in lines if line.at is not None]
        # Two streams' lines are not quite in the order of their times, so the last line is not always the latest.
        latest = max(times, default=None)
        if latest is not None and (self._last is None or latest >= self._last):
            self._at_last = times.count(latest) + (self._at_last if latest == self._last else 0)
            self._last = latest
        return lines

    def _seen(self, line: LogLine) -> bool:
        if self._skip_at is None or line.at is None:
            return False
        if line.at < self._skip_at:
            return True
        if line.at == self._skip_at and self._to_skip:
            self._to_skip -= 1
            return True
        if line.at > self._skip_at:
            self._skip_at = None
        return False
