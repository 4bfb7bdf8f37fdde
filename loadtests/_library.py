"""The collections of a run: made for it, filled from the seed, removed afterwards. Nothing else is ever touched.

A collection's name carries the run and the process that owns it, so that what a killed run left is found by the next.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from _corpus import Corpus

from devenv.core.errors import DevenvError
from devenv.load.target import Target
from devenv.runs.identity import Run, is_dead

BATCH = 250  # documents a request: about 0.4 MB, a tenth of what the backend accepts
PATIENCE = 60.0  # seconds for one request of preparing or removing, and for a target that answers 429 or 503
PAUSE = 0.5
PAGE = 1000
SHOWN = 100  # document ids that users know of each collection
_NAME = re.compile(r"loadtest (?P<run>[0-9a-f]{10}) (?P<owner>\S+) \d+")


@dataclass
class Library:
    """The run's own collections on a target."""

    target: Target
    run: Run
    collections: list[int] = field(default_factory=list)
    documents: dict[int, list[int]] = field(default_factory=dict)

    def fill(self, corpus: Corpus, documents: int, collections: int) -> None:
        """Make the collections and add the documents to them in turn; raises DevenvError."""
        with self._client() as client:
            self.collections = [
                int(_send(client, "POST", "/api/collections", {"name": self._name(number)})["id"])
                for number in range(collections)
            ]
            self.documents = {collection: [] for collection in self.collections}
            turns = itertools.cycle(self.collections)
            made = corpus.documents(documents)
            while batch := [asdict(item) for item in itertools.islice(made, BATCH)]:
                collection = next(turns)
                ids = _send(client, "POST", f"/api/collections/{collection}/documents", batch)["ids"]
                self.documents[collection] += ids
            for collection in self.collections:
                if not self.documents[collection]:  # fewer batches than collections
                    text = [asdict(item) for item in corpus.documents(1)]
                    ids = _send(client, "POST", f"/api/collections/{collection}/documents", text)["ids"]
                    self.documents[collection] += ids

    def known(self) -> dict[str, list[int]]:
        """Return ids that users may open, the same ones for the same sizes."""
        return {str(key): ids[:: max(1, len(ids) // SHOWN)][:SHOWN] for key, ids in self.documents.items()}

    def remove(self) -> int:
        """Delete every collection that carries this run's name, also one whose creation was not answered."""
        return self._remove(lambda run, owner: run == self.run.id)

    def sweep(self) -> int:
        """Delete what runs of this machine left that were killed; returns how many collections."""
        return self._remove(lambda run, owner: run != self.run.id and is_dead(owner))

    def _remove(self, mine: Callable[[str, str], bool]) -> int:
        with self._client() as client:
            found = [
                item["id"]
                for item in list(_all_collections(client))
                if (name := _NAME.fullmatch(item["name"])) and mine(name["run"], name["owner"])
            ]
            for collection in found:
                _send(client, "DELETE", f"/api/collections/{collection}", None, missing_ok=True)
        return len(found)

    def _name(self, number: int) -> str:
        return f"loadtest {self.run.id} {self.run.owner} {number}"

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        headers = {"Host": self.target.host_header} if self.target.host_header else {}
        with httpx.Client(
            base_url=self.target.url, headers=headers, timeout=PATIENCE, trust_env=False, verify=False
        ) as client:
            yield client


def _all_collections(client: httpx.Client) -> Iterator[dict[str, Any]]:
    for offset in itertools.count(0, PAGE):
        found = _send(client, "GET", f"/api/collections?limit={PAGE}&offset={offset}", None)
        yield from found
        if len(found) < PAGE:
            return


def _send(client: httpx.Client, method: str, path: str, body: object, *, missing_ok: bool = False) -> Any:
    """Send and return the parsed answer; waits out 429 and 503, and a connection that breaks before an answer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        problem = ""
        try:
            answer = client.request(method, path, json=body) if body is not None else client.request(method, path)
            if answer.is_success or (missing_ok and answer.status_code == 404):
                return answer.json() if answer.content and answer.is_success else {}
            problem = f"{answer.status_code} {answer.text[:200]}"
            retry = answer.status_code in (429, 502, 503, 504) and method != "POST"
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__}: {error}"
            retry = method != "POST"  # a document that may be there twice would change what is measured
        if not retry or time.monotonic() > deadline:
            raise DevenvError(
                f"{method} {client.base_url}{path.lstrip('/')} failed: {problem}",
                "The load tests need docsearch's API and a target that takes writes.",
            )
        time.sleep(PAUSE)
