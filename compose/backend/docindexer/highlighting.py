"""Where the words of a query are in a document, shown as SQLite's highlight() and snippet() show it.

Places are found in a folded copy of the text that has one character for each of the text's, accents excepted.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from docindexer.folding import folded_character
from docindexer.matching import MARK_END, MARK_START, SNIPPET_TOKENS, UNSPACED, highlighted_html

# The window is looked for with so many words at most: a query may have hundreds, a text millions of characters.
WINDOW_WORDS = 16
WINDOW_CHARACTERS = 250
LEAD_TOKENS = 8  # in front of the first match
LEAD_CHARACTERS = 60

_UNSPACED_SET = UNSPACED.pattern[1:-1]
_TOKEN = re.compile(f"{UNSPACED.pattern}|[^ {_UNSPACED_SET}]+")

Span = tuple[int, int]


class Highlighter:
    """Shows the words of one query, given as their tokens; the last one is the beginning of a word."""

    def __init__(self, words: Sequence[Sequence[str]]) -> None:
        self._patterns = [_pattern(word, prefix=at == len(words) - 1) for at, word in enumerate(words)]

    def title(self, title: str) -> str:
        """Return the whole title as HTML with its matches marked."""
        text = _Folded(title)
        return highlighted_html(text.marked(0, len(text.folded), self._patterns))

    def snippet(self, text: str) -> str:
        """Return the part of a text that has most of the words as HTML, or its beginning where it has none."""
        found = _Folded(text)
        start = _lead(found.folded, self._window(found.folded))
        last = end = start
        for count, token in enumerate(_TOKEN.finditer(found.folded, start)):
            if count == SNIPPET_TOKENS:
                end = last
                break
            last = token.end()
        else:
            end = len(found.folded)
        part = found.marked(start, end, self._patterns)
        return highlighted_html(("…" if start else "") + part + ("…" if end < len(found.folded) else ""))

    def _window(self, folded: str) -> int:
        patterns = self._patterns[:WINDOW_WORDS]
        firsts = [match.start() for pattern in patterns if (match := pattern.search(folded))]
        best, most = 0, 0
        for start in sorted(firsts):
            end = start + WINDOW_CHARACTERS
            words = sum(pattern.search(folded, start, end) is not None for pattern in patterns)
            if words > most:
                best, most = start, words
        return best


class _Folded:
    """A text and its folded copy, with the way back from a place in the copy."""

    def __init__(self, text: str) -> None:
        # Noncharacters that could be taken for marks, as matching.indexed_text() does it.
        self.text = text.replace(MARK_START, " ").replace(MARK_END, " ")
        table = {ord(character): folded_character(character) for character in set(self.text)}
        self.folded = self.text.translate(table)
        # How many accents were dropped before a place in the copy.
        self._dropped: list[int] = []
        if len(self.folded) < len(self.text):
            places = (at for at, character in enumerate(self.text) if not table[ord(character)])
            self._dropped = [at - count for count, at in enumerate(places)]

    def marked(self, start: int, end: int, patterns: Iterable[re.Pattern[str]]) -> str:
        """Return a part of the text, given by places in the copy, with marks around the matches in it."""
        spans = sorted(match.span() for pattern in patterns for match in pattern.finditer(self.folded, start, end))
        parts: list[str] = []
        at = self._start(start)
        for first, last in _merged(spans):
            begin, stop = self._start(first), self._end(last)
            parts += (self.text[at:begin], MARK_START, self.text[begin:stop], MARK_END)
            at = stop
        return "".join((*parts, self.text[at : self._end(end)]))

    def _start(self, place: int) -> int:
        # An accent at the place itself belongs to the character before.
        return place + bisect_right(self._dropped, place) if place else 0

    def _end(self, place: int) -> int:
        return place + bisect_right(self._dropped, place)


def _pattern(word: Sequence[str], prefix: bool) -> re.Pattern[str]:
    parts: list[str] = []
    for at, token in enumerate(word):
        alone = UNSPACED.match(token) is not None
        if at:
            parts.append(" *" if alone or UNSPACED.match(word[at - 1]) else " +")
        if alone or at:
            parts.append(re.escape(token))
        else:
            # The look behind comes after the first letter: a pattern that begins with a letter is found much faster.
            first = re.escape(token[0])
            parts.append(f"{first}(?<![^ {_UNSPACED_SET}]{first}){re.escape(token[1:])}")
    if UNSPACED.match(word[-1]) is None:
        parts.append(f"[^ {_UNSPACED_SET}]*" if prefix else f"(?![^ {_UNSPACED_SET}])")
    return re.compile("".join(parts))


def _lead(folded: str, match: int) -> int:
    """Return where to begin for a match to be seen with what is in front of it, never inside a word."""
    low = max(match - LEAD_CHARACTERS, 0)
    starts = [token.start() for token in _TOKEN.finditer(folded, low, match)]
    if low == 0 and len(starts) <= LEAD_TOKENS:
        return 0
    if starts and starts[0] == low and low > 0 and folded[low - 1] != " ":
        starts.pop(0)
    return starts[-LEAD_TOKENS:][0] if starts else match


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
