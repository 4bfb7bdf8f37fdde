"""People who add documents: one by one, and many at once."""

from __future__ import annotations

import random
from dataclasses import asdict

import _names
from _docsearch import DocsearchUser

BATCH = 20  # documents


class Author(DocsearchUser):
    """Adds one document."""

    weight = 8

    def visit(self, chance: random.Random, due: float | None) -> None:
        """Write and save."""
        collection = chance.choice(self.given["collections"])
        document = asdict(self.corpus.document(chance))
        self.rest(chance, 1.0, 3.0)
        self.call("POST", f"/api/collections/{collection}/documents", _names.ADD, due, json=document)


class BulkAuthor(DocsearchUser):
    """Adds a folder of documents in one request."""

    weight = 2
    thinks = (5.0, 15.0)

    def visit(self, chance: random.Random, due: float | None) -> None:
        """Drop the folder on the page."""
        collection = chance.choice(self.given["collections"])
        documents = [asdict(self.corpus.document(chance)) for _ in range(BATCH)]
        self.call("POST", f"/api/collections/{collection}/documents", _names.BATCH, due, json=documents)
