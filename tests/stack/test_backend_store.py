"""The SQLite store when its file is hurt: /ready says why, nothing acknowledged is lost, and repair heals it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from _backend import api_client
from docindexer.settings import Settings
from docindexer.sqlite_file import SqliteFile
from docindexer.sqlite_store import SqliteStore
from docindexer.store import NewDocument, StoreUnavailable
from test_backend_api import add, create, titles

QUICK = Settings(ready_timeout_ms=500, busy_timeout_ms=100)


@dataclass
class Site:
    """A running application and its database file."""

    api: httpx.AsyncClient
    store: SqliteStore
    path: Path
    collection: int

    async def ready(self) -> tuple[int, str]:
        answer = await self.api.get("/ready")
        return answer.status_code, answer.json().get("code", "")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    folder = tmp_path / "data"
    folder.mkdir()
    store = SqliteStore(folder / "docs.db", busy_timeout_ms=QUICK.busy_timeout_ms)
    async with api_client(store, QUICK) as api:
        collection = await create(api, "c")
        await add(api, collection, ("kept", "needle"))
        yield Site(api, store, folder / "docs.db", collection)


def moved_away(path: Path) -> Iterator[None]:
    path.rename(path.with_suffix(".bak"))
    yield
    path.with_suffix(".bak").rename(path)


def deleted_and_restored_from_a_backup(path: Path) -> Iterator[None]:
    backup = path.with_suffix(".bak")
    with sqlite3.connect(path) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    connection.close()
    connection = sqlite3.connect(backup)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    path.unlink()
    yield
    shutil.copy(backup, path)


def deleted_with_its_log_and_restored(path: Path) -> Iterator[None]:
    steps = deleted_and_restored_from_a_backup(path)
    next(steps)
    for side_file in path.parent.glob("docs.db-*"):
        side_file.unlink()
    yield
    next(steps, None)


def replaced_by(make: Callable[[Path], object]) -> Callable[[Path], Iterator[None]]:
    def steps(path: Path) -> Iterator[None]:
        path.rename(path.with_suffix(".bak"))
        make(path)
        yield
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.with_suffix(".bak").rename(path)

    return steps


def foreign_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def locked(path: Path) -> Iterator[None]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.close()


def folder_moved_away(path: Path) -> Iterator[None]:
    path.parent.rename(path.parent.with_suffix(".bak"))
    yield
    path.parent.with_suffix(".bak").rename(path.parent)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (moved_away, "store_missing"),
        (deleted_and_restored_from_a_backup, "store_missing"),
        (deleted_with_its_log_and_restored, "store_missing"),
        (folder_moved_away, "store_missing"),
        (replaced_by(Path.mkdir), "store_missing"),
        (replaced_by(Path.touch), "store_missing"),
        (replaced_by(lambda path: path.write_bytes(b"not a database " * 1000)), "store_damaged"),
        (replaced_by(foreign_database), "store_foreign"),
        (replaced_by(lambda path: path.symlink_to(path)), "store_unopenable"),
        (locked, "store_locked"),
    ],
)
async def test_a_fault_is_named_and_its_repair_noticed(
    site: Site, fault: Callable[[Path], Iterator[None]], code: str
) -> None:
    assert await site.ready() == (200, "")
    steps = fault(site.path)
    next(steps)
    for _ in range(2):
        assert await site.ready() == (503, code)
        refused = await site.api.post(
            f"/api/collections/{site.collection}/documents", json={"title": "refused", "text": "needle"}
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, code)
        assert refused.headers["retry-after"] == "1"
        assert (await site.api.get("/health")).status_code == 200
    next(steps, None)
    assert await site.ready() == (200, "")
    await add(site.api, site.collection, ("after", "needle"))
    assert await titles(site.api, q="needle") == ["kept", "after"]
    await assert_whole(site.path)


async def assert_whole(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.execute("INSERT INTO documents_fts (documents_fts, rank) VALUES ('integrity-check', 1)")
    connection.close()


async def test_reading_goes_on_while_another_process_writes(site: Site) -> None:
    steps = locked(site.path)
    next(steps)
    assert await titles(site.api, q="needle") == ["kept"]
    next(steps, None)


async def test_a_vanished_database_is_not_replaced_by_an_empty_one(site: Site) -> None:
    for file in site.path.parent.iterdir():
        file.unlink()
    for _ in range(3):
        assert (await site.api.get("/api/collections")).status_code == 503
        assert await site.ready() == (503, "store_missing")
    assert not site.path.exists()


async def test_a_restored_backup_is_not_mixed_with_the_old_log(site: Site) -> None:
    """Pages of the old file's log, applied to another file, would destroy it."""
    steps = deleted_and_restored_from_a_backup(site.path)
    next(steps)
    next(steps, None)
    await add(site.api, site.collection, *[(f"t{number}", "needle " * 500) for number in range(50)])
    await assert_whole(site.path)
    assert (await site.api.get("/api/search", params={"q": "needle"})).json()["total"] == 51


async def test_a_database_that_may_not_be_written_is_named_and_its_repair_noticed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite opens a file that it may not write for reading only. To root all is allowed, so here it is told to."""

    def connect_read_only(self: SqliteFile, create: bool) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)

    steps = deleted_and_restored_from_a_backup(site.path)
    next(steps)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteFile, "_connect", connect_read_only)
        next(steps, None)
        for _ in range(2):
            assert await site.ready() == (503, "store_read_only")
    assert await site.ready() == (200, "")
    assert await titles(site.api, q="needle") == ["kept"]


async def test_little_free_space_is_not_ready(tmp_path: Path) -> None:
    async with api_client(SqliteStore(tmp_path / "docs.db", min_free_bytes=2**60), QUICK) as api:
        answer = await api.get("/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_full")
        await create(api, "still possible")


async def test_a_full_database_refuses_and_recovers(site: Site) -> None:
    opened = site.store._file._opened
    assert opened is not None
    (pages,) = opened.writer.execute("PRAGMA page_count").fetchone()
    opened.writer.execute(f"PRAGMA max_page_count = {pages}")  # SQLite answers as it does for a full disk
    body = [{"title": f"t{number}", "text": "word " * 1000} for number in range(20)]
    path = f"/api/collections/{site.collection}/documents"
    refused = await site.api.post(path, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_full")
    assert (await site.api.get(path)).json()["total"] == 1
    opened.writer.execute("PRAGMA max_page_count = 1000000")
    assert (await site.api.post(path, json=body)).status_code == 201
    await assert_whole(site.path)


class HangingStore(SqliteStore):
    """A store on a disk that does not answer."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.answers = threading.Event()
        self.checks = 0

    def check(self, timeout: float) -> None:
        self.checks += 1
        assert self.answers.wait(30)


async def test_ready_answers_in_time_when_the_disk_does_not(tmp_path: Path) -> None:
    store = HangingStore(tmp_path / "docs.db")
    async with api_client(store, Settings(ready_timeout_ms=1500)) as api:
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*[api.get("/ready") for _ in range(20)], api.get("/ready"))
        assert asyncio.get_running_loop().time() - started < 20, "one after another, they would take 31 s"
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "store_silent")}
        assert store.checks == 1
        store.answers.set()
        while (await api.get("/ready")).status_code != 200:
            assert asyncio.get_running_loop().time() - started < 60


class SlowDocuments(list[NewDocument]):
    """Documents that take their time while they are written: the second time they are gone through."""

    def __init__(self) -> None:
        super().__init__([NewDocument("slow", "needle")])
        self.writing, self.go_on = threading.Event(), threading.Event()
        self.rounds = 0

    def __iter__(self) -> Iterator[NewDocument]:
        self.rounds += 1
        if self.rounds == 2:
            self.writing.set()
            assert self.go_on.wait(30)
        return super().__iter__()


async def test_a_long_write_of_its_own_does_not_make_it_unready(site: Site) -> None:
    documents = SlowDocuments()
    writing = asyncio.create_task(asyncio.to_thread(site.store.add_documents, site.collection, documents))
    assert await asyncio.to_thread(documents.writing.wait, 10)
    assert await site.ready() == (200, "")
    assert await titles(site.api, q="needle") == ["kept"], "readers do not wait for the writer"
    documents.go_on.set()
    await writing
    assert await titles(site.api, q="needle") == ["kept", "slow"]


async def test_a_write_into_a_file_that_is_gone_is_not_acknowledged(site: Site) -> None:
    documents = SlowDocuments()
    writing = asyncio.create_task(asyncio.to_thread(site.store.add_documents, site.collection, documents))
    assert await asyncio.to_thread(documents.writing.wait, 10)
    shutil.copy(site.path, site.path.with_suffix(".new"))
    site.path.with_suffix(".new").rename(site.path)
    documents.go_on.set()
    with pytest.raises(StoreUnavailable, match="was replaced during the write"):
        await writing


async def test_health_never_touches_the_store(tmp_path: Path) -> None:
    class AliveOnly(SqliteStore):
        def open(self) -> None:
            raise StoreUnavailable("store_missing", "not there at start")

        def check(self, timeout: float) -> None:
            pytest.fail("/health asked the store")

    async with api_client(AliveOnly(tmp_path / "docs.db"), QUICK) as api:
        assert (await api.get("/health")).json()["status"] == "ok"
    assert not (tmp_path / "docs.db").exists()
