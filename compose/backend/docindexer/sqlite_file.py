"""One SQLite file on disk: its connections, its schema, and what becomes of it when the file is hurt.

One connection writes, a few read; in WAL mode readers are not blocked by the writer. Connections belong to a file,
not to a path, so before each use the file at the path is compared with the one that was opened: writing into a file
that somebody deleted or replaced would acknowledge documents nobody can find again.
"""

from __future__ import annotations

import itertools
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from urllib.parse import quote

from docindexer import sqlite_schema
from docindexer.store import StoreUnavailable

log = logging.getLogger("docindexer.store")

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_REASONS = {
    sqlite3.SQLITE_BUSY: ("store_locked", "the database is locked by another process"),
    sqlite3.SQLITE_LOCKED: ("store_locked", "the database is locked by another connection"),
    sqlite3.SQLITE_FULL: ("store_full", "the disk or volume of the database is full: free some space"),
    sqlite3.SQLITE_READONLY: ("store_read_only", "the database is read-only: check its volume and permissions"),
    sqlite3.SQLITE_PERM: ("store_read_only", "access to the database is denied: check its permissions"),
    sqlite3.SQLITE_CANTOPEN: ("store_unopenable", "the database cannot be opened: check its volume and permissions"),
    sqlite3.SQLITE_IOERR: ("store_io", "reading or writing the database failed: check its volume"),
    sqlite3.SQLITE_CORRUPT: ("store_damaged", "the database is damaged: restore it from a backup"),
    sqlite3.SQLITE_NOTADB: ("store_damaged", "the file is not an SQLite database: restore it from a backup"),
}

Identity = tuple[int, int, int | None]


@dataclass(frozen=True, slots=True)
class _Opened:
    """The file as it was opened; `generation` tells its readers from those of an earlier one."""

    writer: sqlite3.Connection
    identity: Identity
    generation: int


class SqliteFile:
    """The database file at `path`; all methods are safe to call from any thread.

    The file is created only until it was opened once: a file that vanishes later is reported, never replaced by an
    empty one.
    """

    def __init__(self, path: Path, busy_timeout_ms: int) -> None:
        self.path = path
        self._wal = path.with_name(path.name + "-wal")
        self._busy_timeout_ms = busy_timeout_ms
        self._write_lock = threading.Lock()
        self._opened_once = False
        self._opened: _Opened | None = None
        self._writing_since: float | None = None
        self._suspect = False  # an error was seen that the connections may not recover from
        self._generations = itertools.count()
        self._idle: queue.SimpleQueue[tuple[int, sqlite3.Connection]] = queue.SimpleQueue()

    def open(self) -> None:
        """Open the file, or find it open and unchanged; raises StoreUnavailable."""
        with self._translated():
            self._ensure_open()

    def close(self) -> None:
        """Close every idle connection; the last one folds the write-ahead log into the file."""
        with self._write_lock:
            self._retire()

    def is_writing(self, patience: float) -> bool:
        """Say whether a write holds the database's lock now and has held it for less than `patience` seconds."""
        since = self._writing_since
        return since is not None and time.monotonic() - since < patience

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection in a read transaction: everything read in it is of one moment."""
        with self._translated():
            opened = self._ensure_open()
            connection = self._borrow(opened)
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.rollback()
                self._give_back(opened.generation, connection)

    @contextmanager
    def write(self, timeout_ms: int | None = None) -> Iterator[sqlite3.Connection]:
        """Lend the one writing connection in a transaction that is committed to disk at the end.

        `timeout_ms` bounds the wait for this process's own writer and then for another process's lock.
        """
        wait_ms = self._busy_timeout_ms if timeout_ms is None else timeout_ms
        # Our own writers wait for each other as long as it takes, unless the caller set a limit.
        if not self._write_lock.acquire(timeout=-1 if timeout_ms is None else timeout_ms / 1000):
            raise StoreUnavailable("store_busy", f"an earlier write has not finished within {wait_ms} ms")
        try:
            with self._translated():
                opened = self._reopen_if_changed()
                writer = opened.writer
                sqlite_schema.set_busy_timeout(writer, wait_ms)
                writer.execute("BEGIN IMMEDIATE")
                self._writing_since = time.monotonic()
                try:
                    yield writer
                    writer.execute("COMMIT")
                finally:
                    self._writing_since = None
                    if writer.in_transaction:
                        writer.rollback()
                if self._seen() != opened.identity:
                    raise StoreUnavailable(
                        "store_replaced", f"{self.path} was replaced during the write: write it again"
                    )
        finally:
            self._write_lock.release()

    def _ensure_open(self) -> _Opened:
        opened = self._opened
        if opened is not None and self._is_current(opened):
            return opened
        if not self._write_lock.acquire(timeout=self._busy_timeout_ms / 1000):
            raise StoreUnavailable("store_busy", "the database is being opened by another request")
        try:
            return self._reopen_if_changed()
        finally:
            self._write_lock.release()

    def _is_current(self, opened: _Opened) -> bool:
        return self._seen() == opened.identity and not self._suspect

    def _reopen_if_changed(self) -> _Opened:
        """Return what is open of the file that is at the path now (the write lock is held)."""
        last = self._opened
        if last is not None and self._is_current(last):
            return last
        if last is not None:
            log.warning("database file changed or failed, opening it again", extra={"path": str(self.path)})
        self._retire()
        writer = self._connect(create=not self._opened_once)
        try:
            sqlite_schema.prepare(writer, self.path, not self._opened_once, self._busy_timeout_ms)
            self._opened = _Opened(writer, self._seen(), next(self._generations))
        except BaseException:
            writer.close()
            raise
        self._opened_once, self._suspect = True, False
        return self._opened

    def _retire(self) -> None:
        """Close the writer and the idle readers (the write lock is held).

        The log is folded in first: SQLite does not do it for a file that was moved, and a log left beside another
        file would be applied to that one.
        """
        last, self._opened = self._opened, None
        while True:
            try:
                self._idle.get_nowait()[1].close()
            except queue.Empty:
                break
        if last is None:
            return
        try:
            sqlite_schema.fold_log(last.writer)
        except sqlite3.Error as error:
            log.warning("the write-ahead log could not be folded in", extra={"error": str(error)})
        finally:
            last.writer.close()

    def _connect(self, create: bool) -> sqlite3.Connection:
        uri = f"file:{quote(str(self.path.absolute()))}?mode={'rwc' if create else 'rw'}"
        return sqlite3.connect(
            uri, uri=True, timeout=self._busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
        )

    def _borrow(self, opened: _Opened) -> sqlite3.Connection:
        while True:
            try:
                generation, connection = self._idle.get_nowait()
            except queue.Empty:
                connection = self._connect(create=False)
                sqlite_schema.make_reader(connection)
                return connection
            if generation == opened.generation:
                return connection
            connection.close()

    def _give_back(self, generation: int, connection: sqlite3.Connection) -> None:
        opened = self._opened
        if opened is not None and generation == opened.generation and not self._suspect:
            self._idle.put((generation, connection))
        else:
            connection.close()

    def _seen(self) -> Identity:
        """Say which files are at the path now: the database and its write-ahead log."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            hint = "put it back, or restart the service to begin with an empty one"
            raise StoreUnavailable("store_missing", f"{self.path} is missing: {hint}") from None
        except OSError as error:
            raise StoreUnavailable("store_unopenable", f"{self.path}: {error.strerror}") from error
        if not S_ISREG(found.st_mode):
            raise StoreUnavailable("store_missing", f"{self.path} is not a file: put the database back")
        try:
            log_inode = self._wal.stat().st_ino
        except FileNotFoundError:
            log_inode = None
        return found.st_dev, found.st_ino, log_inode

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn SQLite's errors into StoreUnavailable; after any but a lock or a full disk the file is opened anew."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            extended = getattr(error, "sqlite_errorcode", None)
            if extended is None:  # wrong use of the sqlite3 module: a defect, not a state of the store
                raise
            code = extended & 0xFF
            if code not in _BUSY and code != sqlite3.SQLITE_FULL:
                self._suspect = True
            kind, reason = _REASONS.get(code, ("store_error", "the database refused the operation"))
            log.error("store failed", extra={"code": kind, "sqlite": error.sqlite_errorname, "error": str(error)})
            raise StoreUnavailable(kind, f"{reason} ({self.path}: {error})") from error
