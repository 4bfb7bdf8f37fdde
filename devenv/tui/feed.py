"""Brings the records of the backend and the control to the screen: at once after a quiet moment, seldom in a flood.

The other way, it tells the backend what is on screen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from devenv.backends.streams import Flood
from devenv.core.model import Change

if TYPE_CHECKING:
    from devenv.backends.protocol import Backend

DRAINS_PER_SECOND: Final = 15  # DESIGN.md, How data flows, 3
FLOOD: Final = 300  # records in one drain
HELD: Final = 0.05  # seconds that a flood waits for a key to be on the screen
HELD_MOST: Final = 0.3  # and in all, while somebody types: the buffer of the readers holds a second of a flood


class Source(Protocol):
    """What has records to give: a backend or a control."""

    def start(self, wake: Callable[[], None]) -> None:
        """Begin; `wake` is called from any thread when the first record waits."""
        ...

    def stop(self) -> None:
        """End."""
        ...

    def drain(self) -> list[Change]:
        """Give what waits."""
        ...


class Feed:
    """Drains the sources in the loop's thread and hands everything on in one piece."""

    def __init__(self, sources: Sequence[Source], deliver: Callable[[list[Change]], None]) -> None:
        self.sources = tuple(sources)
        self._deliver = deliver
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._last = float("-inf")
        self._held_until = float("-inf")
        self._floods = False
        self.drains = 0
        self.began = time.monotonic()
        self.lag = self.longest_lag = 0.0  # seconds that a first record waited until it was taken
        self._woken_at = 0.0

    def start(self) -> None:
        """Start the sources; called in the running loop."""
        self._loop = asyncio.get_running_loop()
        for source in self.sources:
            source.start(self.wake)

    def waiting(self) -> list[Change]:
        """Take what waits in the sources, also before they are started."""
        return [change for source in self.sources for change in source.drain()]

    def stop(self) -> None:
        """Take nothing more in. The sources are stopped by whoever made them."""
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()

    def replace(self, sources: Sequence[Source]) -> None:
        """Drain these from now on, which stand before the ones that were started."""
        self.sources = tuple(sources)

    def wake(self) -> None:
        """Ask for a drain, from any thread; many calls before it make one."""
        loop = self._loop
        # Two threads may both see False: the second drain then finds nothing, which costs less than a lock.
        if self._woken or loop is None:
            return
        self._woken_at = time.monotonic()
        self._woken = True
        try:
            loop.call_soon_threadsafe(self._turn)
        except RuntimeError:
            # The loop was closed between the two lines: the program ends, nobody looks any more.
            self._loop = None

    def hold(self) -> None:
        """Let a key come to the screen before more of a flood does."""
        if self._floods and self._loop is not None:
            self._held_until = self._loop.time() + HELD
            Flood.give_way()

    def _turn(self) -> None:
        if self._loop is None or self._timer is not None:
            return
        due = max(self._last + 1 / DRAINS_PER_SECOND, min(self._held_until, self._last + HELD_MOST))
        rest = due - self._loop.time()
        if rest > 0:
            self._timer = self._loop.call_later(rest, self._look_again)
        else:
            self._drain()

    def _look_again(self) -> None:
        self._timer = None
        self._turn()

    def _drain(self) -> None:
        if self._loop is None:
            return
        self._last = self._loop.time()
        self._woken = False
        self.drains += 1
        self.lag = time.monotonic() - self._woken_at
        self.longest_lag = max(self.lag, self.longest_lag)
        changes = self.waiting()
        self._floods = len(changes) > FLOOD
        if changes:
            self._deliver(changes)


class Subscriptions:
    """What the backend is asked to watch: what is on screen and nothing else, and each change of it is passed on once.

    Before `begin` nothing is passed on: a backend that follows logs connects, and the first paint would wait for it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._begun = False
        self._stats: frozenset[str] = frozenset()
        self._logs: frozenset[str] = frozenset()
        self._detail: str | None = None

    def begin(self) -> None:
        """Tell what is asked for so far, and from now on at once; the backend runs."""
        self._begun = True
        if self._stats:
            self._backend.watch_stats(self._stats)
        if self._logs:
            self._backend.follow_logs(self._logs)
        if self._detail is not None:
            self._backend.watch_detail(self._detail)

    def stats(self, keys: Iterable[str]) -> None:
        """Sample these resources."""
        chosen = frozenset(keys)
        if chosen != self._stats:
            self._stats = chosen
            if self._begun:
                self._backend.watch_stats(chosen)

    def logs(self, keys: Iterable[str]) -> None:
        """Follow these logs."""
        chosen = frozenset(keys)
        if chosen != self._logs:
            self._logs = chosen
            if self._begun:
                self._backend.follow_logs(chosen)

    def detail(self, key: str | None) -> None:
        """Keep the details of this resource fresh."""
        if key != self._detail:
            self._detail = key
            if self._begun:
                self._backend.watch_detail(key)
