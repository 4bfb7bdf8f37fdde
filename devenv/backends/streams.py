"""What every reader of a runtime is made of: a bounded buffer of records, and supervised threads that fill it."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Final

from msgspec import Struct

from devenv.backends import counters
from devenv.core.model import (
    Action,
    Change,
    Connection,
    Gone,
    LogLine,
    LogsDropped,
    Progress,
    Sample,
    Scaling,
    Seen,
    Snapshot,
)

LINES_KEPT: Final = 20_000  # three times what a reader can parse between two drains of the screen (1/15 s)
HAPPENINGS_KEPT: Final = 5_000


def clock_offset() -> float:
    """Return the wall clock less the monotonic one, in seconds: the same until somebody sets the clock."""
    return time.time() - time.monotonic()


def _slot(record: Change) -> tuple[str, str | int] | None:
    """Name the fact that a record tells: a newer record of the same fact replaces the older one."""
    match record:
        case Seen():
            return ("resource", record.resource.key)
        case Gone():
            return ("resource", record.key)
        case Snapshot():
            return ("snapshot", record.backend)
        case Connection():
            return ("connection", record.backend)
        case Sample():
            return ("sample", record.key)
        case Scaling():
            return ("scaling", record.key)
        case Action():
            return ("action", record.id)
        case Progress():
            return ("progress", record.id)
        case _:
            return None


class Buffer:
    """A thread-safe, bounded queue of records between readers and their one owner.

    Facts (resources, connections, samples, actions) are never lost: only the newest record of each is kept, at its
    place in time. Happenings and log lines are kept up to a number; then the oldest go, and lost lines are counted.
    """

    def __init__(self, wake: Callable[[], None] | None = None, *, lines: int = LINES_KEPT) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._facts: dict[tuple[str, str | int], Change] = {}
        self._happenings = 0
        self._serial = 0
        self._lines: deque[LogLine] = deque()
        self._most_lines = lines
        self._dropped: Counter[str] = Counter()

    def set_wake(self, wake: Callable[[], None]) -> None:
        """Name who is called when the empty buffer gets its first record; at once where it has some already."""
        with self._lock:
            self._wake = wake
            waiting = not self._is_empty()
        if waiting:
            wake()

    def put(self, *records: Change) -> None:
        """Append records; log lines are better appended many at a time with `put_lines`."""
        if not records:
            return
        with self._lock:
            was_empty = self._is_empty()
            for record in records:
                if isinstance(record, LogLine):
                    self._lines.append(record)
                elif isinstance(record, LogsDropped):
                    self._dropped[record.key] += record.count
                else:
                    self._put_fact(record)
            self._drop_lines()
        self._tell(was_empty)

    def put_lines(self, lines: Sequence[LogLine]) -> None:
        """Append log lines, and drop the oldest ones where there are too many."""
        if not lines:
            return
        with self._lock:
            was_empty = self._is_empty()
            self._lines.extend(lines)
            self._drop_lines()
        self._tell(was_empty)

    def drain(self) -> list[Change]:
        """Take everything: facts and happenings in order, then how many lines were lost, then the lines."""
        with self._lock:
            facts, self._facts = self._facts, {}
            lines, self._lines = self._lines, deque()
            dropped, self._dropped = self._dropped, Counter()
            self._happenings = 0
        return [*facts.values(), *(LogsDropped(key, count) for key, count in dropped.items()), *lines]

    def _is_empty(self) -> bool:
        return not (self._facts or self._lines or self._dropped)

    def _put_fact(self, record: Change) -> None:
        slot = _slot(record)
        if slot is None:
            self._serial += 1
            slot = ("happening", self._serial)
            self._happenings += 1
            if self._happenings > HAPPENINGS_KEPT:
                del self._facts[next(key for key in self._facts if key[0] == "happening")]
                self._happenings -= 1
        elif isinstance(record, Snapshot):
            # What the backend said of single resources before is contained in the new reading, or wrong by now.
            stale = [key for key, old in self._facts.items() if _tells_resource(old, record.backend)]
            for key in stale:
                del self._facts[key]
        else:
            self._facts.pop(slot, None)
        self._facts[slot] = record

    def _drop_lines(self) -> None:
        for _ in range(len(self._lines) - self._most_lines):
            key = self._lines.popleft().key
            self._dropped[key] += 1
            counters.dropped[key] += 1

    def _tell(self, was_empty: bool) -> None:
        if was_empty and self._wake is not None:
            self._wake()


def _tells_resource(record: Change, backend: str) -> bool:
    return isinstance(record, Seen | Gone | Snapshot) and record.backend == backend


class Backoff(Struct):
    """Growing pauses between tries: doubled each time, with jitter so that many clients do not come back at once.

    Seconds. A run of at least `calm` seconds since it succeeded starts the series anew.
    """

    first: float = 0.5
    longest: float = 30.0
    calm: float = 10.0
    uniform: Callable[[float, float], float] = random.uniform
    tries: int = 0

    def next(self, lasted: float) -> float:
        """Return the pause before the next try, after a run that was healthy for `lasted` seconds."""
        if lasted >= self.calm:
            self.tries = 0
        # The exponent is bounded: after days without an engine 2.0**tries would overflow.
        longest = min(self.longest, self.first * 2.0 ** min(self.tries, 16))
        self.tries += 1
        return max(self.first, self.uniform(longest / 2, longest))


class Stopped(Exception):
    """The stream was asked to stop while it was opening or reading: not an error."""


class Stream:
    """A supervised, named daemon thread around one long-lived connection.

    `run` opens the connection and reads it until it ends or breaks; what closes it from outside it registers with
    `closing`. When `run` returns or raises, `on_down` gets why and how long the pause is, and it is run again.
    A `run` that is finished for good calls `finish` before it returns.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Stream], None],
        on_down: Callable[[Exception | None, float], None],
        *,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self.name = name
        self._run = run
        self._on_down = on_down
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._wait = wait
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._lock = threading.Lock()
        self._closers: list[Callable[[], None]] = []
        self._healthy_since: float | None = None
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """Whether the stream was asked to stop or has finished."""
        return self._stop.is_set()

    @property
    def alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def succeeded(self) -> None:
        """Tell that the connection is up and delivers."""
        self._healthy_since = self._clock()

    def finish(self) -> None:
        """End after this run: there will be nothing more to read."""
        self._stop.set()

    def hurry(self) -> None:
        """Try again now instead of at the end of the pause."""
        self._hurry.set()

    def wait_until(self, event: threading.Event, timeout: float | None = None) -> bool:
        """Wait inside `run` for an event of somebody else; `Stopped` when the stream stops meanwhile."""
        with self.closing(event.set):
            arrived = event.wait(timeout)
        if self.stopping:
            raise Stopped
        return arrived

    @contextmanager
    def closing(self, close: Callable[[], None]) -> Iterator[None]:
        """Let `close` be called from outside while the block runs; `Stopped` where it is too late already."""
        with self._lock:
            if self.stopping:
                close()
                raise Stopped
            self._closers.append(close)
        try:
            yield
        finally:
            with self._lock:
                self._closers.remove(close)

    def interrupt(self) -> None:
        """Close the connection from outside: `run` ends, and is run again after a pause."""
        with self._lock:
            for close in self._closers:
                close()

    def stop(self) -> None:
        """Close the connection from outside and let the thread end; does not wait for it."""
        self._stop.set()
        self._hurry.set()
        self.interrupt()

    def join(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the thread, and tell whether it ended."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _supervise(self) -> None:
        while not self.stopping:
            self._healthy_since = None
            self._hurry.clear()
            error: Exception | None = None
            try:
                self._run(self)
            except Stopped:
                return
            except Exception as caught:  # noqa: BLE001 - whatever went wrong must become visible, not end the thread
                error = caught
            if self.stopping:
                return
            lasted = 0.0 if self._healthy_since is None else self._clock() - self._healthy_since
            pause = self._backoff.next(lasted)
            counters.reconnects[self.name] += 1
            self._on_down(error, pause)
            self._wait(self._hurry, pause)


# In a flood the engine writes each line by itself, and a unix socket holds some 280 such writes. A short rest lets
# many arrive at once: 45 000 instead of 15 000 lines a second on two busy cores; rests of 10 ms give 25 000 (measured).
REST: Final = 0.002  # seconds
GIVEN_WAY: Final = 0.04  # seconds that readers in a flood rest for a key: it is on the screen by then
PAUSE: Final = 0.01  # seconds without a line: no flood
FLOOD: Final = 20  # readings in a row without such a pause


class Flood:
    """Lets a reader of a log rest a moment in a flood: it makes room, or the screen would wait for it.

    What is not read meanwhile waits at the engine: nothing is lost.
    """

    _quiet_until: ClassVar[float] = 0.0  # for the readers of all logs

    @classmethod
    def give_way(cls) -> None:
        """Let all readers in a flood rest: somebody pressed a key. Of the time they rest half at most."""
        now = time.monotonic()
        if now > cls._quiet_until + GIVEN_WAY:
            cls._quiet_until = now + GIVEN_WAY

    def __init__(self) -> None:
        self._busy, self._heard_at = 0, time.monotonic()

    def heard(self) -> None:
        """Take note of a reading."""
        now = time.monotonic()
        self._busy = self._busy + 1 if now - self._heard_at < PAUSE else 0
        if self._busy > FLOOD:
            rest = max(REST, self._quiet_until - now)
            time.sleep(rest)
            now += rest
        self._heard_at = now
