"""Searching in PostgreSQL: what matches, in which order, and what is shown of it.

The index finds the documents that have every token; where tokens must follow each other (a word with punctuation in
it, or in a script without spaces) or are longer than a lexeme may be, the folded text decides. The rank is BM25's
formula with ts_rank's count of a word, in which the n-th occurrence adds 1/n² (https://www.postgresql.org/docs/current/
textsearch-controls.html), and a usual length instead of the average, which no index knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from docindexer.folding import query_tokens, tokens
from docindexer.highlighting import Highlighter
from docindexer.store import Hit, NewDocument, Page

LEXEME_CHARACTERS = 255  # of a token; PostgreSQL takes 2046 bytes
MAX_VECTOR_BYTES = 1_000_000  # PostgreSQL takes 1 MB of lexemes and places
MAX_PLACES = 8  # of a lexeme: only their number counts, and the ninth would add 1 %
USUAL_LENGTH = 200.0  # tokens

_RANKED = """WITH words AS MATERIALIZED (
        SELECT query::tsquery, rarity FROM unnest(%(words)s::text[], %(rarity)s::float8[]) AS given (query, rarity)
    ), found AS (
        SELECT id, count(*) OVER () AS total, (
            SELECT sum(rarity * 2.2 * often / (often + 1.2 * (0.25 + 0.75 * documents.tokens / %(usual)s::float8)))
            FROM (
                -- ts_rank divides by the limit of its series. Five times: a word in the title (A) against the text (D).
                SELECT rarity, coalesce(5 * 1.64493406685 * ts_rank('{0.2, 0.2, 0.2, 1.0}', lexemes, query), 1) AS often
                FROM words
            ) AS counted
        ) AS score
        FROM documents WHERE {matches}
        ORDER BY score DESC, id LIMIT %(limit)s OFFSET %(offset)s
    )
    SELECT total, documents.id, collection_id, name, title, score, text
    FROM found JOIN documents USING (id) JOIN collections ON collections.id = collection_id
    ORDER BY score DESC, id"""
_TOTAL = "SELECT count(*) FROM documents WHERE {matches}"
# Documents without lexemes are looked through: every word must be in the folded text.
_MATCHES = """(lexemes @@ %(all)s::tsquery OR (lexemes IS NULL AND
        NOT EXISTS (SELECT FROM unnest(%(every)s::text[]) AS word WHERE strpos(folded, word) = 0)))"""
_EXACTLY = " AND NOT EXISTS (SELECT FROM unnest(%(exact)s::text[]) AS word WHERE strpos(folded, word) = 0)"
_WITHIN = " AND collection_id = %(collection)s"
_RARITY = """SELECT ln(1 + everything.documents / (0.5 + (
        SELECT count(*) FROM documents WHERE lexemes @@ word::tsquery
    ))) FROM unnest(%(words)s::text[]) WITH ORDINALITY AS given (word, place),
        (SELECT count(*)::float8 AS documents FROM documents) AS everything ORDER BY place"""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What is stored beside a document for searching; no lexemes where they would be too large for PostgreSQL."""

    folded: str
    tokens: int
    lexemes: str | None


def indexed(document: NewDocument) -> Indexed:
    """Return what a document is searched by."""
    title, text = tokens(document.title), tokens(document.text)
    # The line break keeps a phrase from beginning in the title and ending in the text.
    folded = f" {' '.join(title)} \n {' '.join(text)} "
    return Indexed(folded, len(title) + len(text), _lexemes(title, text))


def _lexemes(title: Sequence[str], text: Sequence[str]) -> str | None:
    in_title, in_text = (Counter(token[:LEXEME_CHARACTERS] for token in part) for part in (title, text))
    parts: list[str] = []
    size = 0
    for token in in_title | in_text:
        titles = min(in_title[token], MAX_PLACES // 2)
        places = min(titles + in_text[token], MAX_PLACES)
        size += len(token.encode()) + 4 + 2 * places
        numbers = (f"{number}A" if number <= titles else str(number) for number in range(1, places + 1))
        parts.append(f"'{token}':{','.join(numbers)}")
    return " ".join(parts) if size < MAX_VECTOR_BYTES else None


def search(
    connection: psycopg.Connection[tuple[Any, ...]], query: str, collection_id: int | None, limit: int, offset: int
) -> Page[Hit]:
    """Find documents (a transaction is open, and the collection is known to exist)."""
    words = query_tokens(query)
    if not words:
        return Page(0, [])
    matches, values = _condition(words, collection_id)
    values |= {"words": [_query(word, " | ", at == len(words) - 1) for at, word in enumerate(words)]}
    values |= {"limit": limit, "offset": offset, "usual": USUAL_LENGTH, "rarity": [1.0]}
    if len(words) > 1:
        values["rarity"] = [row[0] for row in connection.execute(_RARITY, values)]
    highlighter = Highlighter(words)
    total, hits = 0, []
    with connection.cursor() as cursor:
        # One row after the other: a page of large texts must not be in memory as a whole.
        for row in cursor.stream(_RANKED.replace("{matches}", matches), values):
            total, number, collection, name, title, score, text = row
            hits.append(
                Hit(
                    id=number,
                    collection=collection,
                    collection_name=name,
                    title=title,
                    title_html=highlighter.title(title),
                    snippet=highlighter.snippet(text),
                    score=round(score, 6),
                )
            )
    if not hits and offset:
        counted = connection.execute(_TOTAL.replace("{matches}", matches), values).fetchone()
        total = counted[0] if counted else 0
    return Page(total, hits)


def _condition(words: Sequence[Sequence[str]], collection_id: int | None) -> tuple[str, dict[str, Any]]:
    every = [f" {' '.join(word)}{'' if at == len(words) - 1 else ' '}" for at, word in enumerate(words)]
    exact = [
        pattern for word, pattern in zip(words, every, strict=True) if len(word) > 1 or len(word[0]) > LEXEME_CHARACTERS
    ]
    everything = " & ".join(_query(word, " & ", at == len(words) - 1) for at, word in enumerate(words))
    values = {"all": everything, "every": every, "exact": exact, "collection": collection_id}
    matches = _MATCHES + (_EXACTLY if exact else "") + ("" if collection_id is None else _WITHIN)
    return matches, values


def _query(word: Sequence[str], operator: str, prefix: bool) -> str:
    # A token has letters, digits and marks only: nothing in it can end the quotes.
    lexemes = [f"'{token[:LEXEME_CHARACTERS]}'" for token in word]
    if prefix:
        lexemes[-1] += ":*"
    return operator.join(dict.fromkeys(lexemes))
