"""A log's bytes become lines: framings taken off, parts joined, long ones cut, repeated ones skipped, secrets masked.

All parsers are pure and incremental: any cutting of the input gives the same output, and no frame is held whole.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

from msgspec import Struct, field

from devenv.backends.docker.parse import parse_time
from devenv.backends.streams import clock_offset
from devenv.core.masking import mask_secrets
from devenv.core.model import LogLine
from devenv.core.text import Styles, sanitize_styled

STDOUT: Final = 1
STDERR: Final = 2
SYSTEM: Final = 3  # an error of the engine itself, in the middle of the stream (moby pkg/stdcopy)
HEADER: Final = 8  # bytes: stream, three zeros, length as big-endian 32-bit (Engine API, "Stream format")
# So much of a frame is held back until it is there, so that a time at its beginning is never cut.
BEGINNING: Final = 64

Piece = tuple[int, bytes, bool]  # stream, payload, whether a frame begins with it


class FramingError(ValueError):
    """The bytes do not follow the format."""


class FrameParser:
    """Parses the multiplexed stream into pieces: whole frames where they are there, else parts of a large frame."""

    def __init__(self) -> None:
        self._held = b""
        self._stream = 0
        self._left = 0  # payload of the current frame that has not come yet

    def feed(self, data: bytes) -> list[Piece]:
        """Return the pieces that `data` completes; raises FramingError."""
        pieces: list[Piece] = []
        position = 0
        if self._left:
            part = data[: self._left]
            pieces.append((self._stream, part, False))
            self._left -= len(part)
            position = len(part)
        elif self._held:
            data = self._held + data
        size = len(data)
        while position + HEADER <= size:
            stream = data[position]
            if stream > SYSTEM or data[position + 1 : position + 4] != b"\0\0\0":
                raise FramingError(f"no frame header: {data[position : position + HEADER]!r}")
            length = int.from_bytes(data[position + 4 : position + HEADER], "big")
            start = position + HEADER
            end = start + length
            if end <= size:
                if length:
                    pieces.append((stream, data[start:end], True))
                position = end
            elif size - start >= BEGINNING:
                pieces.append((stream, data[start:], True))
                self._stream, self._left = stream, end - size
                position = size
            else:
                break
        self._held = data[position:]
        return pieces

    @property
    def cut(self) -> bool:
        """Whether the input so far ends in the middle of a frame."""
        return bool(self._held or self._left)


class ChunkDecoder:
    """Decodes HTTP/1.1 chunked transfer coding (RFC 9112, 7.1); `done` after the last chunk."""

    def __init__(self) -> None:
        self._held = b""
        self._left = 0  # bytes of the current chunk, its line end included, that have not come yet
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Return the payload in `data`; raises FramingError."""
        payload: list[bytes] = []
        position = 0
        if self._left:
            payload.append(data[: max(0, self._left - 2)])
            position = min(self._left, len(data))
            self._left -= position
        elif self._held:
            data = self._held + data
        size = len(data)
        while not self.done and not self._left and position < size:
            line_end = data.find(b"\r\n", position)
            if line_end < 0:
                if size - position > 1024:
                    raise FramingError("a chunk header without an end")
                break
            length = self._length(data[position:line_end])
            start = line_end + 2
            if length == 0:
                self.done = True
                position = size
                break
            payload.append(data[start : start + length])
            position = min(start + length + 2, size)
            self._left = start + length + 2 - position
        self._held = data[position:]
        return payload[0] if len(payload) == 1 else b"".join(payload)

    @staticmethod
    def _length(header: bytes) -> int:
        try:
            return int(header.partition(b";")[0], 16)
        except ValueError as error:
            raise FramingError(f"no chunk header: {header[:20]!r}") from error


ALL_LINES: Final = -1  # as a number of last lines
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
            whole_minute = parse_time(text[:16].decode("ascii", "replace") + ":00Z")
            if whole_minute is None:
                return None, text
            if len(_minutes) > 1000:
                _minutes.clear()
            minute = _minutes[text[:16]] = whole_minute
        try:
            return minute + float(text[17 : end - 1]), text[end + 1 :]
        except ValueError:
            return None, text
    at = parse_time(text[:end].decode("ascii", "replace"))
    return (None, text) if at is None else (at, text[end + 1 :])


class _Open(Struct):
    """A line of one stream whose end has not come yet; so many of its bytes are kept."""

    keep: int
    at: float | None = None
    text: bytearray = field(default_factory=bytearray)
    cut: int = 0

    def add(self, data: bytes) -> None:
        room = self.keep - len(self.text)
        self.text += data[:room]
        self.cut += max(0, len(data) - room)


class LineAssembler:
    """Makes the lines of one container, from a multiplexed stream or, of a terminal, from one without frames."""

    kept: ClassVar[int] = LINE_KEPT  # bytes of a line, where nothing else is said; `[logs]` of devenv.toml says it

    def __init__(self, key: str, *, keep: int = 0, raw: bool = False) -> None:
        """So many bytes of a line are kept, by default `kept`; `raw`: as they are, no UTF-8 as surrogates (PEP 383)."""
        self._key = key
        self._keep = keep or self.kept
        self._raw = raw
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
            begun = self._open.pop(stream, None) or _Open(self._keep, at)
            begun.add(part)
            lines.append(self._line(stream, begun.at, bytes(begun.text), begun.cut))
        if rest:
            begun = self._open.setdefault(stream, _Open(self._keep, at))
            begun.add(rest)

    def _line(self, stream: int, at: float | None, text: bytes, cut: int) -> LogLine:
        if len(text) > self._keep:
            cut += len(text) - self._keep
            text = text[: self._keep]
        if cut:
            whole = _whole_characters(text)
            cut += len(text) - len(whole)
            text = whole
        styles: Styles = ()
        if self._raw:
            shown = mask_secrets(text.decode("utf-8", "surrogateescape"))
        else:
            said, styles = sanitize_styled(text)
            shown = mask_secrets(said)
            if shown != said:
                styles = ()  # the places of the colours are those of the unmasked text
        return LogLine(self._key, at, _NAMES.get(stream, "stdout"), shown, cut, styles)


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


OVERLAP = 0.001  # seconds asked for again, since a time as float is exact to 0.3 us only
SET_BACK: Final = 1.0  # seconds: two streams' lines are out of order by less, a clock that was set back by more


class Resume:
    """Counts what was seen, so that a resumed log neither repeats nor loses a line, also where a clock was set."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._at_last = 0  # lines with exactly that time
        self._offset = 0.0  # when the last line came
        self._latest = -math.inf  # before the clock was set back
        self._skip_at: float | None = None
        self._to_skip = 0

    def params(self, tail: int) -> dict[str, str | int]:
        """Return the query for the next connection: the last `tail` lines at first, then all since the last one."""
        if self._last is None:
            return {"tail": "all" if tail == ALL_LINES else tail}
        self._skip_at, self._to_skip = self._last, self._at_last
        since = self._last - OVERLAP + min(0.0, clock_offset() - self._offset)
        return {"since": f"{max(0.0, since):.9f}", "tail": "all"}

    def new_of(self, lines: list[LogLine]) -> list[LogLine]:
        """Return those lines that were not seen before the connection was made again."""
        if self._skip_at is not None:
            lines = [line for line in lines if not self._seen(line)]
        times = [line.at for line in lines if line.at is not None]
        if not times:
            return lines
        # Two streams' lines are not quite in the order of their times, so the last line is not always the latest.
        latest, self._offset = max(times), clock_offset()
        if times[-1] < latest - SET_BACK:
            self._latest, latest = max(self._latest, latest), times[-1]
        if self._last is None or latest >= self._last or latest < self._last - SET_BACK:
            self._latest = max(self._latest, self._last or latest)
            self._at_last = times.count(latest) + (self._at_last if latest == self._last else 0)
            self._last = latest
        return lines

    def _seen(self, line: LogLine) -> bool:
        """Whether it was: all is up to the last one that came, and what is not much earlier than that one."""
        if self._skip_at is None or line.at is None:
            return False
        if line.at == self._skip_at:
            self._to_skip, before = max(0, self._to_skip - 1), self._to_skip
            return before > 0
        if self._to_skip:
            over = line.at > max(self._skip_at, self._latest)
        else:
            over = line.at > self._skip_at or line.at < self._skip_at - SET_BACK
        if over:
            self._skip_at = None
        return not over
