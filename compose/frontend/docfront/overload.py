"""The limit on requests that are on their way to the backend: one more is refused at once, and told when to come back.

Without it every request that is too much makes all others slower, until none is answered in time. The page, the
probes and the metrics are not counted: they stay fast because the work that would slow them down is never begun.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.responses import Response

from docfront.errors import error_response
from docfront.metrics import IN_FLIGHT, REFUSED, ROOM

# Seconds. What is on its way is answered in less, so there is room again by then.
RETRY_AFTER = "1"
# Seconds after which an answer shows that too many requests wait for the processor: alone, a search takes 0.01.
SLOW = 1.0
# The room never gets smaller than this: so many people may wait, however slow a machine is.
LEAST = 32
# How the room changes with an answer: smaller by a part at a slow one, at most every 0.1 s, larger by so much at a fast
# one. The classic of congestion control (additive increase, multiplicative decrease, Chiu and Jain 1989).
SHRINK, SHRINK_EVERY, GROW = 0.9, 0.1, 0.1


class Room:
    """Room for `most` requests at once, for fewer while answers are slow: what waits is then soon answered."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._least = min(most, LEAST)
        self._clock = clock
        self._used = 0
        self._shrunk = float("-inf")
        self.size = float(most)
        ROOM.set(most)

    @property
    def is_full(self) -> bool:
        """Whether a request must be refused."""
        return self._used >= int(self.size)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place."""
        self._used += 1
        IN_FLIGHT.inc()
        try:
            yield
        finally:
            self._used -= 1
            IN_FLIGHT.dec()

    def answered(self, seconds: float) -> None:
        """Learn from how long a question took until its answer began."""
        if seconds <= SLOW:
            self.size = min(self.size + GROW, self._most)
        elif (now := self._clock()) - self._shrunk >= SHRINK_EVERY:
            self._shrunk = now
            self.size = max(self.size * SHRINK, self._least)
        ROOM.set(int(self.size))


def refusal() -> Response:
    """Return the answer for a request for which there is no room, and count it."""
    REFUSED.inc()
    return error_response(503, "overloaded", "Too much to do right now.", {"retry-after": RETRY_AFTER})
