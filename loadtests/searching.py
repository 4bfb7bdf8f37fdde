"""People who search: they type word by word, look at the results, and sometimes turn the page."""

from __future__ import annotations

import random
from urllib.parse import quote

import _names
from _docsearch import DocsearchUser

PAGE_SIZE = 20
TURNS_PAGE = 0.2  # share of searches whose second page is asked for


class Searcher(DocsearchUser):
    """Searches for what many search for (Zipf), in one of the run's collections."""

    weight = 60

    def visit(self, chance: random.Random, due: float | None) -> None:
        """Type a query and read the results."""
        collection = chance.choice(self.given["collections"])
        words = self.corpus.query(chance).split()
        turns = chance.random() < TURNS_PAGE
        if self.is_open:
            self._search(" ".join(words), collection, PAGE_SIZE if turns else 0, due)
            return
        for count in range(1, len(words) + 1):
            self.rest(chance, 0.2, 0.8)  # typing; the page searches as soon as nothing was typed for a moment
            found = self._search(" ".join(words[:count]), collection, 0, due)
        if turns and found and found.get("total", 0) > PAGE_SIZE:
            self.rest(chance, 1.0, 4.0)
            self._search(" ".join(words), collection, PAGE_SIZE, due)

    def _search(self, query: str, collection: int, offset: int, due: float | None) -> dict[str, int] | None:
        path = f"/api/search?q={quote(query)}&collection={collection}&limit={PAGE_SIZE}&offset={offset}"
        found: dict[str, int] | None = self.call("GET", path, _names.PAGE if offset else _names.SEARCH, due)
        return found
