"""Lines that stand behind the one before them: the rest of a stack trace, and repetitions. Nothing of them is lost.

A line is judged by itself and the few before it of the same source, so that it costs the same wherever it stands; a
line of another source between them ends a fold.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, Literal

from devenv.core.model import LogLine
from devenv.logs.buffer import LogBuffer

FoldKind = Literal["traces", "repeats", ""]
FOLDS: Final[tuple[FoldKind, ...]] = ("traces", "repeats", "")  # traces, traces and repetitions, nothing
OPEN_MOST: Final = 200  # folds that are open at a time
_LOOKED_BACK: Final = 4  # lines: a frame of Python has its code below it, a line of ^^^^, and how often it was repeated

# How lines of a trace begin (CPython's traceback, Java's printStackTrace, Error.stack of V8, Go's panic).
_FRAME: Final = (
    r" +at \S|\s*\.\.\. \d+ (?:more|common frames)|\s*(?:Caused by|Suppressed): "
    r"|  +(?:\| )?File \"|  +\[Previous line repeated |During handling of the above|The above exception was the direct"
    r"|\[signal | +\S+\.go:\d+|created by \S"
)
_PYTHON_FRAME: Final = r"  +(?:\| )?File \""
_MESSAGE: Final = r"[A-Za-z_][\w.]*(?::|$)"
_PANIC: Final = ("panic: ", "fatal error: ", "[signal ")
_GO_CALL: Final = r"[\w./*()\[\]{}·-]+\(.*\)$"
_GO_ABOVE: Final = r"goroutine \d+ \[| +\S+\.go:\d+"
_CHAINED: Final = ("During handling of the above", "The above exception was the direct")
_STAMP: Final = r"\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?\]?\s*"


@cache  # with the first line, not with the import: that is before the first paint
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).match(text) is not None


class Folds:
    """What of a buffer's lines is folded now, and which folds somebody opened."""

    def __init__(self, buffer: LogBuffer, kind: FoldKind = "traces") -> None:
        self.kind = kind
        self._buffer = buffer
        self._open: list[tuple[int, int]] = []  # the numbers of the first and the last line of each

    def hides(self, line: LogLine, number: int) -> bool:
        """Whether the line stands behind one before it."""
        if not self.kind or line.stream == "devenv" or not self._follows(line, number):
            return False
        return not any(first < number <= last for first, last in self._open)

    def toggle(self, first: int, last: int) -> None:
        """Open the fold of these lines, or close what is open of them."""
        kept = [one for one in self._open if one[1] >= self._buffer.first and not (one[0] <= first <= one[1])]
        self._open = kept if len(kept) < len(self._open) and first == last else [*kept, (first, last)][-OPEN_MOST:]

    def opened_at(self, number: int) -> bool:
        """Whether that line is one of an open fold."""
        return any(first <= number <= last for first, last in self._open)

    def _follows(self, line: LogLine, number: int) -> bool:
        before = self._buffer.line(number - 1)
        if before is None or before.key != line.key or before.stream == "devenv":
            return False
        if self.kind == "repeats" and line.stream == before.stream and _same(line.text, before.text):
            return True
        text, above = line.text, before.text
        if text[:1] in " DT\\[.CSc" and _matches(_FRAME, text):
            return True
        if text.startswith("Traceback (most") or not text:
            return self._chains(number, text, above)
        if text.startswith("    ") or (above[:1] == " " and _matches(_MESSAGE, text)):
            return any(_matches(_PYTHON_FRAME, one) for one in self._above(line, number))
        if text.startswith("goroutine "):
            return any(one.startswith(_PANIC) for one in self._above(line, number))
        return text.endswith(")") and _matches(_GO_ABOVE, above) and _matches(_GO_CALL, text)

    def _chains(self, number: int, text: str, above: str) -> bool:
        """Whether an empty line, or the head of a trace, is between two traces of which one caused the other."""
        if text:
            two_up = self._buffer.line(number - 2)
            return not above and two_up is not None and two_up.text.startswith(_CHAINED)
        below = self._buffer.line(number + 1)
        return above.startswith((*_CHAINED, *_PANIC)) or (below is not None and below.text.startswith(_CHAINED))

    def _above(self, line: LogLine, number: int) -> list[str]:
        lines = (self._buffer.line(number - back) for back in range(1, _LOOKED_BACK + 1))
        return [one.text for one in lines if one is not None and one.key == line.key]


def _same(text: str, before: str) -> bool:
    """Whether two lines say the same, whatever time stands at their beginnings."""
    if text == before:
        return True
    if len(text) != len(before) or text[-8:] != before[-8:]:
        return False
    stamp = _compiled(_STAMP)
    return stamp.sub("", text, count=1) == stamp.sub("", before, count=1)
