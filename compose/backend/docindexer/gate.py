"""A bounded queue in front of a number of threads: what would wait too long is refused while that is still cheap.

Without it, what comes in faster than it can be done makes everything wait longer, until nobody waits for the answers
that are still worked on. What is refused was not begun, so it can be sent again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, WouldBlock, fail_after, to_thread

from docindexer.store import StoreUnavailable

T = TypeVar("T")


class Gate:
    """Runs calls in `threads` threads; at most `waiting` more wait, each for at most `patience` seconds.

    `refused` is told of each call that is turned away.
    """

    def __init__(self, threads: int, waiting: int, patience: float, refused: Callable[[], None]) -> None:
        self._places = CapacityLimiter(threads)
        self._unlimited = CapacityLimiter(math.inf)  # the places above are the limit
        self._waiting = waiting
        self._patience = patience
        self._refused = refused

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call that blocks; raises StoreUnavailable when it cannot begin in time."""
        place = object()
        try:
            self._places.acquire_on_behalf_of_nowait(place)
        except WouldBlock:
            await self._wait(place)
        try:
            return await to_thread.run_sync(call, limiter=self._unlimited)
        finally:
            self._places.release_on_behalf_of(place)

    async def _wait(self, place: object) -> None:
        if self._places.statistics().tasks_waiting >= self._waiting:
            self._refused()
            raise StoreUnavailable("overloaded", f"{self._waiting} others wait already: try again in a moment")
        try:
            with fail_after(self._patience):
                await self._places.acquire_on_behalf_of(place)
        except TimeoutError:
            self._refused()
            reason = f"it would have waited for more than {self._patience:g} s: try again in a moment"
            raise StoreUnavailable("overloaded", reason) from None
