"""What the API does for those who use it rightly; the same for every store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from _backend import api_client
from _postgres import Postgres
from docindexer.openapi import DOCUMENT
from docindexer.settings import Settings
from docindexer.sqlite_store import SqliteStore
from docindexer.store import Store

STORES = ["sqlite", "postgres"]


def open_store(request: pytest.FixtureRequest, kind: str, folder: Path) -> Store:
    """Return an empty store: a file, or a schema on the one server of this run."""
    if kind == "sqlite":
        return SqliteStore(folder / "docs.db")
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.store(server.new_schema())


@pytest.fixture(params=STORES)
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(open_store(request, request.param, tmp_path), Settings()) as client:
        yield client


async def create(api: httpx.AsyncClient, name: str) -> int:
    answer = await api.post("/api/collections", json={"name": name})
    assert answer.status_code == 201, answer.text
    created: int = answer.json()["id"]
    return created


async def add(api: httpx.AsyncClient, collection: int, *documents: tuple[str, str]) -> list[int]:
    body = [{"title": title, "text": text} for title, text in documents]
    answer = await api.post(f"/api/collections/{collection}/documents", json=body)
    assert answer.status_code == 201, answer.text
    ids: list[int] = answer.json()["ids"]
    return ids


async def titles(api: httpx.AsyncClient, **parameters: str | int) -> list[str]:
    answer = await api.get("/api/search", params=parameters)
    assert answer.status_code == 200, answer.text
    found = [hit["title"] for hit in answer.json()["results"]]
    if not {"limit", "offset"} & parameters.keys():
        assert answer.json()["total"] == len(found), "everything is on the first page of such a small index"
    return found


async def test_collection_is_created_listed_shown_and_deleted(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/collections", json={"name": "  Handbücher "})
    created = answer.json()
    assert created["name"] == "Handbücher"
    assert created["documents"] == 0
    age = datetime.now(UTC) - datetime.fromisoformat(created["created_at"])
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert answer.headers["location"] == f"/api/collections/{created['id']}"
    await add(api, created["id"], ("a", "b"), ("c", "d"))

    shown = (await api.get(answer.headers["location"])).json()
    assert shown == created | {"documents": 2}
    assert (await api.get("/api/collections")).json() == [shown]

    assert (await api.delete(answer.headers["location"])).status_code == 204
    assert (await api.get(answer.headers["location"])).json()["error"]["code"] == "collection_not_found"
    assert (await api.get("/api/collections")).json() == []


async def test_collections_are_paged(api: httpx.AsyncClient) -> None:
    for number in range(5):
        await create(api, f"c{number}")
    answer = await api.get("/api/collections", params={"limit": 2, "offset": 3})
    assert [item["name"] for item in answer.json()] == ["c3", "c4"]
    assert answer.headers["x-total-count"] == "5"


async def test_one_document_or_many_get_ids_in_order(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    one = await api.post(f"/api/collections/{collection}/documents", json={"title": "one", "text": "uno"})
    assert one.status_code == 201
    many = await add(api, collection, ("two", "due"), ("three", "tre"))
    ids = one.json()["ids"] + many
    assert len(set(ids)) == 3
    for number, (title, text) in zip(ids, [("one", "uno"), ("two", "due"), ("three", "tre")], strict=True):
        shown = (await api.get(f"/api/collections/{collection}/documents/{number}")).json()
        assert (shown["title"], shown["text"], shown["collection"]) == (title, text, collection)


async def test_documents_are_listed_newest_first(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    ids = await add(api, collection, *[(f"t{number}", "x") for number in range(7)])
    await add(api, await create(api, "other"), ("elsewhere", "x"))
    page = (await api.get(f"/api/collections/{collection}/documents", params={"limit": 3, "offset": 1})).json()
    assert page["total"] == 7
    assert [item["id"] for item in page["documents"]] == [ids[5], ids[4], ids[3]]
    assert (await api.get(f"/api/collections/{collection}/documents", params={"offset": 7})).json()["documents"] == []


async def test_a_deleted_document_is_found_no_more(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    gone, kept = await add(api, collection, ("gone", "needle"), ("kept", "needle"))
    path = f"/api/collections/{collection}/documents"
    assert (await api.delete(f"{path}/{gone}")).status_code == 204
    assert await titles(api, q="needle") == ["kept"]
    for answer in (await api.get(f"{path}/{gone}"), await api.delete(f"{path}/{gone}")):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "document_not_found"
    (new,) = await add(api, collection, ("new", "text"))
    assert new > kept, "ids are never given twice"


async def test_a_document_is_reached_through_its_own_collection_only(api: httpx.AsyncClient) -> None:
    mine, other = await create(api, "mine"), await create(api, "other")
    (number,) = await add(api, mine, ("t", "x"))
    assert (await api.get(f"/api/collections/{other}/documents/{number}")).status_code == 404
    assert (await api.delete(f"/api/collections/{other}/documents/{number}")).status_code == 404
    assert (await api.get(f"/api/collections/{mine}/documents/{number}")).status_code == 200


async def test_deleting_a_collection_takes_its_documents_out_of_the_index(api: httpx.AsyncClient) -> None:
    mine, other = await create(api, "mine"), await create(api, "other")
    await add(api, mine, ("mine 1", "needle"), ("mine 2", "needle"))
    await add(api, other, ("other", "needle"))
    assert (await api.delete(f"/api/collections/{mine}")).status_code == 204
    assert await titles(api, q="needle") == ["other"]
    again = await create(api, "mine")
    assert again != mine
    assert (await api.get(f"/api/collections/{again}")).json()["documents"] == 0


async def test_a_batch_is_added_as_a_whole_or_not_at_all(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    body = [{"title": "good", "text": "x"}, {"title": "bad"}]
    answer = await api.post(f"/api/collections/{collection}/documents", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "document 1: text is missing"
    assert (await api.get(f"/api/collections/{collection}")).json()["documents"] == 0


async def test_health_says_the_process_is_alive_and_ready_the_store(api: httpx.AsyncClient) -> None:
    assert (await api.get("/health")).json()["status"] == "ok"
    assert (await api.get("/ready")).json() == {"status": "ready"}
    assert (await api.head("/health")).status_code == 200


async def test_openapi_describes_exactly_the_routes_that_exist(api: httpx.AsyncClient) -> None:
    served = (await api.get("/openapi.json")).json()
    assert served == DOCUMENT
    assert served["openapi"] == "3.1.0"
    for path, item in served["paths"].items():
        methods = {method.upper() for method in item if method != "parameters"}
        named = {parameter["name"] for parameter in item.get("parameters", [])}
        assert all(f"{{{name}}}" in path for name in named)
        assert path.count("{") == len(named)
        concrete = path.replace("{collection_id}", "999").replace("{document_id}", "999")
        refused = await api.request("PATCH", concrete)
        assert refused.status_code == 405
        assert set(refused.headers["allow"].split(", ")) - {"HEAD"} == methods


async def test_long_answers_are_compressed_for_who_accepts_it(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    await add(api, collection, *((f"title {number}", "the same words again and again " * 20) for number in range(30)))
    path = f"/api/search?q=words&collection={collection}"
    packed, plain = [await api.get(path, headers={"accept-encoding": name}) for name in ("gzip", "identity")]
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert int(packed.headers["content-length"]) < 0.5 * int(plain.headers["content-length"])
    assert packed.json() == plain.json()
    assert "content-encoding" not in (await api.get("/health", headers={"accept-encoding": "gzip"})).headers
