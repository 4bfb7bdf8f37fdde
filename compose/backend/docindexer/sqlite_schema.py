"""The SQLite schema, its versions and the settings of each connection (https://sqlite.org/pragma.html)."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from docindexer.store import StoreUnavailable

APPLICATION_ID = 0x646F6373  # "docs": tells our file from anybody else's
LOG_BYTES = 4 * 1024 * 1024  # what the log is cut to after it grew for a large batch; SQLite itself never shrinks it

# One entry a version; entries are only ever added. The index has its own copy of the text because that copy differs
# from the document (matching.indexed_text) and must be replaceable when the tokenizer changes.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE collections (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            created_at TEXT NOT NULL
        ) STRICT""",
        """CREATE TABLE documents (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            collection_id INTEGER NOT NULL REFERENCES collections (id),
            created_at TEXT NOT NULL,
            title TEXT NOT NULL,
            text TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX documents_by_collection ON documents (collection_id)",
        """CREATE VIRTUAL TABLE documents_fts USING fts5 (
            title, text, prefix = '1 2',
            tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co Mc Mn'"
        )""",
        "CREATE TABLE write_probe (id INTEGER PRIMARY KEY CHECK (id = 1), written_at TEXT NOT NULL) STRICT",
        "INSERT INTO write_probe VALUES (1, '')",
    ),
)


def prepare(connection: sqlite3.Connection, path: Path, create: bool, busy_timeout_ms: int) -> None:
    """Set up a writing connection and bring the schema to the newest version.

    Raises StoreUnavailable when the file is another program's, newer than this one, or empty and `create` is false.
    """
    version = _check_owner(connection, path, create)
    if _enable_wal(connection, busy_timeout_ms / 1000) != "wal":
        raise StoreUnavailable("store_unopenable", f"{path}: its file system does not support SQLite's WAL mode")
    connection.execute("PRAGMA synchronous = FULL")  # a commit returns after the log is on disk
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    if version < len(MIGRATIONS):
        _migrate(connection)
    # Opens the write-ahead log, so that the file exists from now on and can be told from another.
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def make_reader(connection: sqlite3.Connection) -> None:
    """Keep a connection from ever writing."""
    connection.execute("PRAGMA query_only = ON")


def set_busy_timeout(connection: sqlite3.Connection, milliseconds: int) -> None:
    """Set how long a connection waits for another process's lock."""
    connection.execute(f"PRAGMA busy_timeout = {int(milliseconds)}")


def fold_log(connection: sqlite3.Connection) -> None:
    """Move everything from the write-ahead log into the database file and empty the log."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _enable_wal(connection: sqlite3.Connection, timeout: float) -> str:
    """Return the journal mode; SQLite does not wait for the lock this change needs, so it is tried until then."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return mode


def _check_owner(connection: sqlite3.Connection, path: Path, create: bool) -> int:
    # In one transaction: another process may be creating the schema between two reads.
    connection.execute("BEGIN")
    try:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        owner: int = connection.execute("PRAGMA application_id").fetchone()[0]
        objects: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    finally:
        connection.rollback()
    if version == 0 and owner == 0 and objects == 0:
        if not create:
            raise StoreUnavailable("store_missing", f"{path} is empty: put the database back, or restart the service")
        return 0
    if owner != APPLICATION_ID:
        raise StoreUnavailable("store_foreign", f"{path} belongs to another program: choose another DATABASE_PATH")
    if version > len(MIGRATIONS):
        raise StoreUnavailable(
            "store_newer", f"{path} has schema {version}, this version knows {len(MIGRATIONS)}: use a newer doc-indexer"
        )
    return version


def _migrate(connection: sqlite3.Connection) -> None:
    """Apply what is missing, all or nothing; another process may be doing the same, so the version is read again."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.rollback()
