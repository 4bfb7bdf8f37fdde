"""More than the backend can do: what is too much is refused at once, and nobody else notices."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from docindexer.app import create_app
from docindexer.settings import Settings
from docindexer.sqlite_store import SqliteStore
from docindexer.store import Collection, Page
from prometheus_client.parser import text_string_to_metric_families


class HeldStore(SqliteStore):
    """A store in which listing and creating collections take until they are let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def collections(self, limit: int, offset: int) -> Page[Collection]:
        self._hold()
        return super().collections(limit, offset)

    def create_collection(self, name: str) -> Collection:
        self._hold()
        return super().create_collection(name)

    def _hold(self) -> None:
        self.begun.release()
        assert self.go.wait(20), "never let go"

    async def until_begun(self, calls: int = 1) -> None:
        """Return when so many calls have reached the store."""
        for _ in range(calls):
            assert await asyncio.to_thread(self.begun.acquire, timeout=10)


@pytest.fixture
def store(tmp_path: Path) -> HeldStore:
    return HeldStore(tmp_path / "docs.db")


@asynccontextmanager
async def serving(store: HeldStore, **settings: int) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the application on a free port; at the end whatever is held goes on."""
    app = create_app(replace(Settings(), **settings), store)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))  # keeps what comes before the server has started
    port = listener.getsockname()[1]
    task = asyncio.create_task(server.serve([listener]))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=15) as client:
            yield client
    finally:
        store.go.set()
        server.should_exit = True
        await asyncio.wait_for(task, 10)


async def refused(api: httpx.AsyncClient, kind: str) -> float:
    text = (await api.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    (found,) = [one.value for one in samples if one.name == "docindexer_refused_total" and one.labels["kind"] == kind]
    return found


def check_refusal(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"


async def test_reads_beyond_the_queue_are_refused_at_once(store: HeldStore) -> None:
    async with (
        serving(store, read_threads=1, max_waiting=2, read_patience_ms=60_000) as api,
        asyncio.TaskGroup() as all_,
    ):
        working = all_.create_task(api.get("/api/collections"))
        await store.until_begun()
        pending = {all_.create_task(api.get("/api/collections")) for _ in range(5)}
        for _ in range(3):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED, timeout=10)
            for answer in done:
                check_refusal(answer.result())
            if len(pending) == 2:
                break
        assert len(pending) == 2
        assert await refused(api, "read") == 3
        assert (await api.get("/health")).status_code == 200
        assert (await api.get("/ready")).status_code == 200
        assert (await api.post("/api/collections", json={})).status_code == 422
        assert not working.done()
        store.go.set()
        assert {(await task).status_code for task in (working, *pending)} == {200}
        assert (await api.get("/api/collections")).status_code == 200


async def test_a_read_that_waits_too_long_is_refused_and_leaves_no_trace(store: HeldStore) -> None:
    async with serving(store, read_threads=1, max_waiting=100, read_patience_ms=50) as api:
        working = asyncio.create_task(api.get("/api/collections"))
        await store.until_begun()
        for answer in await asyncio.gather(*(api.get("/api/collections") for _ in range(5))):
            check_refusal(answer)
        store.go.set()
        assert (await working).status_code == 200
        assert (await api.get("/api/collections")).status_code == 200
        assert await refused(api, "read") == 5


async def test_writes_wait_apart_from_reads(store: HeldStore) -> None:
    async with serving(store, max_waiting=0) as api:
        working = asyncio.create_task(api.post("/api/collections", json={"name": "one"}))
        await store.until_begun()
        check_refusal(await api.post("/api/collections", json={"name": "two"}))
        assert (await api.get("/api/search?q=anything")).status_code == 200
        store.go.set()
        assert (await working).status_code == 201
        # What was refused was not begun.
        assert [found["name"] for found in (await api.get("/api/collections")).json()] == ["one"]
        assert (await refused(api, "write"), await refused(api, "read")) == (1, 0)


async def test_a_client_that_leaves_while_it_waits_is_not_in_the_way_for_ever(store: HeldStore) -> None:
    async with serving(store, read_threads=1, max_waiting=1, read_patience_ms=100) as api:
        working = asyncio.create_task(api.get("/api/collections"))
        await store.until_begun()
        leaving = asyncio.create_task(api.get("/api/collections"))
        await asyncio.wait({leaving}, timeout=0.02)
        leaving.cancel()
        await asyncio.wait({leaving})
        while await refused(api, "read") < 1:
            assert not working.done()
        store.go.set()
        assert (await working).status_code == 200
        assert (await api.get("/api/collections")).status_code == 200
