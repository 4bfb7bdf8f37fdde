"""The requests of the load tests' users as bytes, in the shares of the open model (docs/LOADTESTS.md)."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict
from urllib.parse import quote

from _corpus import Corpus

KINDS = ("search", "page", "collections", "list", "document", "add", "batch")
# Searcher 60 (every fifth turns the page), Browser 25 (1:3:6), Author 8 and Checker 5 with its look, BulkAuthor 2.
_SHARES = (53.0, 12.0, 2.5, 7.5, 15.0, 13.0, 2.0)
STAYS = 20  # requests after which a connection is ended, as the load tests' users do
BATCH = 20

Request = tuple[int, str]


def mixed(corpus: Corpus, known: Mapping[str, list[int]], count: int, writes: bool = True) -> list[Request]:
    """Return `count` requests as (index of the kind, text); without `writes` the documents stay what they are."""
    chance = random.Random(f"{corpus.seed}/mix")
    shares = _SHARES if writes else (*_SHARES[:5], 0.0, 0.0)
    kinds = chance.choices(range(len(KINDS)), shares, k=count)
    return [(kind, _request(KINDS[kind], corpus, known, chance, at % STAYS == 0)) for at, kind in enumerate(kinds)]


def get(path: str, close: bool = False) -> Request:
    """Return a GET of one path; `close` makes it end its connection, as kubelet's probes do."""
    return 0, _text("GET", path, close)


def _request(kind: str, corpus: Corpus, known: Mapping[str, list[int]], chance: random.Random, close: bool) -> str:
    collection = chance.choice(list(known))
    shelf = f"/api/collections/{collection}/documents"
    if kind in ("search", "page"):
        query, offset = quote(corpus.query(chance)), 20 if kind == "page" else 0
        return _text("GET", f"/api/search?q={query}&collection={collection}&limit=20&offset={offset}", close)
    if kind == "collections":
        return _text("GET", "/api/collections?limit=50", close)
    if kind == "list":
        return _text("GET", f"{shelf}?limit=20&offset={20 * min(20, int(chance.expovariate(0.7)))}", close)
    if kind == "document":
        return _text("GET", f"{shelf}/{chance.choice(known[collection])}", close)
    documents = [asdict(corpus.document(chance)) for _ in range(BATCH if kind == "batch" else 1)]
    return _text("POST", shelf, close, json.dumps(documents if kind == "batch" else documents[0]))


def _text(method: str, path: str, close: bool, body: str = "") -> str:
    lines = [f"{method} {path} HTTP/1.1", "Host: docsearch", "Accept: application/json", "Accept-Encoding: gzip"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", body])
