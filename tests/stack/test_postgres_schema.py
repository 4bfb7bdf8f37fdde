"""The PostgreSQL schema's first creation, its version, and how the database is named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from _postgres import Postgres
from docindexer.postgres_conninfo import Address
from docindexer.postgres_schema import MIGRATIONS
from docindexer.postgres_store import PostgresStore
from docindexer.store import StoreUnavailable

ROUNDS = 12
REPLICAS = 5


def test_replicas_that_start_at_once_on_an_empty_database_agree(postgres_server: Postgres) -> None:
    for _ in range(ROUNDS):
        create_at_once(postgres_server, postgres_server.new_schema())


def create_at_once(server: Postgres, schema: str) -> None:
    stores = [server.store(schema) for _ in range(REPLICAS)]
    together = threading.Barrier(REPLICAS)
    errors: list[BaseException] = []

    def start(store: PostgresStore) -> None:
        together.wait(30)
        try:
            store.open()
            store.create_collection(f"c{id(store)}")
        except StoreUnavailable as error:
            errors.append(error)

    threads = [threading.Thread(target=start, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    counted = stores[0].counts()
    for store in stores:
        store.close()
    assert not errors
    assert counted.collections == REPLICAS
    assert server.execute(f"SELECT version FROM {schema}.docindexer_schema") == [(len(MIGRATIONS),)]


@pytest.fixture
def schema(postgres_server: Postgres) -> str:
    return postgres_server.new_schema()


@pytest.fixture
def store(postgres_server: Postgres, schema: str) -> Iterator[PostgresStore]:
    made = postgres_server.store(schema)
    yield made
    made.close()


def test_a_newer_schema_is_refused_and_left_alone(postgres_server: Postgres, store: PostgresStore, schema: str) -> None:
    store.open()
    postgres_server.execute(f"UPDATE {schema}.docindexer_schema SET version = {len(MIGRATIONS) + 1}")
    older = postgres_server.store(schema)
    with pytest.raises(StoreUnavailable, match="use a newer doc-indexer"):
        older.open()
    older.close()
    assert postgres_server.execute(f"SELECT version FROM {schema}.docindexer_schema") == [(len(MIGRATIONS) + 1,)]


def test_tables_of_another_program_are_left_alone(postgres_server: Postgres, store: PostgresStore, schema: str) -> None:
    postgres_server.execute(f"CREATE TABLE {schema}.documents (theirs text)")
    with pytest.raises(StoreUnavailable) as raised:
        store.check(2)
    assert raised.value.code == "store_foreign"
    tables = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"
    assert postgres_server.execute(tables) == [("documents",)]


def test_tables_that_vanish_are_not_replaced_by_empty_ones(
    postgres_server: Postgres, store: PostgresStore, schema: str
) -> None:
    store.create_collection("lost")
    postgres_server.execute(f"DROP SCHEMA {schema} CASCADE")
    postgres_server.execute(f"CREATE SCHEMA {schema}")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="the tables are gone") as raised:
            store.collections(10, 0)
        assert raised.value.code == "store_missing"
        with pytest.raises(StoreUnavailable):
            store.check(2)


def test_a_database_in_another_encoding_is_refused(postgres_server: Postgres) -> None:
    postgres_server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    url = postgres_server.url().replace("/postgres?", "/latin?")
    latin = PostgresStore(Address(url, postgres_server.password_file))
    with pytest.raises(StoreUnavailable, match="the database is encoded in LATIN1"):
        latin.open()
    latin.close()


@pytest.mark.parametrize(
    ("wrong", "code", "reason"),
    [
        (("/postgres?", "/nothing?"), "store_unreachable", 'database "nothing" does not exist'),
        (("docsearch@", "nobody@"), "store_unreachable", 'password authentication failed for user "nobody"'),
        (("127.0.0.1:", "127.0.0.1:1,127.0.0.1:"), "", ""),
    ],
)
def test_a_login_that_fails_is_explained(
    postgres_server: Postgres, wrong: tuple[str, str], code: str, reason: str
) -> None:
    address = Address(postgres_server.url().replace(*wrong), postgres_server.password_file)
    store = PostgresStore(address, wait_ms=1000)
    if reason:
        with pytest.raises(StoreUnavailable, match=reason) as raised:
            store.open()
        assert raised.value.code == code
    else:
        store.open()  # one of the two answers
    store.close()


def test_a_commit_waits_for_the_disk_whatever_the_role_is_told(postgres_server: Postgres, store: PostgresStore) -> None:
    for setting, kept in (("off", "on"), ("local", "on"), ("on", "on"), ("remote_apply", "remote_apply")):
        postgres_server.execute(f"ALTER ROLE docsearch SET synchronous_commit = {setting}")
        fresh = postgres_server.store()
        with fresh.connections.write() as connection:
            row = connection.execute("SHOW synchronous_commit").fetchone()
        assert row == (kept,), setting
        fresh.close()
    postgres_server.execute("ALTER ROLE docsearch RESET synchronous_commit")


def parameters(url: str, password_file: Path | None = None) -> dict[str, str]:
    return Address(url, password_file).parameters(100, 200)


def test_the_url_wins_over_the_defaults_and_keeps_its_options() -> None:
    found = parameters("postgresql://u@h/d?options=-csearch_path%3Ds&connect_timeout=7&sslmode=verify-full")
    assert found["options"].endswith(" -csearch_path=s")
    assert "-c statement_timeout=200 -c lock_timeout=100 " in found["options"]
    assert (found["connect_timeout"], found["sslmode"], found["application_name"]) == ("7", "verify-full", "docindexer")
    assert "target_session_attrs" not in found
    assert parameters("postgresql://u@h1,h2/d")["target_session_attrs"] == "read-write"


def test_the_password_is_the_files_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(" pass word \r\n")
    assert parameters("postgresql://u@h/d", tmp_path / "password")["password"] == " pass word "


def test_a_password_is_never_shown() -> None:
    for url in ("postgresql://u:hunter2@h:x/d", "postgresql://u:hunter2@h/d?nonsense=1"):
        address = Address(url)
        assert address.problem() == "it must be like postgresql://user@host:5432/database"
        assert "hunter2" not in repr(address)
    assert "use one of them" in (Address("postgresql://u:p@h/d", Path("file")).problem() or "")
