"""The store on SQLite with FTS5: every query of the service is here."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from docindexer.matching import (
    MARK_END,
    MARK_START,
    SNIPPET_TOKENS,
    highlighted_html,
    indexed_text,
    match_expression,
)
from docindexer.sqlite_file import SqliteFile
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
    StoreUnavailable,
)

TITLE_WEIGHT = 5.0  # a word in the title counts five times as much as one in the text

# Deleting a collection of 20,000 documents takes about 5 s (measured). A write that has the lock and goes on shows a
# working store better than a probe that waits behind it; after this many seconds it is taken for stuck.
LONG_WRITE = 60.0

_COLLECTION = """SELECT id, name, (SELECT count(*) FROM documents WHERE collection_id = collections.id), created_at
    FROM collections"""
# One walk through the matches for the page and the total. Only the rows of the page meet the other tables, and only
# they get their marks: each would be done for every match.
_PAGE = """WITH matches (id, score) AS MATERIALIZED (
        SELECT documents_fts.rowid, bm25(documents_fts, :weight, 1.0) FROM documents_fts {within}
        WHERE documents_fts MATCH :match
    ), ranked (id, score) AS (SELECT id, score FROM matches ORDER BY 2, 1 LIMIT :limit OFFSET :offset)
    SELECT documents.id, documents.collection_id, collections.name, documents.title, ranked.score,
        (SELECT count(*) FROM matches)
    FROM ranked JOIN documents ON documents.id = ranked.id JOIN collections ON collections.id = documents.collection_id
    ORDER BY ranked.score, ranked.id"""
_TOTAL = "SELECT count(*) FROM documents_fts {within} WHERE documents_fts MATCH :match"
# CROSS JOIN fixes the order: the other way round, SQLite asks the index once for every document of the collection.
_WITHIN = "CROSS JOIN documents ON documents.id = documents_fts.rowid AND documents.collection_id = :collection"
_MARKED = f"""SELECT highlight(documents_fts, 0, '{MARK_START}', '{MARK_END}'),
        snippet(documents_fts, 1, '{MARK_START}', '{MARK_END}', '…', {SNIPPET_TOKENS})
    FROM documents_fts WHERE documents_fts MATCH ? AND rowid = ?"""


class SqliteStore:
    """Collections and documents in one SQLite file (implements store.Store)."""

    def __init__(self, path: Path, busy_timeout_ms: int = 5000, min_free_bytes: int = 0) -> None:
        self._file = SqliteFile(path, busy_timeout_ms)
        self._min_free_bytes = min_free_bytes

    def open(self) -> None:
        """See Store."""
        self._file.open()

    def close(self) -> None:
        """See Store."""
        self._file.close()

    def check(self, timeout: float) -> None:
        """See Store.

        A real commit: SQLite writes nothing to disk for a transaction that is rolled back. It may fit into the log's
        old space on a full disk, so the free space is asked for too.
        """
        try:
            with self._file.write(timeout_ms=int(timeout * 1000)) as connection:
                connection.execute("UPDATE write_probe SET written_at = ? WHERE id = 1", (_now(),))
        except StoreUnavailable as error:
            if error.code != "store_busy" or not self._file.is_writing(LONG_WRITE):
                raise
        volume = os.statvfs(self._file.path.parent)
        free = volume.f_bavail * volume.f_frsize
        if free < self._min_free_bytes:
            raise StoreUnavailable(
                "store_full", f"only {free} bytes are free beside {self._file.path}, {self._min_free_bytes} are wanted"
            )

    def create_collection(self, name: str) -> Collection:
        """See Store."""
        created_at = _now()
        with self._file.write() as connection:
            cursor = connection.execute(
                "INSERT INTO collections (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING RETURNING id",
                (name, created_at),
            )
            row = cursor.fetchone()
            if row is None:
                raise NameTaken
        return Collection(id=row[0], name=name, documents=0, created_at=created_at)

    def collections(self, limit: int, offset: int) -> Page[Collection]:
        """See Store."""
        with self._file.read() as connection:
            total: int = connection.execute("SELECT count(*) FROM collections").fetchone()[0]
            rows = connection.execute(f"{_COLLECTION} ORDER BY id LIMIT ? OFFSET ?", (limit, offset)).fetchall()
        return Page(total, [Collection(*row) for row in rows])

    def collection(self, collection_id: int) -> Collection:
        """See Store."""
        with self._file.read() as connection:
            row = connection.execute(f"{_COLLECTION} WHERE id = ?", (collection_id,)).fetchone()
        if row is None:
            raise CollectionNotFound
        return Collection(*row)

    def delete_collection(self, collection_id: int) -> None:
        """See Store."""
        with self._file.write() as connection:
            _require_collection(connection, collection_id)
            connection.execute(
                "DELETE FROM documents_fts WHERE rowid IN (SELECT id FROM documents WHERE collection_id = ?)",
                (collection_id,),
            )
            connection.execute("DELETE FROM documents WHERE collection_id = ?", (collection_id,))
            connection.execute("DELETE FROM collections WHERE id = ?", (collection_id,))

    def add_documents(self, collection_id: int, documents: Sequence[NewDocument]) -> list[int]:
        """See Store."""
        created_at = _now()
        # The index's copies are made before the write lock is taken.
        indexed = [(indexed_text(document.title), indexed_text(document.text)) for document in documents]
        with self._file.write() as connection:
            _require_collection(connection, collection_id)
            cursor = connection.cursor()
            ids: list[int] = []
            for document in documents:
                cursor.execute(
                    "INSERT INTO documents (collection_id, created_at, title, text) VALUES (?, ?, ?, ?)",
                    (collection_id, created_at, document.title, document.text),
                )
                ids.append(cursor.lastrowid or 0)
            cursor.executemany(
                "INSERT INTO documents_fts (rowid, title, text) VALUES (?, ?, ?)",
                ((rowid, title, text) for rowid, (title, text) in zip(ids, indexed, strict=True)),
            )
        return ids

    def documents(self, collection_id: int, limit: int, offset: int) -> Page[DocumentSummary]:
        """See Store."""
        with self._file.read() as connection:
            _require_collection(connection, collection_id)
            total: int = connection.execute(
                "SELECT count(*) FROM documents WHERE collection_id = ?", (collection_id,)
            ).fetchone()[0]
            rows = connection.execute(
                """SELECT id, collection_id, title, created_at FROM documents
                WHERE collection_id = ? ORDER BY id DESC LIMIT ? OFFSET ?""",
                (collection_id, limit, offset),
            ).fetchall()
        return Page(total, [DocumentSummary(*row) for row in rows])

    def document(self, collection_id: int, document_id: int) -> Document:
        """See Store."""
        with self._file.read() as connection:
            _require_collection(connection, collection_id)
            row = connection.execute(
                """SELECT id, collection_id, title, created_at, text FROM documents
                WHERE id = ? AND collection_id = ?""",
                (document_id, collection_id),
            ).fetchone()
        if row is None:
            raise DocumentNotFound
        return Document(*row)

    def delete_document(self, collection_id: int, document_id: int) -> None:
        """See Store."""
        with self._file.write() as connection:
            _require_collection(connection, collection_id)
            deleted = connection.execute(
                "DELETE FROM documents WHERE id = ? AND collection_id = ?", (document_id, collection_id)
            ).rowcount
            if not deleted:
                raise DocumentNotFound
            connection.execute("DELETE FROM documents_fts WHERE rowid = ?", (document_id,))

    def search(self, query: str, collection_id: int | None, limit: int, offset: int) -> Page[Hit]:
        """See Store."""
        match = match_expression(query)
        within = "" if collection_id is None else _WITHIN
        values = {"match": match, "collection": collection_id, "limit": limit, "offset": offset, "weight": TITLE_WEIGHT}
        with self._file.read() as connection:
            if collection_id is not None:
                _require_collection(connection, collection_id)
            if match is None:
                return Page(0, [])
            rows = connection.execute(_PAGE.format(within=within), values).fetchall()
            if rows:
                total = rows[0][5]
            else:  # no match, or a page behind the last one
                total = connection.execute(_TOTAL.format(within=within), values).fetchone()[0] if offset else 0
            hits = [_hit(connection, match, row) for row in rows]
        return Page(total, hits)

    def counts(self) -> Counts:
        """See Store."""
        with self._file.read() as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM collections), (SELECT count(*) FROM documents)"
            ).fetchone()
        return Counts(*row)


def _hit(connection: sqlite3.Connection, match: str, row: tuple[int, int, str, str, float, int]) -> Hit:
    title, snippet = connection.execute(_MARKED, (match, row[0])).fetchone()
    return Hit(
        id=row[0],
        collection=row[1],
        collection_name=row[2],
        title=row[3],
        title_html=highlighted_html(title),
        snippet=highlighted_html(snippet),
        score=round(-row[4], 6),  # bm25() is better the smaller it is
    )


def _require_collection(connection: sqlite3.Connection, collection_id: int) -> None:
    if connection.execute("SELECT 1 FROM collections WHERE id = ?", (collection_id,)).fetchone() is None:
        raise CollectionNotFound


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
