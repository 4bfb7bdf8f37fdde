"""A program in a pseudo-terminal: what it wrote and when, replayed afterwards to find when something was on screen.

Bytes are stamped as they arrive and only interpreted later, so that the emulator's own cost is not in the figures.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyte

# What a terminal answers to the questions that full-screen programs ask at their start (device status and attributes).
ANSWERS = ((b"\x1b[6n", b"\x1b[1;1R"), (b"\x1b[c", b"\x1b[?62;22c"))
# Sequences that pyte prints instead of ignoring: private-parameter CSI of newer keyboard protocols.
UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1bP[^\x1b]*\x1b\\|\x1b\[\?[0-9;]*\$p")


@dataclass
class TerminalRun:
    """One run of a program, started at the monotonic time `started`; `chunks` are (arrival, bytes)."""

    pid: int
    fd: int
    started: float
    columns: int
    lines: int
    chunks: list[tuple[float, bytes]] = field(default_factory=list)

    def read_for(self, seconds: float, until: Callable[[bytes], bool] = lambda _: False) -> None:
        """Collect output for that long, or until `until` is true of a new chunk, or until the program ends."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                return
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # EIO: the other side is closed
                return
            if not data:
                return
            self.chunks.append((time.monotonic(), data))
            for question, answer in ANSWERS:
                if question in data:
                    os.write(self.fd, answer)
            if until(data):
                return

    def type(self, keys: bytes) -> None:
        """Send key presses."""
        os.write(self.fd, keys)

    def when(self, shown: Callable[[Sequence[str]], bool], after: float = 0.0) -> float | None:
        """Monotonic time at which the screen first satisfied `shown` (given its lines) at or after `after`."""
        screen = pyte.Screen(self.columns, self.lines)
        stream = pyte.ByteStream(screen)
        for at, data in self.chunks:
            stream.feed(UNKNOWN_TO_PYTE.sub(b"", data))
            if at >= after and shown(screen.display):
                return at
        return None

    def screen(self) -> list[str]:
        """The screen's lines as they are now."""
        screen = pyte.Screen(self.columns, self.lines)
        stream = pyte.ByteStream(screen)
        for _, data in self.chunks:
            stream.feed(UNKNOWN_TO_PYTE.sub(b"", data))
        return list(screen.display)

    def close(self) -> None:
        """End the program and free the terminal."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            self.chunks.append((time.monotonic(), b""))  # it had ended by itself
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def start(
    command: Sequence[str], environ: Mapping[str, str], cwd: str, *, columns: int = 120, lines: int = 40
) -> TerminalRun:
    """Start the program in a new pseudo-terminal of that size."""
    started = time.monotonic()
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.chdir(cwd)
        os.execvpe(command[0], list(command), dict(environ))
    return TerminalRun(pid, fd, started, columns, lines)
