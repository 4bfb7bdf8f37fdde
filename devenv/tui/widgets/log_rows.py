"""How log lines become rows of the screen: one row a line, or several where long lines are wrapped."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from rich.cells import cell_len, chop_cells

from devenv.core.model import LogLine
from devenv.core.text import human_bytes
from devenv.tui.shown import CUT_MARK, shown
from devenv.tui.widgets.log_buffer import LogBuffer

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
    text = shown(text)
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
