"""A scripted HTTP backend at the wire: it counts connections, keeps what it was sent, and may misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name} arrived more than once: {values}"
        return values[0] if values else None


class Connection:
    """One connection of the proxy; read requests from it and write whatever bytes to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self.reader.read(65536))
        return event

    async def head(self) -> Seen | None:
        """Return the next request without its body, or None when the proxy closed the connection."""
        event = await self.event()
        if not isinstance(event, h11.Request):
            return None
        headers = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
        return Seen(event.method.decode(), event.target.decode(), headers)

    async def request(self) -> Seen | None:
        """Return the next request with its body."""
        seen = await self.head()
        while seen is not None and isinstance(event := await self.event(), h11.Data):
            seen.body += bytes(event.data)
        return seen

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        """Send a whole answer and be ready for the next request on the connection."""
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
        await self.send("\r\n".join(lines).encode() + body)
        self._http = h11.Connection(h11.SERVER)


Script = Callable[[Connection], Awaitable[None]]


@dataclass
class Wire:
    """The backend: `script` runs once a connection."""

    script: Script
    url: str = ""
    connections: int = 0
    seen: list[Seen] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.script(Connection(reader, writer))
        finally:
            writer.close()


@asynccontextmanager
async def wire(script: Script) -> AsyncIterator[Wire]:
    """Serve `script` on a free port of the loopback interface."""
    backend = Wire(script)
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    backend.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield backend
    finally:
        server.close()


@asynccontextmanager
async def answering(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> AsyncIterator[Wire]:
    """Serve the same answer to every request, on connections that stay open."""

    async def script(connection: Connection) -> None:
        while (seen := await connection.request()) is not None:
            backend.seen.append(seen)
            await connection.answer(body, *headers, status=status)

    async with wire(script) as backend:
        yield backend
