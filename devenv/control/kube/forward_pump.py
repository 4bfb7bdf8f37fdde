"""One connection through a port-forward stream, both ways; tells what may be tried again from what may not."""

from __future__ import annotations

import asyncio
import re
import time

from devenv.control.kube.forward_stats import Traffic
from devenv.control.kube.websocket import WebSocket
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize

# Seconds of silence from the pod after which a client that stopped sending is taken for gone. A client may close its
# sending side alone and wait: it does so for an answer that has not come yet.
LINGER_ANSWERED = 0.1
LINGER_WAITING = 5.0
_KEPT = 64 << 10  # bytes of a client that are kept to be sent again, when the pod could not be reached at all
_CHUNK = 32 << 10
_DATA, _ERROR = b"\0", b"\1"
# What container runtimes say when they could not connect to the port inside the pod (containerd, CRI-O, cri-dockerd).
_UNREACHED = re.compile(r"refused|failed to (?:dial|connect|find)|not running|not found|is closed|no such", re.I)


class NotReached(DevenvError):
    """The pod's port could not be reached, and nothing of the client arrived there: another try is safe."""


class Broken(DevenvError):
    """The connection broke after something may have arrived: only the client knows whether to try again."""


class Pump:
    """Carries one connection. `kept` is what the client sent so far, as long as nothing came back."""

    def __init__(
        self,
        stream: WebSocket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        kept: bytearray,
        traffic: Traffic,
    ) -> None:
        self._stream = stream
        self._reader = reader
        self._writer = writer
        self._kept = kept
        self._traffic = traffic
        self._answered = False
        self._overfull = len(kept) > _KEPT
        self._heard = self._said = time.monotonic()

    async def run(self) -> None:
        """Carry until one side ends. Raises NotReached and Broken."""
        up, down = asyncio.ensure_future(self._up()), asyncio.ensure_future(self._down())
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if up.done() and up.exception() is None:
                await self._linger(down)
            for task in (down, up):
                if task.done():
                    task.result()
        except OSError as error:
            raise self._failure(str(error) or type(error).__name__) from error
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _linger(self, down: asyncio.Task[None]) -> None:
        ended = time.monotonic()
        while not down.done():
            patience = LINGER_ANSWERED if self._heard > self._said else LINGER_WAITING
            left = max(ended, self._heard) + patience - time.monotonic()
            if left <= 0:
                return
            await asyncio.wait((down,), timeout=left)

    async def _up(self) -> None:
        if self._kept:
            await self._stream.send(_DATA + bytes(self._kept))
        while True:
            try:
                data = await self._reader.read(_CHUNK)
            except ConnectionError:
                return  # the client is gone
            if not data:
                return
            if not self._answered:
                self._kept += data
                self._overfull = len(self._kept) > _KEPT
            self._traffic.sent(len(data))
            self._said = time.monotonic()
            await self._stream.send(_DATA + data)

    async def _down(self) -> None:
        named: set[bytes] = set()  # the first message of each channel is the port's number
        while (message := await self._stream.receive()) is not None:
            channel, data = message[:1], message[1:]
            if channel not in named:
                named.add(channel)
                data = data[2:]
            if not data:
                continue
            if channel == _ERROR:
                raise self._failure(sanitize(data).strip(), unreached=bool(_UNREACHED.search(sanitize(data))))
            self._answered = True
            self._kept.clear()
            self._heard = time.monotonic()
            self._traffic.received(len(data))
            try:
                self._writer.write(data)
                await self._writer.drain()
            except ConnectionError:
                return  # the client is gone
        if not self._answered and self._kept:
            raise self._failure("the pod closed the connection without an answer")

    def _failure(self, message: str, *, unreached: bool = False) -> DevenvError:
        if self._answered or self._overfull or (self._kept and not unreached):
            return Broken(message)
        return NotReached(message)
