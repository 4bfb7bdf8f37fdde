"""From what people type to a full-text query, and from a match to HTML that is safe to show.

Tokens are those of SQLite's unicode61 tokenizer, which splits at spaces and punctuation. Two things are done for it, by
invisible separators in the indexed copy of a text. A text in a script without spaces would be one long token: each such
character is one, so that a word is a phrase of them and is found anywhere. And the tokenizer knows Unicode 6.1 only and
takes every younger symbol for a letter (measured: "hello🙂" is one token): symbols are set apart.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape

SEPARATOR = "\u200b"  # ZERO WIDTH SPACE: unicode61 sees a separator, people see nothing
MARK_START = "\ufdd0"  # noncharacters: Unicode keeps them out of interchanged text,
MARK_END = "\ufdd1"  # and indexed_text() drops them, so they cannot come from a document

SNIPPET_TOKENS = 32
SNIPPET_CHARACTERS = 600  # a text without any space is one token: its snippet must be cut all the same
_LEAD_CHARACTERS = 120

UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3005-\u3007\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\uac00-\ud7a3"  # Hangul: spaced, but compounds and particles are written together
    "\uff66-\uff9f"  # half-width kana
    "\U00020000-\U0003ffff"  # Han, supplementary planes
    "]"
)


def indexed_text(text: str) -> str:
    """Return the copy of a document's text that goes into the index."""
    return _set_apart(text.replace(MARK_START, " ").replace(MARK_END, " "), symbol=None)


def _set_apart(text: str, symbol: str | None) -> str:
    """Put separators around characters as the module says; `symbol` replaces symbols where it is given."""
    if text.isascii():
        return text
    table: dict[int, str] = {}
    for character in set(text):
        if UNSPACED.match(character):
            table[ord(character)] = SEPARATOR + character + SEPARATOR
        elif not character.isascii() and unicodedata.category(character)[0] not in "LNM":
            table[ord(character)] = SEPARATOR + character + SEPARATOR if symbol is None else symbol
    return text.translate(table)


def match_expression(query: str) -> str | None:
    """Turn any text into an FTS5 expression: every word must occur, the last one may be the start of a word.

    Returns None when the text has no letter and no digit. Each word is an FTS5 string, in which only the quote is
    special and NUL ends the expression (https://sqlite.org/fts5.html#fts5_strings).
    """
    words = query_words(query)
    if not words:
        return None
    strings = ['"' + word.replace('"', '""') + '"' for word in words]
    return " ".join([*dict.fromkeys(strings[:-1]), strings[-1] + "*"])


def query_words(query: str) -> list[str]:
    """Return the words of a query that have a letter or a digit, each with whatever punctuation is in it."""
    return [word for word in _set_apart(query.replace("\0", " "), symbol=" ").split() if _has_token(word)]


def _has_token(word: str) -> bool:
    return any(unicodedata.category(character)[0] in "LN" for character in word)


def highlighted_html(marked: str, limit: int = SNIPPET_CHARACTERS) -> str:
    """Make HTML of indexed text with marks: escaped, marks as <mark>, at most `limit` characters of text."""
    text = _cut(marked.replace(SEPARATOR, ""), limit)
    return escape(text).replace(MARK_START, "<mark>").replace(MARK_END, "</mark>")


def _cut(marked: str, limit: int) -> str:
    """Cut marked text around its first mark, leaving no mark open."""
    if len(marked) <= limit:
        return marked
    first = max(marked.find(MARK_START), 0)
    start = max(first - _LEAD_CHARACTERS, 0)
    part = marked[start : start + limit]
    if part.count(MARK_START) > part.count(MARK_END):
        part += MARK_END
    return ("…" if start else "") + part + ("…" if start + limit < len(marked) else "")
