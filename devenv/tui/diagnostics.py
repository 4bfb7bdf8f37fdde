"""What an open terminal uses itself: shown by its diagnostics, and through a socket by `devenv doctor --self`.

The terminal answers in its own loop, as it draws: one that hangs does not answer, which is an answer too. Nobody is
asked, and nothing is measured, while nobody looks: only counters go on (`devenv.backends.counters`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from resource import RUSAGE_SELF, getpagesize, getrusage
from typing import Final

import msgspec

from devenv import __version__
from devenv.backends import counters
from devenv.core.decode import from_json
from devenv.core.stored import find, make_private, state_folder
from devenv.tui.feed import Feed

WINDOW: Final = 1.0  # seconds that a rate is of
LONGEST_ADDRESS: Final = 100  # bytes of a unix socket's path: 108 on Linux, 104 on macOS


class Calls(msgspec.Struct, frozen=True):
    """Requests of one kind."""

    total: int
    a_second: float


class Figures(msgspec.Struct, frozen=True):
    """One terminal, now; rates are of the last `seconds`."""

    pid: int
    version: str
    project: str  # its folder
    open_for: float  # seconds
    seconds: float
    cpu: float  # share of one core
    cpu_seconds: float
    memory: int | None  # bytes resident; none where the system does not tell
    descriptors: int | None
    threads: dict[str, int]  # by what they do
    streams: dict[str, int]  # open ones, by what they carry
    calls: dict[str, Calls]
    drains: int  # how often records were taken to the screen
    lag: float  # seconds that the last record waited from its arrival until it was taken to the screen
    longest_lag: float
    dropped_lines: int
    reconnects: dict[str, int]


class Meter:
    """Reads the figures; each reading's rates are those since the one before."""

    def __init__(self, feed: Feed, project: str) -> None:
        self._feed, self._project = feed, project
        self._before = self._now()

    @staticmethod
    def _now() -> tuple[float, float, Counter[str]]:
        return time.monotonic(), time.process_time(), Counter(counters.calls)

    def read(self) -> Figures:
        """Read them now."""
        (at, cpu, calls), self._before = self._before, (now := self._now())
        seconds = max(now[0] - at, 1e-3)
        return Figures(
            pid=os.getpid(),
            version=__version__,
            project=self._project,
            open_for=now[0] - self._feed.began,
            seconds=seconds,
            cpu=(now[1] - cpu) / seconds,
            cpu_seconds=now[1],
            memory=_memory(),
            descriptors=_descriptors(),
            threads=dict(Counter(thread.name.rstrip("0123456789-_") for thread in threading.enumerate())),
            streams=dict(Counter(counters.streams.copy().values())),
            calls={kind: Calls(n, (n - calls[kind]) / seconds) for kind, n in sorted(now[2].items())},
            drains=self._feed.drains,
            lag=self._feed.lag,
            longest_lag=self._feed.longest_lag,
            dropped_lines=sum(counters.dropped.copy().values()),
            reconnects=dict(counters.reconnects),
        )


def _memory() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()
    except OSError:  # macOS tells the most that it was
        return getrusage(RUSAGE_SELF).ru_maxrss or None


def _descriptors() -> int | None:
    return len(names) - 1 if (names := find(Path("/dev/fd"), "*")) else None  # the listing has one itself


def lines(one: Figures) -> Iterator[tuple[str, str]]:
    """Yield what is shown of it, as names and values."""
    yield "terminal", f"process {one.pid}, devenv {one.version}, open for {one.open_for:,.0f} s"
    yield "project", one.project or "none"
    yield "CPU", f"{one.cpu:.1%} of a core; {one.cpu_seconds:.1f} s since the start"
    yield "memory", "unknown" if one.memory is None else f"{one.memory / 1e6:.0f} MB"
    yield "threads", f"{sum(one.threads.values())}: {_counted(one.threads)}"
    yield "descriptors", "unknown" if one.descriptors is None else str(one.descriptors)
    yield "open streams", _counted(one.streams)
    rate = sum(calls.a_second for calls in one.calls.values())
    yield "API calls", f"{rate:.1f} a second; {sum(calls.total for calls in one.calls.values()):,} since the start"
    for kind, calls in one.calls.items():
        yield f"  {kind}", f"{calls.a_second:.1f} a second; {calls.total:,}"
    yield "event lag", f"{one.lag * 1000:.0f} ms, the longest {one.longest_lag * 1000:.0f} ms; {one.drains:,} drains"
    yield "dropped", f"{one.dropped_lines:,} log lines"
    yield "reconnects", _counted(one.reconnects)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" if n > 1 else name for name, n in sorted(counts.items())) or "none"


# The socket


def _folder() -> Path:
    return state_folder() / "terminal"


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Give an address of the socket at that path that is short enough."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class Answering:
    """Answers whoever connects to the terminal's socket, which this user alone can."""

    def __init__(self, feed: Feed, project: str) -> None:
        self._feed, self._project = feed, project
        self._path = _folder() / f"{os.getpid()}.sock"
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin; where there can be no socket, nobody is answered."""
        listening = socket.socket(socket.AF_UNIX)
        try:
            make_private(self._path.parent)
            self._path.unlink(missing_ok=True)  # of a process that had this number before
            with _address(self._path) as address:
                listening.bind(address)
        except OSError:
            listening.close()
            return
        self._server = await asyncio.start_unix_server(self._answer, sock=listening)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meter = Meter(self._feed, self._project)
        await asyncio.sleep(WINDOW)
        writer.write(msgspec.json.encode(meter.read()))
        with suppress(ConnectionError):  # who asked is gone
            await writer.drain()
        writer.close()

    def close(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)


def ask_all(within: float = 10.0) -> tuple[list[Figures], list[int]]:
    """Return the figures of this user's open terminals, and which processes do not answer within these seconds."""
    answers, silent = [], []
    for path in sorted(find(_folder(), "*.sock")):
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(within)
            try:
                with _address(path) as address:
                    asking.connect(address)
                answer = bytearray()
                while data := asking.recv(65536):
                    answer += data
                answers.append(from_json(bytes(answer), Figures))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)  # its terminal was killed
            except (OSError, msgspec.MsgspecError, RecursionError):
                silent.append(int(path.stem) if path.stem.isdecimal() else 0)
    return answers, silent
