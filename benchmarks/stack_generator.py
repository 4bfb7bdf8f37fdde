"""HTTP load as cheaply as Python makes it: `python -m benchmarks.stack_generator` reads a plan (JSON) on stdin.

The machine that is measured makes the load too, so every millisecond of it is missing elsewhere: requests are bytes
that were made before, and of an answer only the status, the length and Retry-After are looked at.

closed: `connections` send one request after another. open: `rate` requests a second, each on a connection that is
free or a new one; times begin when the request was due.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

MOST_OPEN = 2000  # connections; more are wanted when the target answers nothing at all
PATIENCE = 10.0  # seconds that an answer may take, as the load tests' users wait


@dataclass(slots=True)
class Tally:
    """What became of the requests; seconds."""

    began: float
    served: list[tuple[float, float, int]] = field(default_factory=list)  # when due, how long, which kind
    refused: list[tuple[float, float]] = field(default_factory=list)  # when due, how long
    failed: Counter[str] = field(default_factory=Counter)
    received: int = 0  # bytes of served answers, with their heads
    late: int = 0  # requests sent more than 100 ms after they were due, by this process's own fault

    def answered(self, kind: int, due: float, head: bytes, size: int) -> None:
        """Count one answer."""
        took, status = time.perf_counter() - due, head[9:12]
        if status[:1] == b"2":
            self.served.append((due - self.began, took, kind))
            self.received += size
        elif status in (b"429", b"503") and b"retry-after:" in head.lower():
            self.refused.append((due - self.began, took))
        else:
            self.failed[status.decode(errors="replace")] += 1


class Connection(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._end = 0  # bytes of the whole answer, 0 while its head is incomplete, -1 for a chunked one
        self._head = b""
        self._kind = 0
        self.due: float | None = None  # of the request on its way

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, kind: int, request: bytes, due: float) -> None:
        """Send a request."""
        assert self._transport is not None
        self._kind, self.due, self._end = kind, due, 0
        self._buffer.clear()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._buffer += data
        if self._end == 0:
            found = self._buffer.find(b"\r\n\r\n")
            if found < 0:
                return
            self._head = bytes(self._buffer[: found + 2])
            self._end = found + 4 + _length(self._head) if b"chunked" not in self._head else -1
        if len(self._buffer) >= self._end > 0 or (self._end < 0 and self._buffer.endswith(b"\r\n0\r\n\r\n")):
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        if self.due is not None:
            self.due = None
            self._load.broken(self, "connection lost")

    def give_up(self) -> None:
        """Break the connection off: its answer took too long."""
        self.due = None
        if self._transport is not None:
            self._transport.abort()
        self._load.broken(self, "no answer in time")

    def _finish(self) -> None:
        due, self.due = self.due, None
        if due is None:
            return
        if b"connection: close" in self._head.lower() and self._transport is not None:
            self._transport.close()
        self._load.tally.answered(self._kind, due, self._head, len(self._buffer))
        self._load.free(self)


class Load:
    """One run of a plan."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._requests = [(kind, text.encode("latin-1")) for kind, text in plan["requests"]]
        self._next = 0
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._over = False
        self.tally = Tally(0.0)

    async def run(self) -> dict[str, Any]:
        """Send until the time is over and wait for the last answers; returns the tally as plain data."""
        seconds = float(self._plan["seconds"])
        self.tally.began = time.perf_counter()
        cpu = time.process_time()
        watch = asyncio.create_task(self._watch())
        if self._plan.get("rate"):
            await self._keep_rate(float(self._plan["rate"]), seconds)
        else:
            for _ in range(int(self._plan["connections"])):
                self._send(time.perf_counter())
            await asyncio.sleep(seconds)
        self._over = True
        elapsed = time.perf_counter() - self.tally.began
        cpu = time.process_time() - cpu
        await self._finished()
        watch.cancel()
        tally = self.tally
        return {
            "seconds": elapsed,
            "served": tally.served,
            "refused": tally.refused,
            "failed": dict(tally.failed),
            "received": tally.received,
            "late": tally.late,
            "cpu": cpu / elapsed,
        }

    def free(self, connection: Connection) -> None:
        """Take a connection back whose answer has come."""
        self._busy.discard(connection)
        if connection.is_open:
            self._idle.append(connection)
        self._go_on()

    def broken(self, connection: Connection, reason: str) -> None:
        """Count a request whose answer did not come."""
        self._busy.discard(connection)
        self.tally.failed[reason] += 1
        self._go_on()

    def _go_on(self) -> None:
        if not self._over and not self._plan.get("rate"):
            # Not at once: an endless chain of refusals must not keep this process from anything else.
            asyncio.get_running_loop().call_soon(self._send, time.perf_counter())

    async def _keep_rate(self, rate: float, seconds: float) -> None:
        began, number = time.perf_counter(), 0
        while (due := number / rate) < seconds:
            now = time.perf_counter() - began
            if due > now:
                await asyncio.sleep(due - now)
            self.tally.late += time.perf_counter() - began - due > 0.1
            self._send(began + due)
            number += 1

    def _send(self, due: float) -> None:
        kind, request = self._requests[self._next % len(self._requests)]
        self._next += 1
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                self._busy.add(connection)
                connection.send(kind, request, due)
                return
        if len(self._busy) + len(self._opening) >= MOST_OPEN:
            self.tally.failed["no connection left"] += 1
            return
        task = asyncio.create_task(self._open(kind, request, due))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, kind: int, request: bytes, due: float) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), self._plan["host"], self._plan["port"]
                )
        except OSError as error:  # TimeoutError is one
            self.tally.failed[type(error).__name__] += 1
            await asyncio.sleep(0.01)
            self._go_on()
            return
        self._busy.add(connection)
        connection.send(kind, request, due)

    async def _finished(self) -> None:
        while self._busy or self._opening:  # noqa: ASYNC110  # ends: _watch and _open give up what takes too long
            await asyncio.sleep(0.05)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            limit = time.perf_counter() - PATIENCE
            for connection in [one for one in self._busy if one.due is not None and one.due < limit]:
                connection.give_up()


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def main() -> None:
    """Run the plan on stdin and print the outcome as JSON."""
    plan = json.load(sys.stdin)
    gc.disable()  # a run is short, and a pause here would be a pause of the target in the figures
    json.dump(asyncio.run(Load(plan).run()), sys.stdout)


if __name__ == "__main__":
    main()
