"""What of a log was chosen to be shown: filters, and since when. Knows no widget."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from devenv.logs.buffer import LogBuffer
    from devenv.logs.filter import Filter, LineFilter

SINCE: Final = (0, 60, 300, 900, 3600, 14400)  # seconds, by the keys 0 to 5; 6: since the start


class LogFilters:
    """What of a log is shown: the filters that are kept, the one that is being typed, and since when."""

    def __init__(self) -> None:
        self.kept: tuple[Filter, ...] = ()
        self.since_key = 0
        self.since: float | None = None  # seconds since the epoch
        self._typed: Filter | None = None

    def read_from(self, buffer: LogBuffer) -> float | None:
        """Return when the oldest line of the buffer was written, where that is later than somebody asked for."""
        oldest = buffer.lines[0].at if buffer.lines else None
        return oldest if self.since is not None and oldest is not None and oldest > self.since else None

    def line_filter(self) -> LineFilter | None:
        """Return all of it as one; None: everything is shown."""
        filters = (*self.kept, *((self._typed,) if self._typed else ()))
        if not filters and self.since is None:
            return None
        from devenv.logs.filter import LineFilter  # with the first filter, not before the first paint

        return LineFilter(filters, self.since)

    def type(self, text: str) -> str:
        """Filter by what is being typed as well; return what is wrong with it."""
        from devenv.logs.filter import parse_filter

        try:
            self._typed = parse_filter(text) if text.strip() else None
        except ValueError as error:
            self._typed = None
            return str(error)
        return ""

    def keep(self) -> None:
        """Add what was typed to those that are kept."""
        if self._typed is not None and self._typed.text not in {one.text for one in self.kept}:
            self.kept = (*self.kept, self._typed)
        self._typed = None

    def drop(self, index: int) -> None:
        """Take one of those that are kept away."""
        kept = list(self.kept)
        del kept[index]
        self.kept = tuple(kept)

    def drop_slow(self, message: str) -> None:
        """Take away what is being typed, and those that an error says are too slow."""
        self._typed = None
        self.kept = tuple(one for one in self.kept if f"“{one.text.lstrip('!')}”" not in message)

    def choose_since(self, key: int, started_at: float | None) -> None:
        """Show what was written since: 0 everything, 1 to 5 the last minutes and hours, 6 its start where known."""
        self.since_key = key
        self.since = started_at if key == 6 else time.time() - SINCE[key] if key else None
        if key == 6 and started_at is None:
            self.since_key = 0
