"""The body of an incoming request, and the moment its client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive


class IncomingBody:
    """Streams one request's body and notices the client leaving, during the body and after it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._over = asyncio.Event()  # the body is complete, or will never be
        self._gone = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; for ever silent once the client is gone, so that its owner is cancelled."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone = True
                self._over.set()
                await asyncio.Event().wait()
            if chunk := message.get("body", b""):
                yield chunk
            if not message.get("more_body", False):
                self._over.set()
                return

    async def drain(self) -> None:
        """Read a body that nobody wants, so that the end of the connection can be seen."""
        async for _ in self.chunks():
            continue

    async def wait_gone(self) -> None:
        """Return when the client has closed the connection."""
        await self._over.wait()
        while not self._gone:
            self._gone = (await self._receive())["type"] == "http.disconnect"
