"""People who browse: the shelves, the newest documents of one, a document."""

from __future__ import annotations

import random

import _names
from _docsearch import DocsearchUser

PAGE_SIZE = 20


class Browser(DocsearchUser):
    """Walks from the list of collections to a document; in the open model it is any one step of the way."""

    weight = 25

    def visit(self, chance: random.Random, due: float | None) -> None:
        """Look around."""
        collection = chance.choice(self.given["collections"])
        page = PAGE_SIZE * min(20, int(chance.expovariate(0.7)))
        steps = (1, 2, 3) if not self.is_open else (chance.choices((1, 2, 3), (1, 3, 6))[0],)
        if 1 in steps:
            self.call("GET", "/api/collections?limit=50", _names.COLLECTIONS, due)
            self.rest(chance, 0.5, 2.0)
        shelf = f"/api/collections/{collection}/documents"
        document = chance.choice(self.given["documents"][str(collection)])
        if 2 in steps:
            self.call("GET", f"{shelf}?limit={PAGE_SIZE}&offset={page}", _names.LIST, due)
            self.rest(chance, 1.0, 3.0)
        if 3 in steps:
            self.call("GET", f"{shelf}/{document}", _names.DOCUMENT, due)
