"""Tokens without SQLite: the same words as its unicode61 tokenizer finds in the text that matching.py prepares for it.

A token is a run of letters, digits and marks, in lower case, Latin letters without their accents; a character of a
script without spaces is a token of its own (matching.UNSPACED).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from docindexer.matching import UNSPACED, query_words

_ACCENTS = range(0x0300, 0x0370)  # combining diacritical marks: dropped, so that a letter is found with and without


def tokens(text: str) -> list[str]:
    """Return the tokens of a text in order."""
    return text.translate({ord(character): _spaced(character) for character in set(text)}).split()


def query_tokens(query: str) -> list[list[str]]:
    """Return the words of a query, each as the tokens that must follow each other; the last is a prefix."""
    return [found for word in query_words(query) if (found := tokens(word))]


@lru_cache(maxsize=4096)
def folded_character(character: str) -> str:
    """Return what a character is in a token: one character, none for an accent, a blank for what is in no token."""
    if ord(character) in _ACCENTS:
        return ""
    category = unicodedata.category(character)
    if category[0] not in "LN" and category not in ("Mc", "Mn"):
        return " "
    # Only where nothing but accents is added to a Latin letter, as unicode61 does it: й is no и with an ornament.
    plain = unicodedata.normalize("NFD", character)[0]
    lower = (plain if plain.isascii() else character).casefold()
    # A fold of several characters (ß to ss) would move every place after it.
    return lower if len(lower) == 1 else character.lower()[0]


@lru_cache(maxsize=4096)
def _spaced(character: str) -> str:
    folded = folded_character(character)
    return f" {folded} " if folded.strip() and UNSPACED.match(character) else folded
