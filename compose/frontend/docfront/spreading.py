"""Several backends behind one name: each request goes to the next address, and past those that take no connection.

A name with several addresses is what Docker's and a headless Kubernetes service's DNS give for several replicas. The
C library sorts them the same way every time, and an HTTP pool stays with the connection it has: without this, one
replica would get everything.
"""

from __future__ import annotations

import ipaddress
import itertools
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import anyio.to_thread
import httpx

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
# Seconds that a connection may take while there are other addresses to try; in a cluster it takes milliseconds.
IMPATIENCE = 0.5


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name; raises OSError."""
    # In a thread that may be left behind: the C library itself waits for up to 10 s.
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class SpreadTransport(httpx.AsyncBaseTransport):
    """Sends requests by `inner` to the addresses of their host in turn.

    A request is tried at another address only when no connection could be made, so nothing of it had been sent: it is
    never carried out twice, whatever its method is.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, resolve: Resolve = resolve) -> None:
        self._inner = inner
        self._resolve = resolve
        self._turn = itertools.count()
        self._known: dict[tuple[str, int], tuple[float, Sequence[str]]] = {}
        self._avoided: dict[str, float] = {}  # until when (time.monotonic)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; raises what `inner` raises."""
        host = request.url.host
        if _is_address(host):
            return await self._inner.handle_async_request(request)
        addresses = await self._in_turn(request)
        url, extensions = request.url, request.extensions
        for left, address in reversed(list(enumerate(reversed(addresses)))):
            request.url = url.copy_with(host=address)
            request.extensions = {**extensions, "sni_hostname": host}
            if left:
                limits = dict(extensions.get("timeout", {}))
                limits["connect"] = min(limits.get("connect") or IMPATIENCE, IMPATIENCE)
                request.extensions["timeout"] = limits
            try:
                response = await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                self._avoided[address] = time.monotonic() + AVOID
                logger.info("%s (%s) takes no connection: %s", host, address, error or type(error).__name__)
                if not left:
                    raise
            else:
                if response.headers.get("connection", "").lower() == "close":
                    self._avoided[address] = time.monotonic() + LEAVING
                return response
        raise httpx.ConnectError(f"{host} has no address", request=request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()

    async def _in_turn(self, request: httpx.Request) -> Sequence[str]:
        place = (request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80))
        addresses = await self._addresses(*place, request)
        now = time.monotonic()
        first = next(self._turn) % max(len(addresses), 1)
        rotated = [*addresses[first:], *addresses[:first]]
        return sorted(rotated, key=lambda address: self._avoided.get(address, now) > now)

    async def _addresses(self, host: str, port: int, request: httpx.Request) -> Sequence[str]:
        since, addresses = self._known.get((host, port), (0.0, ()))
        now = time.monotonic()
        if addresses and now - since <= FRESH:
            return addresses
        # One request asks; those that come meanwhile, and all of them while there is no answer, use what was known.
        self._known[host, port] = (now, addresses)
        self._avoided = {address: until for address, until in self._avoided.items() if until > now}
        try:
            with anyio.fail_after(LOOK_UP):
                found = await self._resolve(host, port)
        except (OSError, TimeoutError) as error:
            reason = str(error) or f"no answer within {LOOK_UP:g} s"
            logger.warning("%s: its addresses cannot be looked up: %s", host, reason)
            if not addresses:
                raise httpx.ConnectError(f"{host}: {reason}", request=request) from error
            return addresses
        self._known[host, port] = (time.monotonic(), found)
        return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
