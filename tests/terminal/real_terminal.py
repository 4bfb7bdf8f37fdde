"""A program in a real pseudo-terminal, with an emulator that tells what its user sees."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

LIMIT = 60.0  # seconds, on a busy machine too


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class RealTerminal:
    """Starts the program, keeps every byte that it writes, and ends it by its own process id."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        size: tuple[int, int] = (100, 30),
        environ: Mapping[str, str] | None = None,
        told: Mapping[str, str] | None = None,
    ) -> None:
        self.output = b""
        self.chunks: list[tuple[float, bytes]] = []  # what was read, and when on the monotonic clock
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        self._resize(slave, size)
        clean = {key: value for key, value in (environ or os.environ).items() if key not in ("NO_COLOR", "COLORFGBG")}
        clean |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", **(told or {})}
        self._process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=clean,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)

    def __enter__(self) -> RealTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(LIMIT)
        os.close(self._master)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stopped(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def modes(self) -> list[object]:
        """Return what a program may have changed of the terminal: echo, line by line, what signals its keys send."""
        return termios.tcgetattr(self._master)

    def resize(self, size: tuple[int, int]) -> None:
        self._screen.resize(size[1], size[0])
        self._resize(self._master, size)

    @staticmethod
    def _resize(descriptor: int, size: tuple[int, int]) -> None:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def send(self, keys: str) -> None:
        """Type; what the program writes meanwhile is read until it is quiet for a moment."""
        os.write(self._master, keys.encode())
        self.read_quiet()

    def read(self, seconds: float) -> int:
        """Read what is written within these seconds; return how many bytes."""
        end = time.monotonic() + seconds
        count = 0
        while (left := end - time.monotonic()) > 0:
            count += self._read_once(left)
            if self.ended:
                break
        return count

    def read_quiet(self, quiet: float = 0.1) -> None:
        """Read until nothing is written for `quiet` seconds."""
        end = time.monotonic() + LIMIT
        while self._read_once(quiet) and time.monotonic() < end:
            continue

    def _read_once(self, seconds: float) -> int:
        if not select.select([self._master], [], [], seconds)[0]:
            return 0
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the last writer of a pseudo-terminal is gone
            return 0
        self.output += data
        self.chunks.append((time.monotonic(), data))
        self._stream.feed(data)
        return len(data)

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def until(self, condition: Callable[[], object], limit: float = LIMIT) -> None:
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {limit} s (exit code {self.exit_code}):\n{self.text()}")
            self._read_once(0.05)
