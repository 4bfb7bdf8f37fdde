"""Reads its own writes: a document that was acknowledged must be found in time, or the request has failed."""

from __future__ import annotations

import random
import time

import _names
import gevent
from _docsearch import DocsearchUser

PAUSE = 0.1  # seconds between two looks


class Checker(DocsearchUser):
    """Adds a document with a word that no other has, and searches for it until it is there."""

    weight = 5

    def visit(self, chance: random.Random, due: float | None) -> None:
        """Add and look."""
        word = f"zq{chance.getrandbits(64):016x}x{self.given['token']}"
        collection = chance.choice(self.given["collections"])
        document = {"title": f"Check {word}", "text": self.corpus.document(chance).text}
        path = f"/api/collections/{collection}/documents"
        if not self.call("POST", path, _names.ADD, due, json=document):
            return  # not acknowledged: nothing was promised
        began = time.perf_counter()
        problem = self._look(f"/api/search?q={word}&collection={collection}&limit=1", began)
        self.environment.events.request.fire(
            request_type="CHECK",
            name=_names.READ_YOUR_WRITE,
            response_time=1000 * (time.perf_counter() - began),
            response_length=0,
            exception=problem,
            context={},
        )

    def _look(self, path: str, began: float) -> Exception | None:
        limit = self.environment.parsed_options.visible_within
        while True:
            found = self.call("GET", path, _names.FIND)
            if found and found.get("total") == 1:
                return None
            if time.perf_counter() - began > limit:
                return LookupError(f"an acknowledged document was not found within {limit:g} s")
            gevent.sleep(PAUSE)
