"""A gentle end: after SIGTERM the service goes on for a while, not ready and closing each connection it answers on.

Without it, a request that arrives on an idle connection in the moment this is closed is lost, and its sender cannot
know whether it was carried out. Clients that keep idle connections for a shorter time than the drain never meet that.
"""

from __future__ import annotations

import logging
import signal
import time
from types import FrameType

import uvicorn

log = logging.getLogger("docindexer")


class Drain:
    """Whether the end has begun, and when it is over; `seconds` is 0 for an end at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until: float | None = None

    @property
    def begun(self) -> bool:
        """Whether new requests should go elsewhere."""
        return self._until is not None

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self._until is not None and time.monotonic() >= self._until

    def begin(self) -> None:
        """Start the time."""
        self._until = time.monotonic() + self.seconds


class DrainingServer(uvicorn.Server):
    """A server that drains at the first SIGTERM; any second signal, and SIGINT, ends it as uvicorn does."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal (called by uvicorn)."""
        if sig != signal.SIGTERM or self._drain.begun or not self._drain.seconds:
            super().handle_exit(sig, frame)
            return
        log.info("draining connections", extra={"seconds": self._drain.seconds})
        self._drain.begin()

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether to end (called by uvicorn)."""
        # Connections that are idle still count: their next request may be on its way.
        if self._drain.over or (self._drain.begun and not self.server_state.connections):
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)
