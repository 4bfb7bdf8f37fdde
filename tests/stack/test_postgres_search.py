"""Searching in PostgreSQL gives what searching in SQLite gives, also where an index of PostgreSQL has its limits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from _postgres import Postgres
from docindexer.postgres_search import LEXEME_CHARACTERS, indexed
from docindexer.postgres_store import PostgresStore
from docindexer.sqlite_store import SqliteStore
from docindexer.store import NewDocument, Store
from test_backend_search import HOSTILE

LETTERS = "abcABÉßéñçøжщйДλάΣςαβ١٢٣日本한글กไ09"
# No emoji: SQLite's tokenizer takes a symbol younger than its tables for a word between two others.
BETWEEN = " -\"'*:()\n\u200b\ufdd0^&<\x1f_·"


@pytest.fixture
def store(postgres_server: Postgres) -> Iterator[PostgresStore]:
    made = postgres_server.store(postgres_server.new_schema())
    yield made
    made.close()


def found(store: Store, query: str) -> list[str]:
    page = store.search(query, None, 100, 0)
    assert page.total == len(page.items)
    return [hit.title for hit in page.items]


def test_both_stores_find_the_same(store: PostgresStore, tmp_path: Path) -> None:
    chance = random.Random(5)
    texts = [text for text in HOSTILE if "\0" not in text]
    texts += ["".join(chance.choices(LETTERS + BETWEEN, k=200)) for _ in range(40)]
    documents = [NewDocument(f"t{number}", text) for number, text in enumerate(texts)]
    queries = HOSTILE + [
        "".join(chance.choices(LETTERS + BETWEEN + "    ", k=chance.randint(1, 5))) for _ in range(150)
    ]
    other = SqliteStore(tmp_path / "docs.db")
    for each in (store, other):
        each.add_documents(each.create_collection("c").id, documents)
    different = [query for query in queries if set(found(store, query)) != set(found(other, query))]
    titles = [
        (query, ours.title_html, theirs.title_html)
        for query in ("t1", "T", "t2 t3", "t-1")
        for ours, theirs in zip(
            *(sorted(each.search(query, None, 100, 0).items, key=lambda hit: hit.id) for each in (store, other)),
            strict=True,
        )
        if ours.title_html != theirs.title_html
    ]
    other.close()
    assert different == []
    assert titles == []


def test_a_rare_word_counts_more_than_a_common_one(store: PostgresStore) -> None:
    collection = store.create_collection("c").id
    common = [NewDocument(f"common {number}", "about the harbour and the sea") for number in range(30)]
    store.add_documents(collection, [*common, NewDocument("much", "harbour harbour harbour quay")])
    store.add_documents(collection, [NewDocument("rare", "harbour quay quay quay")])
    assert found(store, "harbour quay") == ["rare", "much"]


def test_a_phrase_is_found_beyond_the_last_place_an_index_knows(store: PostgresStore) -> None:
    """PostgreSQL counts places to 16383 and keeps 256 of a word."""
    collection = store.create_collection("c").id
    long = "日本 本日 " * 20_000 + "e-mail 京都市 mail e"
    store.add_documents(collection, [NewDocument("long", long), NewDocument("other", "mail-e 都京市")])
    assert found(store, "京都") == ["long"]
    assert found(store, "e-mail") == ["long"]
    (hit,) = store.search("京都", None, 1, 0).items
    assert "<mark>京都</mark>市" in hit.snippet


def test_a_token_longer_than_a_lexeme_is_found_exactly(store: PostgresStore) -> None:
    collection = store.create_collection("c").id
    start = "x" * LEXEME_CHARACTERS
    store.add_documents(collection, [NewDocument("a", f"{start}aaa end"), NewDocument("b", f"{start}bbb end")])
    assert found(store, f"{start}bb") == ["b"]
    assert found(store, f"{start}aaa end") == ["a"]
    assert found(store, f"{start}aa end") == []


def test_a_document_with_too_many_different_words_for_a_lexeme_list_is_found_too(store: PostgresStore) -> None:
    collection = store.create_collection("c").id
    words = [f"word{number:x}" for number in range(120_000)]
    large = NewDocument("large", " ".join(words))
    assert indexed(large).lexemes is None
    store.add_documents(collection, [large, NewDocument("small", "word1 other")])
    assert found(store, "word1d4bf") == ["large"]
    assert found(store, "word1 word2") == ["large"]
    assert sorted(found(store, "wor")) == ["large", "small"]
    assert found(store, "ord1") == []
    (hit,) = store.search("word5555", None, 1, 0).items
    assert "<mark>word5555</mark>" in hit.snippet


def test_the_index_is_used(store: PostgresStore, postgres_server: Postgres) -> None:
    collection = store.create_collection("c").id
    for start in range(0, 3000, 1000):
        store.add_documents(
            collection, [NewDocument(f"t{at}", f"filler words number{at} " * 5) for at in range(start, start + 1000)]
        )
    with store.connections.write() as connection:
        connection.execute("ANALYZE documents")
    with store.connections.read() as connection:
        plan = connection.execute(
            "EXPLAIN SELECT id FROM documents WHERE (lexemes @@ '''number77'''::tsquery OR (lexemes IS NULL AND "
            "NOT EXISTS (SELECT FROM unnest(ARRAY['x']) AS word WHERE strpos(folded, word) = 0)))"
        ).fetchall()
    text = "\n".join(str(row[0]) for row in plan)
    assert "documents_lexemes" in text, text
    assert "Seq Scan on documents" not in text, text
    assert found(store, "number77") == ["t77", *[f"t{at}" for at in range(770, 780)]]
