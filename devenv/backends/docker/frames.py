"""Two framings of bytes that the engine uses: HTTP chunks, and stdout and stderr multiplexed in one stream.

Both parsers are pure and incremental: any cutting of the input gives the same output, and no frame is held whole.
"""

from __future__ import annotations

from typing import Final

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
