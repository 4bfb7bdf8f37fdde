"""The store on PostgreSQL, which several processes may share."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg

from docindexer import postgres_schema, postgres_search
from docindexer.postgres_conninfo import Address
from docindexer.postgres_pool import Connection, PostgresConnections
from docindexer.store import (
    Collection,
    CollectionNotFound,
    Counts,
    Document,
    DocumentNotFound,
    DocumentSummary,
    Hit,
    NameTaken,
    NewDocument,
    Page,
)

_COLLECTION = """SELECT id, name, (SELECT count(*) FROM documents WHERE collection_id = collections.id), created_at
    FROM collections"""
# The lock lets others add documents too, and keeps the collection from being deleted meanwhile.
_KEEP_COLLECTION = "SELECT 1 FROM collections WHERE id = %s FOR KEY SHARE"


class PostgresStore:
    """Collections and documents in a PostgreSQL database (implements store.Store)."""

    def __init__(self, address: Address, pool_size: int = 8, wait_ms: int = 5000, timeout_ms: int = 10_000) -> None:
        self.connections = PostgresConnections(address, pool_size, wait_ms, timeout_ms)
        self._preparing = threading.Lock()
        self._prepared = False

    def open(self) -> None:
        """See Store; tables are created only until that worked once: tables that vanish later are reported."""
        self.connections.open()
        with self._preparing:
            if not self._prepared:
                with self.connections.write() as connection:
                    postgres_schema.prepare(connection)
                self._prepared = True

    def close(self) -> None:
        """See Store."""
        self.connections.close()

    def check(self, timeout: float) -> None:
        """See Store; a real commit, so that a lost synchronous standby or a full disk is seen."""
        if not self._prepared:
            self.open()
        with self.connections.write(timeout) as connection:
            connection.execute("UPDATE write_probe SET written_at = now() WHERE id = 1")

    def create_collection(self, name: str) -> Collection:
        """See Store."""
        created_at = _now()
        with self._write() as connection:
            row = connection.execute(
                "INSERT INTO collections (name, created_at) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING RETURNING id",
                (name, created_at),
            ).fetchone()
            if row is None:
                raise NameTaken
        return Collection(id=row[0], name=name, documents=0, created_at=_text(created_at))

    def collections(self, limit: int, offset: int) -> Page[Collection]:
        """See Store."""
        with self._read() as connection:
            total = _count(connection, "SELECT count(*) FROM collections")
            rows = connection.execute(f"{_COLLECTION} ORDER BY id LIMIT %s OFFSET %s", (limit, offset)).fetchall()
        return Page(total, [Collection(row[0], row[1], row[2], _text(row[3])) for row in rows])

    def collection(self, collection_id: int) -> Collection:
        """See Store."""
        with self._read() as connection:
            row = connection.execute(f"{_COLLECTION} WHERE id = %s", (collection_id,)).fetchone()
        if row is None:
            raise CollectionNotFound
        return Collection(row[0], row[1], row[2], _text(row[3]))

    def delete_collection(self, collection_id: int) -> None:
        """See Store."""
        with self._write() as connection:
            _require_collection(connection, collection_id, "SELECT 1 FROM collections WHERE id = %s FOR UPDATE")
            connection.execute("DELETE FROM documents WHERE collection_id = %s", (collection_id,))
            connection.execute("DELETE FROM collections WHERE id = %s", (collection_id,))

    def add_documents(self, collection_id: int, documents: Sequence[NewDocument]) -> list[int]:
        """See Store."""
        created_at = _now()
        # What is indexed is made before a connection is taken.
        rows = [
            (collection_id, created_at, document.title, document.text, found.folded, found.tokens, found.lexemes)
            for document in documents
            for found in (postgres_search.indexed(document),)
        ]
        ids: list[int] = []
        with self._write() as connection, connection.cursor() as cursor:
            _require_collection(connection, collection_id, _KEEP_COLLECTION)
            cursor.executemany(
                """INSERT INTO documents (collection_id, created_at, title, text, folded, tokens, lexemes)
                VALUES (%s, %s, %s, %s, %s, %s, %s::text::tsvector) RETURNING id""",
                rows,
                returning=True,
            )
            for result in cursor.results():
                ids += [row[0] for row in result]
        return ids

    def documents(self, collection_id: int, limit: int, offset: int) -> Page[DocumentSummary]:
        """See Store."""
        with self._read() as connection:
            _require_collection(connection, collection_id)
            total = _count(connection, "SELECT count(*) FROM documents WHERE collection_id = %s", collection_id)
            rows = connection.execute(
                """SELECT id, collection_id, title, created_at FROM documents
                WHERE collection_id = %s ORDER BY id DESC LIMIT %s OFFSET %s""",
                (collection_id, limit, offset),
            ).fetchall()
        return Page(total, [DocumentSummary(row[0], row[1], row[2], _text(row[3])) for row in rows])

    def document(self, collection_id: int, document_id: int) -> Document:
        """See Store."""
        with self._read() as connection:
            _require_collection(connection, collection_id)
            row = connection.execute(
                """SELECT id, collection_id, title, created_at, text FROM documents
                WHERE id = %s AND collection_id = %s""",
                (document_id, collection_id),
            ).fetchone()
        if row is None:
            raise DocumentNotFound
        return Document(row[0], row[1], row[2], _text(row[3]), row[4])

    def delete_document(self, collection_id: int, document_id: int) -> None:
        """See Store."""
        with self._write() as connection:
            _require_collection(connection, collection_id, _KEEP_COLLECTION)
            deleted = connection.execute(
                "DELETE FROM documents WHERE id = %s AND collection_id = %s", (document_id, collection_id)
            ).rowcount
            if not deleted:
                raise DocumentNotFound

    def search(self, query: str, collection_id: int | None, limit: int, offset: int) -> Page[Hit]:
        """See Store."""
        with self._read() as connection:
            if collection_id is not None:
                _require_collection(connection, collection_id)
            return postgres_search.search(connection, query, collection_id, limit, offset)

    def counts(self) -> Counts:
        """See Store."""
        with self._read() as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM collections), (SELECT count(*) FROM documents)"
            ).fetchone()
        return Counts(*row) if row else Counts(0, 0)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        if not self._prepared:
            self.open()
        with self.connections.read() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        if not self._prepared:
            self.open()
        with self.connections.write() as connection:
            yield connection


def _require_collection(
    connection: psycopg.Connection[tuple[object, ...]],
    collection_id: int,
    statement: str = "SELECT 1 FROM collections WHERE id = %s",
) -> None:
    if connection.execute(statement, (collection_id,)).fetchone() is None:
        raise CollectionNotFound


def _count(connection: Connection, statement: str, *values: int) -> int:
    row = connection.execute(statement, values).fetchone()
    return int(row[0]) if row else 0


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
