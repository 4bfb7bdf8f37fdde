"""The body of an incoming request, and the moment its client goes away."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from starlette.types import Receive


class IncomingBody:
    """Streams one request's body and notices the client leaving, during the body and after it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._complete = anyio.Event()
        self._gone = anyio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; for ever silent once the client is gone, so that its owner is cancelled."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone.set()
                await anyio.sleep_forever()
            if chunk := message.get("body", b""):
                yield chunk
            if not message.get("more_body", False):
                self._complete.set()
                return

    async def drain(self) -> None:
        """Read a body that nobody wants, so that the end of the connection can be seen."""
        async for _ in self.chunks():
            continue

    async def wait_gone(self) -> None:
        """Return when the client has closed the connection."""
        async with anyio.create_task_group() as group:

            async def after_body() -> None:
                await self._complete.wait()
                while (await self._receive())["type"] != "http.disconnect":
                    continue
                self._gone.set()

            group.start_soon(after_body)
            await self._gone.wait()
            group.cancel_scope.cancel()
