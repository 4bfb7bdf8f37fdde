"""Where to stand in a log: on a line that a search finds, on the last restart. Knows no widget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devenv.logs.buffer import LogBuffer
from devenv.logs.scan import Scan

if TYPE_CHECKING:
    from devenv.core.errors import PatternTooSlow
    from devenv.logs.filter import LineFilter, Pattern


class LogSearch:
    """Which of the lines that are shown have a text, and on which one somebody stands."""

    def __init__(self) -> None:
        self.text = ""
        self.needle: Pattern | None = None
        self.current: int | None = None
        self._hits: Scan | None = None
        self._waiting: int | None = None  # the direction of a step that has not come to a line yet

    @property
    def hits(self) -> int:
        """How many lines were found so far."""
        return len(self._hits.numbers) if self._hits is not None else 0

    @property
    def complete(self) -> bool:
        """Whether all lines were looked at."""
        return self._hits is None or self._hits.complete

    def type(self, text: str) -> None:
        """Look for another text, "" for none; `begin` comes next."""
        from devenv.logs.filter import Pattern

        self.text = text
        try:
            self.needle = Pattern(text) if text else None
        except ValueError:  # an expression that is not typed to its end is a text until then
            self.needle = Pattern(text, plain=True)

    def begin(self, buffer: LogBuffer, only: LineFilter | None) -> None:
        """Look through that buffer from its end on; raises PatternTooSlow."""
        self.current, self._hits, self._waiting = None, None, None
        needle = self.needle
        if needle is not None:
            self._hits = Scan(
                buffer, lambda line, _: (only is None or only.passes(line)) and needle.found_in(line.text)
            )
            self._hits.look_back(enough=1)

    def sync(self) -> None:
        """Look at what the buffer got; raises PatternTooSlow."""
        if self._hits is not None:
            self._hits.sync()

    def look_back(self) -> None:
        """Look at older lines for a moment; raises PatternTooSlow."""
        if self._hits is not None:
            self._hits.look_back()

    def step(self, step: int, total: int, *, scanning: bool) -> bool:
        """Stand on the next (1) or the previous (-1) line that has the text; False where that has to wait."""
        if self._hits is not None and not self.hits and scanning:
            self._waiting = step
            return False
        self._waiting = None
        start = total if self.current is None else self.current
        self.current = self._hits.next_to(start, step) if self._hits is not None else None
        return True

    def step_again(self, total: int, *, scanning: bool) -> bool:
        """Make the step that waits where it can be made now."""
        return self._waiting is not None and self.step(self._waiting, total, scanning=scanning)

    def caused(self, error: PatternTooSlow) -> bool:
        """Whether it is the text that is looked for which takes too long."""
        return self._hits is not None and self.needle is not None and f"“{self.needle.text}”" in error.message


def restart_before(buffer: LogBuffer, above: int) -> int | None:
    """Return the number of the last line before that number which says that a run, or a container, ended there."""
    found = None
    for number, line in enumerate(buffer.lines, buffer.first):
        if number >= above:
            break
        if line.stream == "devenv" and line.text.startswith("container "):
            found = number
    return found
