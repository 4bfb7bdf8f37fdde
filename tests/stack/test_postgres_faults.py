"""The PostgreSQL store when its database is away, silent, full of connections or read-only: named, bounded, healed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest
from _backend import api_client
from _postgres import Postgres, postgres
from docindexer.postgres_store import PostgresStore
from docindexer.settings import Settings
from docindexer.store import NewDocument, StoreUnavailable
from test_backend_api import add, create, titles

QUICK = Settings(ready_timeout_ms=500)
WAIT = 1.0  # seconds that a request may wait for a connection, and a statement may take, in these tests


@pytest.fixture(scope="module")
def own_server() -> Iterator[Postgres]:
    """A server for tests that hurt it; each leaves it running."""
    with postgres() as server:
        yield server


@pytest.fixture
def store(own_server: Postgres) -> Iterator[PostgresStore]:
    made = own_server.store(own_server.new_schema(), pool_size=3, wait_ms=int(WAIT * 1000), timeout_ms=int(WAIT * 1000))
    yield made
    made.close()


@pytest.fixture
async def api(store: PostgresStore) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(store, QUICK) as client:
        yield client


async def assert_refused(api: httpx.AsyncClient, code: str) -> None:
    """Fail unless every answer comes in time and says the same."""
    began = time.monotonic()
    ready = await api.get("/ready")
    assert (ready.status_code, ready.json().get("code")) in [(503, code), (503, "store_silent")], ready.text
    assert time.monotonic() - began < QUICK.ready_timeout_ms / 1000 + 2
    refused = await api.post("/api/collections", json={"name": "refused"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, code), refused.text
    assert refused.headers["retry-after"] == "1"
    assert (await api.get("/api/collections")).status_code in (200, 503)
    assert (await api.get("/health")).status_code == 200
    assert time.monotonic() - began < 4 * (WAIT + 4), "nothing hangs"


async def until_ready(api: httpx.AsyncClient, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while (answer := await api.get("/ready")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.05)


async def test_a_database_that_goes_and_comes_back(own_server: Postgres, api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    await add(api, collection, ("kept", "needle"))
    await asyncio.to_thread(own_server.stop)
    try:
        await assert_refused(api, "store_unreachable")
    finally:
        await asyncio.to_thread(own_server.start)
    await until_ready(api)
    assert await titles(api, q="needle") == ["kept"]
    await add(api, collection, ("after", "needle"))


async def test_a_database_that_is_silent(own_server: Postgres, api: httpx.AsyncClient) -> None:
    await create(api, "c")
    with own_server.frozen():
        await assert_refused(api, "store_unreachable")
    await until_ready(api)
    assert await create(api, "after") > 0


async def test_idle_connections_that_died_are_replaced_unnoticed(own_server: Postgres, api: httpx.AsyncClient) -> None:
    await asyncio.gather(*(api.get("/api/collections") for _ in range(8)))
    own_server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'docindexer'")
    assert {(await api.get("/api/collections")).status_code for _ in range(4)} == {200}
    assert await create(api, "written at the first attempt") > 0


async def test_the_service_starts_without_its_database(own_server: Postgres) -> None:
    own_server.stop()
    lone = own_server.store("public", wait_ms=500)
    try:
        async with api_client(lone, QUICK) as api:
            assert (await api.get("/ready")).status_code == 503
            assert (await api.get("/health")).status_code == 200
            await asyncio.to_thread(own_server.start)
            await until_ready(api)
            assert await create(api, "c") > 0
    finally:
        lone.close()


async def test_a_server_that_takes_no_writes_is_left_for_one_that_does(
    own_server: Postgres, api: httpx.AsyncClient
) -> None:
    await create(api, "kept")
    own_server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    own_server.execute("SELECT pg_reload_conf()")
    try:
        deadline = time.monotonic() + 5
        while (await api.get("/ready")).status_code == 200:
            assert time.monotonic() < deadline
        await assert_refused(api, "store_read_only")
        assert len((await api.get("/api/collections")).json()) == 1, "it can be read all the same"
    finally:
        with own_server.connect() as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")
    await until_ready(api)


@contextmanager
def all_in_use(store: PostgresStore, count: int) -> Iterator[None]:
    """Hold connections in transactions of their own."""
    held, release = threading.Barrier(count + 1), threading.Event()

    def hold() -> None:
        with store.connections.read():
            held.wait(10)
            release.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        held.wait(10)
        yield
    finally:
        release.set()
        for thread in threads:
            thread.join(10)


def test_a_pool_that_is_used_up_says_so_in_time(own_server: Postgres) -> None:
    small = own_server.store(own_server.new_schema(), pool_size=2, wait_ms=300)
    try:
        small.open()
        with all_in_use(small, 2):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="all 2 database connections are in use") as raised:
                small.counts()
            assert 0.2 < time.monotonic() - began < 20
            assert raised.value.code == "store_busy"
        assert small.counts().collections == 0
    finally:
        small.close()


def test_more_requests_than_connections_wait_for_their_turn(store: PostgresStore) -> None:
    collection = store.create_collection("c").id
    errors: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(10):
                store.add_documents(collection, [NewDocument(f"{name}-{number}", "needle")])
                store.search("needle", collection, 5, 0)
        except StoreUnavailable as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert store.search("needle", collection, 1, 0).total == 80


def test_a_changed_password_is_used_for_the_next_connection(own_server: Postgres, store: PostgresStore) -> None:
    store.open()
    own_server.execute("ALTER ROLE docsearch PASSWORD 'second'")
    assert store.counts().collections == 0, "a connection that is there stays"
    own_server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'docindexer'")
    with pytest.raises(StoreUnavailable, match="password authentication failed"):
        store.counts()
    own_server.password_file.write_text("second\n")
    assert store.create_collection("after the rotation").id > 0
    own_server.password_file.rename(own_server.password_file.with_suffix(".away"))
    other = own_server.store("public", wait_ms=20_000)  # a failure is told at once, not after that
    with pytest.raises(StoreUnavailable, match=r"the password of the database cannot be read: .*No such file"):
        other.open()
    own_server.password_file.with_suffix(".away").rename(own_server.password_file)
    other.open()
    other.close()


def test_a_statement_that_takes_too_long_is_given_up(own_server: Postgres, store: PostgresStore) -> None:
    store.open()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as raised, store.connections.read() as connection:
        connection.execute("SELECT pg_sleep(30)")
    assert raised.value.code == "store_slow"
    assert time.monotonic() - began < WAIT + 1
    left = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'"
    assert own_server.execute(left) == [(0,)], "the server has given it up too"
