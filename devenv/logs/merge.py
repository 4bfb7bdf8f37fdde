"""Several sources in the order of their times: those that are whole, and those that still come.

Within one source its own order stays: one engine wrote it, and its order says more than its times.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Final

from devenv.core.model import LogLine

WINDOW: Final = 0.3  # seconds that a line waits for earlier ones of others: enough for an engine beside us
HELD: Final = 50_000  # lines that wait at most


def _with_times(lines: Iterable[LogLine], latest: float = 0.0) -> Iterator[tuple[float, LogLine]]:
    for line in lines:
        latest = max(latest, line.at or 0.0)
        yield latest, line


def in_order(sources: Iterable[Iterable[LogLine]]) -> Iterator[LogLine]:
    """Yield the lines of sources that end; no more than one line of each is held."""
    merged = heapq.merge(*map(_with_times, sources), key=lambda item: item[0])
    return (line for _, line in merged)


class Reorder:
    """Holds lines for a short time, and gives them in the order of theirs.

    One that is later than the window is given as soon as it is there: late, but never lost.
    """

    def __init__(
        self, window: float = WINDOW, *, held: int = HELD, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._window = window
        self._most = held
        self._clock = clock
        self._heap: list[tuple[float, int, float, LogLine]] = []  # time, order of arrival, when it came
        self._serial = count()
        self._latest: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether lines are held."""
        return bool(self._heap)

    def put(self, lines: Iterable[LogLine]) -> None:
        """Take lines in."""
        now = self._clock()
        for line in lines:
            at = max(self._latest.get(line.key, 0.0), line.at or 0.0)
            self._latest[line.key] = at
            heapq.heappush(self._heap, (at, next(self._serial), now, line))

    def ready(self) -> Iterator[LogLine]:
        """Yield what has waited long enough, and what is older."""
        limit = self._clock() - self._window
        # The oldest in time may have come last: whatever came before it waits no longer than the window for it.
        due = max((item[:2] for item in self._heap if item[2] <= limit), default=None)
        while self._heap and (len(self._heap) > self._most or (due is not None and self._heap[0][:2] <= due)):
            yield heapq.heappop(self._heap)[3]

    def rest(self) -> Iterator[LogLine]:
        """Yield everything that is held."""
        while self._heap:
            yield heapq.heappop(self._heap)[3]
