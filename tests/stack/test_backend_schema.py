"""The SQLite file's first creation, its version and its settings."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from docindexer.sqlite_schema import MIGRATIONS
from docindexer.sqlite_store import SqliteStore
from docindexer.store import StoreUnavailable


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "docs.db")
    store.open()
    store.close()
    connection = sqlite3.connect(tmp_path / "docs.db")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreUnavailable, match="use a newer doc-indexer"):
        store.open()
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1
    connection.close()


def test_processes_that_create_the_database_at_once_agree(tmp_path: Path) -> None:
    for number in range(15):
        (tmp_path / str(number)).mkdir()
        create_at_once(tmp_path / str(number) / "docs.db")


def create_at_once(path: Path) -> None:
    stores = [SqliteStore(path) for _ in range(8)]
    together = threading.Barrier(len(stores))
    errors: list[BaseException] = []

    def create_one(store: SqliteStore) -> None:
        together.wait(30)
        try:
            store.create_collection(f"c{id(store)}")
        except StoreUnavailable as error:
            errors.append(error)

    threads = [threading.Thread(target=create_one, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert stores[0].counts().collections == 8
    for store in stores:
        store.close()


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "docs.db")
    store.open()
    opened = store._file._opened
    assert opened is not None
    assert opened.writer.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: https://sqlite.org/pragma.html
    assert opened.writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["docs.db"], "a clean end leaves one whole file"
