"""Connections to PostgreSQL: lent from psycopg's pool inside a transaction, every wait bounded, every loss named.

Three limits, so that nothing hangs: how long a connection is waited for, the server's own limits on statements and
locks, and a watch over the whole transaction (postgres_limit.py).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from docindexer.postgres_conninfo import Address
from docindexer.postgres_errors import first_line, is_lost, translated
from docindexer.postgres_limit import Limit, bounded
from docindexer.store import StoreUnavailable

log = logging.getLogger("docindexer.store")

POLL = 0.1  # seconds: how soon a request that waits for a connection hears that none can be made
SILENCE = 1.0  # seconds that the server gets to give up what it is told to, before its connection is cut
LIFETIME = 1800.0  # seconds after which a connection is replaced, so that a moved database is noticed at last

_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Whatever the role's or the server's setting is, a commit waits for the disk, and for a synchronous standby if there
# is one; a stricter setting (remote_apply) stays.
_BEGIN_WRITE = """BEGIN; SELECT set_config('synchronous_commit', 'on', true)
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"""


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why the last attempt to connect failed, and when (time.monotonic)."""

    at: float
    reason: StoreUnavailable


@dataclass(slots=True)
class _Login:
    """How the pool's connections are made."""

    address: Address
    lock_ms: int
    statement_ms: int
    failure: _Failure | None = None

    def fail(self, reason: StoreUnavailable) -> None:
        """Remember why; whoever waits for a connection is told."""
        self.failure = _Failure(time.monotonic(), reason)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that keeps the server's warnings."""

    warnings: list[str]

    @classmethod
    def connect(cls, conninfo: str = "", *, login: _Login, **kwargs: Any) -> Connection:  # type: ignore[override]  # made by our pool alone
        """Log in with the password of this moment."""
        try:
            parameters = login.address.parameters(login.lock_ms, login.statement_ms)
            made = super().connect(conninfo, autocommit=True, prepare_threshold=None, **parameters)
        except OSError as error:
            login.fail(StoreUnavailable("store_denied", f"the password of the database cannot be read: {error}"))
            raise psycopg.OperationalError(str(error)) from error
        except psycopg.Error as error:
            login.fail(translated(error) or StoreUnavailable("store_error", first_line(error)))
            raise
        made.warnings = []
        made.add_notice_handler(made.keep_warning)
        return made

    def keep_warning(self, notice: psycopg.errors.Diagnostic) -> None:
        """Take a notice of the server."""
        if notice.severity_nonlocalized == "WARNING":
            self.warnings.append(notice.message_primary or "")


class PostgresConnections:
    """The pool of one service; all methods are safe to call from any thread."""

    def __init__(self, address: Address, size: int, wait_ms: int, timeout_ms: int) -> None:
        self._wait = wait_ms / 1000
        self._timeout = timeout_ms / 1000
        self._login = _Login(address, wait_ms, timeout_ms)
        self._lent = 0
        self._lock = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None
        self._size = size

    def open(self) -> None:
        """Start the pool; connects in the background."""
        with self._lock:
            if self._pool is None:
                self._pool = ConnectionPool(
                    connection_class=Connection, kwargs={"login": self._login}, open=True,
                    min_size=1, max_size=self._size, max_lifetime=LIFETIME, name="store",
                    # A request that comes later tries again; the pool's own waits between attempts grow to minutes.
                    reconnect_timeout=0.5,
                )  # fmt: skip

    def close(self) -> None:
        """Close every connection; open() may be called again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(timeout=self._wait)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection in a read-only transaction: everything read in it is of one moment."""
        with self._transaction(_BEGIN_READ, Limit(self._timeout, SILENCE)) as connection:
            yield connection

    @contextmanager
    def write(self, timeout: float | None = None) -> Iterator[Connection]:
        """Lend a connection in a transaction that is durable at the end; `timeout` in seconds bounds all of it."""
        limit = Limit(self._timeout, SILENCE) if timeout is None else Limit(timeout * 0.75, timeout * 0.25)
        with self._transaction(_BEGIN_WRITE, limit) as connection:
            yield connection
            _commit(connection)

    @contextmanager
    def _transaction(self, begin: str, limit: Limit) -> Iterator[Connection]:
        connection = self._begun(begin, min(self._wait, limit.seconds), limit)
        try:
            with bounded(connection, limit):
                try:
                    yield connection
                finally:
                    if not is_lost(connection) and connection.info.transaction_status.name != "IDLE":
                        connection.execute("ROLLBACK")
        except psycopg.Error as error:
            if (unavailable := translated(error)) is None:
                raise
            log.error("store failed", extra={"code": unavailable.code, "reason": unavailable.reason})
            if unavailable.code == "store_read_only":
                self._renew()
            raise unavailable from error
        finally:
            self._give_back(connection)

    def _begun(self, begin: str, wait: float, limit: Limit) -> Connection:
        """Return a connection in a transaction; one that was lost while it was idle is replaced by the next."""
        deadline = time.monotonic() + wait
        while True:
            connection = self._take(deadline)
            try:
                with bounded(connection, limit):
                    connection.execute(begin)
            except psycopg.Error as error:
                lost = is_lost(connection)
                self._give_back(connection)
                unavailable = translated(error)
                if unavailable is None:
                    raise
                if not lost or time.monotonic() > deadline:
                    raise unavailable from error
                log.info("an idle connection was lost", extra={"reason": first_line(error)})
            except BaseException:
                self._give_back(connection)
                raise
            else:
                return connection

    def _take(self, deadline: float) -> Connection:
        self.open()
        pool, since = self._pool, time.monotonic()
        if pool is None:
            raise StoreUnavailable("store_closed", "the service is being stopped")
        while True:
            left = deadline - time.monotonic()
            try:
                connection = pool.getconn(timeout=min(POLL, left))
            except PoolTimeout:
                failure = self._login.failure
                failed = failure is not None and failure.at >= since
                if failure is not None and failed and (self._lent == 0 or left <= POLL):
                    raise StoreUnavailable(failure.reason.code, failure.reason.reason) from failure.reason
                if left > POLL:
                    continue
                if self._lent == 0:
                    raise StoreUnavailable("store_unreachable", "the database does not answer") from None
                raise StoreUnavailable("store_busy", f"all {self._size} database connections are in use") from None
            with self._lock:
                self._lent += 1
            return connection

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            self._lent -= 1
            pool = self._pool
        if pool is None:
            connection.close()
        else:
            pool.putconn(connection)

    def _renew(self) -> None:
        """Replace every connection: the server behind them takes no writes, and another may by now."""
        if self._pool is not None:
            self._pool.drain()


def _commit(connection: Connection) -> None:
    """Commit; raises StoreUnavailable when it is not certain that the change is durable."""
    connection.warnings.clear()
    try:
        status = connection.execute("COMMIT").statusmessage
    except psycopg.Error as error:
        if is_lost(connection):
            raise _unknown(first_line(error)) from error
        raise  # the server lives and says no: nothing was committed
    # A wait for a synchronous standby that was given up is a warning only: the change is on this server's disk alone,
    # and a failover would lose it.
    if connection.warnings:
        raise _unknown(connection.warnings[0])
    if status != "COMMIT":
        raise StoreUnavailable("store_error", "the database rolled the change back")


def _unknown(reason: str) -> StoreUnavailable:
    log.error("commit with unknown outcome", extra={"reason": reason})
    return StoreUnavailable(
        "store_outcome_unknown", f"the change may be there or not: look for it before you send it again ({reason})"
    )
