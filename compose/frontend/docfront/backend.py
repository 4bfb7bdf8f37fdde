"""The client of the backend: pooled connections, one try at each address, and every failure named.

aiohttp's client, because it costs a tenth of what httpx does (docs/PERFORMANCE.md) and a proxy does little else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import ClassVar
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from docfront.settings import Settings
from docfront.spreading import AVOID, LEAVING, Addresses, Resolve, resolve

logger = logging.getLogger("docfront.proxy")

# Below uvicorn's default of 5 s, so that an idle connection is closed on this side first.
KEEPALIVE_SECONDS = 4.0
# Seconds that a connection may take while there are other addresses to try; in a cluster it takes milliseconds.
IMPATIENCE = 0.5
# What a client adds by itself: the request is the browser's, not this program's.
_NOT_OURS = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class BackendError(Exception):
    """The backend gave no proper answer; `status`, `code` and `message` are what its client is told."""

    status: ClassVar[int] = 502
    code: ClassVar[str] = "backend_unavailable"
    message: ClassVar[str] = "The backend broke off before it answered."


class Unreachable(BackendError):
    """No connection could be made: nothing of the request was sent."""

    status = 503
    message = "The backend is not reachable."


class Lost(BackendError):
    """The connection ended before an answer began."""


class Silent(BackendError):
    """It took the request and did not answer in time."""

    status = 504
    code = "backend_timeout"
    message = "The backend did not answer in time."


class Backend:
    """The backend at `settings.backend_url`; use it as a context manager within a running loop."""

    def __init__(self, settings: Settings, resolve: Resolve = resolve) -> None:
        parts = urlsplit(settings.backend_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._scheme, self._port, self.netloc = parts.scheme, port, parts.netloc
        self._addresses = Addresses(parts.hostname or "", port, resolve)
        # The backend's last sign of life counts, not how long it takes in all: an answer may be long.
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=settings.backend_connect_timeout, sock_read=settings.backend_timeout
        )
        self._patience = settings.backend_timeout
        connect = min(settings.backend_connect_timeout, IMPATIENCE)
        self._impatient = aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=settings.backend_timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Backend:
        """Open the pool."""
        self._session = aiohttp.ClientSession(
            # The proxy bounds how many requests there are (overload.py); waiting here would only hide the queue.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_OURS,
        )
        # aiohttp would repeat DELETE, which may have been carried out. ask() repeats what only reads.
        self._session._retry_connection = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def ask(
        self, method: str, target: str, headers: CIMultiDict[str], body: AsyncIterator[bytes] | None = None
    ) -> aiohttp.ClientResponse:
        """Send a request and return the answer with its body unread; raises BackendError."""
        try:
            return await self._send(method, target, headers, body)
        except Lost:
            # An idle connection may be closed by the backend in the very moment it is used again. Reading once more
            # changes nothing there; a write may have been done and is never repeated.
            if body is not None or method not in ("GET", "HEAD"):
                raise
        return await self._send(method, target, headers, None)

    async def _send(
        self, method: str, target: str, headers: CIMultiDict[str], body: AsyncIterator[bytes] | None
    ) -> aiohttp.ClientResponse:
        """Try the addresses in turn, the next one only when nothing was sent; whatever the method is."""
        try:
            addresses = await self._addresses.in_turn()
        except OSError as error:
            raise Unreachable(str(error)) from error
        left = len(addresses)
        for address in addresses:
            left -= 1
            try:
                answer = await self._send_to(address, method, target, headers, body, patient=not left)
            except Unreachable as error:
                self._addresses.avoid(address, AVOID)
                logger.info("%s (%s) takes no connection: %s", self._addresses.host, address, error)
                if not left:
                    raise
            else:
                if answer.headers.get("connection", "").lower() == "close":
                    self._addresses.avoid(address, LEAVING)
                return answer
        raise Unreachable(f"{self._addresses.host} has no address")

    async def _send_to(
        self, address: str, method: str, target: str, headers: CIMultiDict[str], body: AsyncIterator[bytes] | None,
        *, patient: bool,
    ) -> aiohttp.ClientResponse:  # fmt: skip
        assert self._session is not None
        host = f"[{address}]" if ":" in address else address
        try:
            async with asyncio.timeout(None) as limit:
                return await self._session.request(
                    method,
                    URL(f"{self._scheme}://{host}:{self._port}{target}", encoded=True),
                    headers=headers,
                    data=None if body is None else _taken(body, limit, self._patience),
                    allow_redirects=False,
                    timeout=self._timeout if patient else self._impatient,
                    server_hostname=self._addresses.host if self._scheme == "https" else None,
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreachable(_reason(error)) from error
        except TimeoutError as error:
            raise Silent(_reason(error)) from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            raise Lost(_reason(error)) from error
        except aiohttp.ClientError as error:
            raise BackendError(_reason(error)) from error


async def _taken(body: AsyncIterator[bytes], limit: asyncio.Timeout, seconds: float) -> AsyncIterator[bytes]:
    """Pass a body on; the limit runs while the backend takes a piece of it, and not while the browser makes one.

    aiohttp itself begins to count when all of a request is written.
    """
    async for piece in body:
        _reschedule(limit, asyncio.get_running_loop().time() + seconds)
        yield piece
        _reschedule(limit, None)


def _reschedule(limit: asyncio.Timeout, when: float | None) -> None:
    # Refused once the answer has come, before the body's end: nobody waits any more.
    with suppress(RuntimeError):
        limit.reschedule(when)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
