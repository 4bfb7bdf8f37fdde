"""Documents and queries from a seed: the same seed gives the same on every machine, and in every process of a run."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

WORDS = 6000  # different ones; a collection of office documents of this size has between 5 and 20 thousand
QUERIES = 500  # different ones that people type
# Zipf's law: the n-th most frequent word occurs with probability ~ 1/n^s. Words of texts: s = 1.0 (Zipf 1949);
# queries of a search page: s = 0.85 (Breslau et al. 1999 found 0.64 to 0.83 for requests, query logs a bit above).
WORD_SKEW = 1.0
QUERY_SKEW = 0.85
# Lengths of office documents are log-normal: half of these have more than 130 words, one in a hundred more than 1000.
MEDIAN_LENGTH, LENGTH_SPREAD, LONGEST = 130, 0.9, 4000
_ONSETS = ("b", "br", "d", "dr", "f", "g", "gr", "k", "l", "m", "n", "p", "pl", "r", "s", "st", "t", "tr", "v", "w")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")
_CODAS = ("", "", "l", "n", "r", "s", "t", "m", "nd", "rt")


@dataclass(frozen=True, slots=True)
class Document:
    """A document to add."""

    title: str
    text: str


class Zipf:
    """Draws ranks 0 to `size` - 1, of which rank n has a probability proportional to 1 / (n + 1) ** `skew`."""

    def __init__(self, size: int, skew: float) -> None:
        self.sums = list(itertools.accumulate(1 / (rank + 1) ** skew for rank in range(size)))

    def draw(self, chance: random.Random) -> int:
        """Return a rank."""
        return bisect.bisect_left(self.sums, chance.random() * self.sums[-1])


class Corpus:
    """The vocabulary, the documents and the queries that a seed means."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.words = _vocabulary(random.Random(f"{seed}/words"))
        self._word_ranks = Zipf(len(self.words), WORD_SKEW)
        self._query_ranks = Zipf(QUERIES, QUERY_SKEW)
        chance = random.Random(f"{seed}/queries")
        self.queries = tuple(self._query(chance) for _ in range(QUERIES))

    def documents(self, count: int) -> Iterator[Document]:
        """Make `count` documents, the same ones each time."""
        chance = random.Random(f"{self.seed}/documents")
        return (self.document(chance) for _ in range(count))

    def document(self, chance: random.Random) -> Document:
        """Make a document of a realistic length."""
        length = min(LONGEST, max(5, round(chance.lognormvariate(0.0, LENGTH_SPREAD) * MEDIAN_LENGTH)))
        words = chance.choices(self.words, cum_weights=self._word_ranks.sums, k=length + chance.randint(2, 7))
        return Document(" ".join(words[length:]).capitalize(), " ".join(words[:length]))

    def query(self, chance: random.Random) -> str:
        """Return what somebody searches for; some of it is asked for much more often than the rest."""
        return self.queries[self._query_ranks.draw(chance)]

    def _query(self, chance: random.Random) -> str:
        # The hundred most frequent words are what "the" and "of" are: nobody searches for them alone.
        count = chance.choices((1, 2, 3), (5, 4, 1))[0]
        return " ".join(self.words[100 + self._word_ranks.draw(chance) * 9 // 10] for _ in range(count))


def _vocabulary(chance: random.Random) -> tuple[str, ...]:
    found: dict[str, None] = {}
    while len(found) < WORDS:
        # Frequent words are short (Zipf's law of abbreviation).
        syllables = 1 if len(found) < 60 else chance.choices((1, 2, 3, 4), (1, 5, 4, 1))[0]
        parts = (chance.choice(_ONSETS) + chance.choice(_VOWELS) + chance.choice(_CODAS) for _ in range(syllables))
        found["".join(parts)] = None
    return tuple(found)
