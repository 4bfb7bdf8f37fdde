"""The PostgreSQL schema and its versions; replicas that start at once agree by an advisory lock."""

from __future__ import annotations

from typing import Any

import psycopg

from docindexer.store import StoreUnavailable

Connection = psycopg.Connection[tuple[Any, ...]]

# Any number will do as long as nobody else in the same database takes it: "docs", as for the SQLite file.
LOCK = 0x646F6373

# One entry a version; entries are only ever added, and each must leave a schema that the version before can work with,
# because both run during a rolling update. `folded` is the text as tokens between blanks (folding.py), `lexemes` the
# words of it for the index. A document with too many different words for a tsvector (1 MB) has none and is looked
# through; the second index finds such documents.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE collections (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL UNIQUE,
            created_at timestamptz NOT NULL
        )""",
        """CREATE TABLE documents (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            collection_id bigint NOT NULL REFERENCES collections (id),
            created_at timestamptz NOT NULL,
            title text NOT NULL,
            text text NOT NULL,
            folded text COLLATE "C" NOT NULL,
            tokens integer NOT NULL,
            lexemes tsvector
        )""",
        "CREATE INDEX documents_by_collection ON documents (collection_id, id)",
        "CREATE INDEX documents_lexemes ON documents USING gin (lexemes)",
        "CREATE INDEX documents_without_lexemes ON documents (id) WHERE lexemes IS NULL",
        "CREATE TABLE write_probe (id integer PRIMARY KEY CHECK (id = 1), written_at timestamptz NOT NULL)",
        "INSERT INTO write_probe VALUES (1, now())",
    ),
)
_VERSION_TABLE = "docindexer_schema"


def prepare(connection: Connection) -> None:
    """Bring the schema to the newest version (a transaction is open, and its commit is the caller's).

    Raises StoreUnavailable when the tables are another program's or newer than this one, or the text is not UTF-8.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreUnavailable("store_foreign", f"the database is encoded in {encoding}: create one with UTF8")
    if _version(connection) == len(MIGRATIONS):
        return
    # Held to the end of the transaction. Who waited here finds the work done and reads the version again.
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise StoreUnavailable(
            "store_newer", f"the schema is version {version}, this is for {len(MIGRATIONS)}: use a newer doc-indexer"
        )
    connection.execute(f"CREATE TABLE IF NOT EXISTS {_VERSION_TABLE} (version integer NOT NULL)")
    try:
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
    except psycopg.errors.DuplicateTable as error:
        reason = "the database has tables of another program: give this one a database or a schema of its own"
        raise StoreUnavailable("store_foreign", reason) from error
    if version < len(MIGRATIONS):
        connection.execute(f"DELETE FROM {_VERSION_TABLE}")
        connection.execute(f"INSERT INTO {_VERSION_TABLE} VALUES (%s)", (len(MIGRATIONS),))


def _version(connection: Connection) -> int:
    # Looked up first: asking a table that is not there would end the transaction. Not by to_regclass, which may answer
    # from a cache that is older than the lock.
    looked_up = "SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename = %s"
    if connection.execute(looked_up, (_VERSION_TABLE,)).fetchone() is None:
        return 0
    row = connection.execute(f"SELECT version FROM {_VERSION_TABLE}").fetchone()
    return 0 if row is None else int(row[0])
