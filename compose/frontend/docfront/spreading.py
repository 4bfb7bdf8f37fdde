"""Several backends behind one name: each request goes to the next address, and past those that take no connection.

A name with several addresses is what Docker's and a headless Kubernetes service's DNS give for several replicas. The
C library sorts them the same way every time, and an HTTP pool stays with the connection it has: without this, one
replica would get everything.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence

logger = logging.getLogger("docfront.proxy")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# Seconds: a replica that is new is used this soon, one that is gone is no longer tried.
FRESH = 1.0
# Seconds that a look-up may take.
LOOK_UP = 2.0
# Seconds for which an address that took no connection is the last choice.
AVOID = 2.0
# The same for one that closes its connections: a backend that is being stopped does so for 5 s before it is gone.
LEAVING = 6.0


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name; raises OSError."""
    # In a thread, which may be left behind: the C library itself waits for up to 10 s.
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Addresses:
    """The addresses of one host, in turn."""

    def __init__(self, host: str, port: int, resolve: Resolve = resolve) -> None:
        self.host = host
        self._port = port
        self._resolve = resolve
        self._turn = itertools.count()
        self._avoided: dict[str, float] = {}  # until when (time.monotonic)
        self._known: Sequence[str] = [host] if _is_address(host) else []
        self._known_since = float("inf") if self._known else -FRESH  # an address stands for itself for ever

    async def in_turn(self) -> Sequence[str]:
        """Return all addresses in the order in which to try them; raises OSError when there is none."""
        now = time.monotonic()
        if now - self._known_since > FRESH:
            await self._look_up(now)
        known = self._known
        if len(known) == 1:
            return known
        first = next(self._turn) % max(len(known), 1)
        rotated = [*known[first:], *known[:first]]
        if not self._avoided:
            return rotated
        return sorted(rotated, key=lambda address: self._avoided.get(address, now) > now)

    def avoid(self, address: str, seconds: float) -> None:
        """Make an address the last choice for a while."""
        self._avoided[address] = time.monotonic() + seconds

    async def _look_up(self, now: float) -> None:
        # One request asks; those that come meanwhile, and all of them while there is no answer, use what was known.
        if self._known:
            self._known_since = now
        self._avoided = {address: until for address, until in self._avoided.items() if until > now}
        try:
            async with asyncio.timeout(LOOK_UP):
                found = await self._resolve(self.host, self._port)
        except OSError as error:  # TimeoutError is one
            reason = str(error) or f"no answer within {LOOK_UP:g} s"
            logger.warning("%s: its addresses cannot be looked up: %s", self.host, reason)
            if not self._known:
                raise OSError(f"{self.host}: {reason}") from error
            return
        self._known, self._known_since = found, time.monotonic()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
