"""Pieces of a log stream become lines: times taken off, partial lines joined, overlong ones cut."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from devenv.backends.docker.frames import STDERR, SYSTEM, Piece
from devenv.backends.docker.parse import parse_time
from devenv.core.model import LogLine
from devenv.core.text import sanitize

LINE_KEPT: Final = 16_384  # bytes; the size of the parts in which the engine keeps a long line (moby daemon/logger)
_LONGEST_TIME: Final = 36  # "2006-01-02T15:04:05.999999999+00:00 ", Podman's form; Docker's ends in Z
_NAMES: Final = {STDERR: "stderr", SYSTEM: "devenv"}
_minutes: dict[bytes, float] = {}


def split_time(text: bytes) -> tuple[float | None, bytes]:
    """Split "TIME rest" into seconds since the epoch and the rest; without a time: None and all of it."""
    end = text.find(b" ", 0, _LONGEST_TIME)
    if end < 20 or text[4:5] != b"-":
        return None, text
    if text[end - 1] == 0x5A:  # Z: all lines of a minute share the expensive part
        minute = _minutes.get(text[:16])
        if minute is None:
            found = parse_time(text[:16].decode("ascii", "replace") + ":00Z")
            if found is None:
                return None, text
            if len(_minutes) > 1000:
                _minutes.clear()
            minute = _minutes[text[:16]] = found
        try:
            return minute + float(text[17 : end - 1]), text[end + 1 :]
        except ValueError:
            return None, text
    at = parse_time(text[:end].decode("ascii", "replace"))
    return (None, text) if at is None else (at, text[end + 1 :])


class _Open(Struct):
    """A line of one stream whose end has not come yet."""

    at: float | None = None
    text: bytearray = field(default_factory=bytearray)
    cut: int = 0

    def add(self, data: bytes) -> None:
        room = LINE_KEPT - len(self.text)
        self.text += data[:room]
        self.cut += max(0, len(data) - room)


class LineAssembler:
    """Makes the lines of one container, from a multiplexed stream or, of a terminal, from one without frames."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._open: dict[int, _Open] = {}
        self._held = b""

    def feed_frames(self, pieces: list[Piece]) -> list[LogLine]:
        """Return the lines that these pieces of a multiplexed stream complete."""
        lines: list[LogLine] = []
        for stream, data, begins in pieces:
            if begins:
                at, text = split_time(data)
                if text[-1:] == b"\n" and stream not in self._open and text.find(b"\n", 0, -1) < 0:
                    lines.append(self._line(stream, at, text[:-1], 0))
                    continue
                self._feed(lines, stream, at, text)
            else:
                self._feed(lines, stream, None, data)
        return lines

    def feed_raw(self, data: bytes) -> list[LogLine]:
        """Return the lines that this part of an unframed stream completes."""
        lines: list[LogLine] = []
        data = self._held + data
        self._held = b""
        position, size = 0, len(data)
        while position < size:
            line_end = data.find(b"\n", position)
            stop = size if line_end < 0 else line_end + 1
            if 1 not in self._open:
                if line_end < 0 and size - position < _LONGEST_TIME:
                    self._held = data[position:]
                    break
                at, text = split_time(data[position:stop])
                self._feed(lines, 1, at, text)
            else:
                self._feed(lines, 1, None, data[position:stop])
            position = stop
        return lines

    def flush(self) -> list[LogLine]:
        """Return what was begun and will not be ended: the stream is over."""
        lines = []
        if self._held:
            at, text = split_time(self._held)
            lines.append(self._line(1, at, text, 0))
            self._held = b""
        lines += [self._line(stream, o.at, bytes(o.text), o.cut) for stream, o in self._open.items()]
        self._open.clear()
        return lines

    def _feed(self, lines: list[LogLine], stream: int, at: float | None, text: bytes) -> None:
        """Add one message, which may end a line, hold several, or be a part of a long one."""
        *complete, rest = text.split(b"\n")
        for part in complete:
            begun = self._open.pop(stream, None) or _Open(at)
            begun.add(part)
            lines.append(self._line(stream, begun.at, bytes(begun.text), begun.cut))
        if rest:
            begun = self._open.setdefault(stream, _Open(at))
            begun.add(rest)

    def _line(self, stream: int, at: float | None, text: bytes, cut: int) -> LogLine:
        if len(text) > LINE_KEPT:
            cut += len(text) - LINE_KEPT
            text = text[:LINE_KEPT]
        if cut:
            whole = _whole_characters(text)
            cut += len(text) - len(whole)
            text = whole
        return LogLine(self._key, at, _NAMES.get(stream, "stdout"), sanitize(text), cut)


def _whole_characters(text: bytes) -> bytes:
    """Drop a UTF-8 character at the end that was cut in its middle."""
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte < 0x80:
            return text
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return text if needed <= back else text[:-back]
    return text
