"""How log lines become rows of the screen: wrapped, with gutter, time, levels and search hits, cut to what is seen."""

from __future__ import annotations

import re
from collections import deque
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

from msgspec import Struct
from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from devenv.core.model import LogLine
from devenv.core.text import human_bytes
from devenv.tui.logs.buffers import LogBuffer
from devenv.tui.safe_text import CUT_MARK, safe

CHARACTERS_SHOWN: Final = 8192  # of one line; more than a screen full, little enough to draw it at once


class Piece(NamedTuple):
    """A row of the screen: a part of the line with that number; `start` is 0 for its first row."""

    number: int
    start: int
    text: str


def line_text(line: LogLine) -> str:
    """Return the harmless text of a line; what is not shown of a very long one is said at its end."""
    text = line.text
    hidden = line.cut
    if len(text) > CHARACTERS_SHOWN:
        hidden += len(text[CHARACTERS_SHOWN:].encode("utf-8", "replace"))
        text = text[:CHARACTERS_SHOWN]
    text = safe(text)
    return f"{text}{CUT_MARK} [{human_bytes(hidden)} more, cut]" if hidden else text


class LogRows:
    """The rows of a buffer for one width; follows the buffer without walking through it again."""

    def __init__(self, buffer: LogBuffer, wrap_at: int | None = None) -> None:
        self.buffer = buffer
        self.wrap_at = wrap_at
        self.widest = 0
        self._pieces: deque[Piece] = deque()  # only when wrapping
        self._front = buffer.first
        self._done = buffer.first
        self.sync()

    def __len__(self) -> int:
        return len(self._pieces) if self.wrap_at else len(self.buffer.lines)

    def sync(self) -> int:
        """Take in what the buffer got and let go of; return how many rows went at the front."""
        buffer = self.buffer
        gone = max(0, buffer.first - self._front)
        if self.wrap_at:
            gone = 0
            while self._pieces and self._pieces[0].number < buffer.first:
                self._pieces.popleft()
                gone += 1
        self._front = buffer.first
        for number in range(max(self._done, buffer.first), buffer.total):
            line = buffer.line(number)
            if line is None:
                continue
            if self.wrap_at:
                self._pieces.extend(_wrap(number, line_text(line), self.wrap_at))
            else:
                self.widest = max(self.widest, _cells(line))
        self._done = buffer.total
        return gone

    def row(self, y: int) -> tuple[LogLine, Piece] | None:
        """Return the row at `y` with its line, or None below the end."""
        if self.wrap_at:
            if not 0 <= y < len(self._pieces):
                return None
            piece = self._pieces[y]
            line = self.buffer.line(piece.number)
            return None if line is None else (line, piece)
        number = self.buffer.first + y
        line = self.buffer.line(number)
        return None if line is None else (line, Piece(number, 0, line_text(line)))

    def y_of(self, number: int) -> int:
        """Return the first row of the line with that number."""
        if not self.wrap_at:
            return number - self.buffer.first
        return next((y for y, piece in enumerate(self._pieces) if piece.number >= number), 0)


def _cells(line: LogLine) -> int:
    # For the scroll bar only: exact where that is cheap.
    text = line.text[:CHARACTERS_SHOWN]
    return (len(text) if text.isascii() else cell_len(text)) + (24 if line.cut else 0)


def _wrap(number: int, text: str, width: int) -> list[Piece]:
    if text.isascii():
        if len(text) <= width:
            return [Piece(number, 0, text)]
        return [Piece(number, at, text[at : at + width]) for at in range(0, len(text), width)]
    pieces = []
    start = 0
    for part in chop_cells(text, width) or [""]:
        pieces.append(Piece(number, start, part))
        start += len(part)
    return pieces


TIME_WIDTH: Final = 13  # 12:34:56.789 and a space
GUTTER_WIDTH: Final = 2

# Words by which most log formats name a level. In "uvicorn.error: started" it is a logger's name, not a level.
_BAD: Final = (
    r"(?<![\w.-])(?:ERROR|FATAL|CRITICAL|PANIC|Traceback|[A-Za-z]+(?:Error|Exception)"
    r"|(?:error|fatal|panic)(?=[\s:\]\"]))\b"
)
_WARN: Final = r"(?<![\w.-])(?:WARN|WARNING|warn|warning)\b"


class LogStyles(Struct, frozen=True):
    """The styles of a log view in the current theme."""

    base: Style
    time: Style
    stderr: Style
    marker: Style
    bad: Style
    warn: Style
    match: Style
    current: Style


class View(Struct, frozen=True):
    """What of the lines is looked at: the first cell, how many, and what is searched."""

    left: int
    width: int
    times: bool
    needle: re.Pattern[str] | None
    current: int | None  # the number of the line that the search stands on


def prefix_width(times: bool) -> int:
    """Return how many cells stand before the text."""
    return GUTTER_WIDTH + (TIME_WIDTH if times else 0)


def draw(line: LogLine, piece: Piece, view: View, styles: LogStyles) -> Strip:
    """Return exactly `view.width` cells."""
    if line.stream == "devenv":
        return _marker(line, piece, view, styles)
    stderr = line.stream == "stderr"
    segments = [Segment("▎ " if stderr else "  ", styles.stderr)]
    if view.needle is None and piece.number == view.current:
        segments = [Segment("▶ ", styles.current)]  # the moment that somebody asked for
    if view.times:
        stamp = _clock(line.at) if piece.start == 0 else " " * TIME_WIDTH
        segments.append(Segment(stamp, styles.time))
    prefix = Strip(segments, prefix_width(view.times))
    text = Text(piece.text, style=styles.base, no_wrap=True, end="")
    text.highlight_regex(_compiled(_WARN), style=styles.warn)
    text.highlight_regex(_compiled(_BAD), style=styles.bad)
    if view.needle is not None:
        text.highlight_regex(view.needle, style=styles.current if piece.number == view.current else styles.match)
    room = max(0, view.width - prefix.cell_length)
    body = Strip(_segments(text), cell_len(piece.text)).crop_extend(view.left, view.left + room, styles.base)
    return Strip.join([prefix, body]).crop_extend(0, view.width, styles.base)


@cache  # with the first line, not with the import: that is before the first paint
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _segments(text: Text) -> list[Segment]:
    # Text.render wants a console for nothing but looking up style names: all styles here are objects.
    plain = text.plain
    edges = sorted({0, len(plain), *(span.start for span in text.spans), *(span.end for span in text.spans)})
    base = text.style if isinstance(text.style, Style) else Style.null()
    segments = []
    for start, end in pairwise(edges):
        style = base
        for span in text.spans:
            if span.start <= start and end <= span.end and isinstance(span.style, Style):
                style += span.style
        segments.append(Segment(plain[start:end], style))
    return segments


def _marker(line: LogLine, piece: Piece, view: View, styles: LogStyles) -> Strip:
    text = f" {piece.text} " if piece.start == 0 else f"{piece.text} "
    cells = cell_len(text)
    rule = "─" * max(0, view.width - cells - 3)
    return Strip([Segment(f"──{text}{rule}─", styles.marker)]).crop_extend(0, view.width, styles.marker)


def _clock(at: float | None) -> str:
    if at is None:
        return " " * TIME_WIDTH
    try:
        moment = datetime.fromtimestamp(at)
    except (OverflowError, OSError, ValueError):
        return "--:--:--.--- "
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} "
