"""More than the backend answers: the proxy refuses at once what is too much, and everything else stays fast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import httpx
from _frontend import serving
from _wire import Connection, wire
from docfront.overload import Room


class HeldBackend:
    """Answers /ready, and everything else when it is let go."""

    def __init__(self) -> None:
        self.arrived = asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def script(self, connection: Connection) -> None:
        while (seen := await connection.request()) is not None:
            if seen.target != "/ready":
                self.arrived.release()
                await self.go.wait()
            await connection.answer(b"{}")

    async def until_arrived(self, requests: int) -> None:
        for _ in range(requests):
            await asyncio.wait_for(self.arrived.acquire(), 10)


@asynccontextmanager
async def held(requests: int) -> AsyncIterator[tuple[HeldBackend, httpx.AsyncClient]]:
    """A frontend that lets so many requests through, and its backend."""
    backend = HeldBackend()
    async with (
        wire(backend.script) as listening,
        serving(listening.url, BACKEND_REQUESTS=str(requests), BACKEND_TIMEOUT="60") as client,
    ):
        try:
            yield backend, client
        finally:
            backend.go.set()


async def metric(client: httpx.AsyncClient, name: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    (found,) = [line for line in lines if line.startswith(f"{name} ")]
    return float(found.split()[1])


def check_refusal(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"


async def test_one_request_too_many_is_refused_at_once() -> None:
    async with held(2) as (backend, client):
        before = await metric(client, "docfront_refused_total")
        working = [asyncio.create_task(client.get("/api/x")), asyncio.create_task(client.post("/api/x", content=b"x"))]
        await backend.until_arrived(2)
        check_refusal(await client.get("/api/x"))
        check_refusal(await client.post("/api/x", content=b"x"))
        assert await metric(client, "docfront_refused_total") - before == 2
        assert await metric(client, "docfront_backend_requests") == 2
        for path in ("/health", "/ready", "/", "/app.js"):
            assert (await client.get(path)).status_code == 200, path
        backend.go.set()
        assert [(await task).status_code for task in working] == [200, 200]
        assert (await client.get("/api/x")).status_code == 200
        assert await metric(client, "docfront_backend_requests") == 0


async def test_whoever_uploads_hears_of_the_refusal() -> None:
    async with held(1) as (backend, client):
        working = asyncio.create_task(client.get("/api/x"))
        await backend.until_arrived(1)
        check_refusal(await client.post("/api/x", content=b"x" * 3_000_000))
        backend.go.set()
        assert (await working).status_code == 200


async def test_a_client_that_leaves_gives_its_place_back() -> None:
    async with held(1) as (backend, client):
        leaving = asyncio.create_task(client.get("/api/x"))
        await backend.until_arrived(1)
        check_refusal(await client.get("/api/x"))
        leaving.cancel()
        deadline = time.monotonic() + 10
        while await metric(client, "docfront_backend_requests"):
            assert time.monotonic() < deadline
        backend.go.set()
        assert (await client.get("/api/x")).status_code == 200


def test_the_room_follows_how_fast_answers_are() -> None:
    now = 0.0
    room = Room(100, lambda: now)
    room.answered(1.1)
    assert room.size == 90
    room.answered(1.1)
    assert room.size == 90, "answers of the same moment are one sign"
    for _ in range(100):
        now += 1
        room.answered(2.0)
    assert room.size == 32
    with ExitStack() as places:
        for _ in range(32):
            assert not room.is_full
            places.enter_context(room.taken())
        assert room.is_full
    for _ in range(750):
        room.answered(0.01)
    assert room.size == 100
