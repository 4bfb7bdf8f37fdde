"""Bad input: a 4xx with a JSON error that says what to do, and never a 500."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from _backend import api_client
from docindexer.requests import DRAIN_BYTES
from docindexer.settings import Settings
from docindexer.sqlite_store import SqliteStore
from test_backend_api import add, api, create

__all__ = ["api"]  # a fixture: pytest finds it here

JSON_TYPE = {"content-type": "application/json"}
LIMIT = 2000


def assert_error(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["code"] == code
    message: str = answer.json()["error"]["message"]
    assert message
    return message


async def test_unknown_paths_and_methods(api: httpx.AsyncClient) -> None:
    for path in ("/", "/api", "/api/", "/api/collections/", "/nothing", "/api/search/x", "//evil.example/"):
        assert_error(await api.get(f"http://test{path}"), 404, "not_found")
    refused = await api.put("/api/collections")
    assert "GET, HEAD, POST" in assert_error(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, HEAD, POST"
    assert_error(await api.request("BREW", "/health"), 405, "method_not_allowed")


@pytest.mark.parametrize("number", ["0", "999", "-1", "x", "1.0", "1e3", " 1", "%00", "９", str(2**63), "9" * 400])
async def test_ids_that_belong_to_nothing(api: httpx.AsyncClient, number: str) -> None:
    collection = await create(api, "c")
    path = f"/api/collections/{number}"
    for answer in (
        await api.get(path),
        await api.delete(path),
        await api.get(f"{path}/documents"),
        await api.post(f"{path}/documents", json={"title": "t", "text": "x"}),
        await api.get(f"{path}/documents/1"),
        await api.delete(f"{path}/documents/1"),
    ):
        assert_error(answer, 404, "collection_not_found")
    for method in ("GET", "DELETE"):
        answer = await api.request(method, f"/api/collections/{collection}/documents/{number}")
        assert_error(answer, 404, "document_not_found")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1,]", b"\xff\xfe", b'{"name": "\xff"}', b"nul", b"{'name': 'x'}", b"[" * 1900, b"1" * 1900, b"\0"],
)
async def test_malformed_json(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/api/collections", content=body, headers=JSON_TYPE)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["error"]["code"] in ("malformed_json", "invalid_request")


async def test_deep_nesting_and_huge_numbers_are_malformed(api: httpx.AsyncClient) -> None:
    for body in (b'{"name":' + b"[" * 500_000, b'{"name": ' + b"9" * 5000 + b"}"):
        answer = await api.post("/api/collections", content=body, headers=JSON_TYPE)
        assert_error(answer, 400, "malformed_json")


@pytest.mark.parametrize("value", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
async def test_other_media_types(api: httpx.AsyncClient, value: str) -> None:
    answer = await api.post("/api/collections", content=b'{"name": "x"}', headers={"content-type": value})
    assert_error(answer, 415, "unsupported_media_type")
    assert (await api.get("/api/collections")).json() == []


async def test_a_media_type_may_have_parameters(api: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await api.post("/api/collections", content=b'{"name": "x"}', headers=headers)).status_code == 201


@pytest.mark.parametrize(
    "body",
    [None, 1, "x", [], {}, {"name": None}, {"name": 1}, {"name": ["x"]}, {"name": ""}, {"name": " \t "},
     {"name": "x" * 101}, {"name": "a\nb"}, {"name": "a\0b"}, {"name": "\ud800"}, {"Name": "x"}, {"name": "\x1b[31m"}],
)  # fmt: skip
async def test_collections_that_cannot_be(api: httpx.AsyncClient, body: Any) -> None:
    answer = await api.post("/api/collections", content=json.dumps(body).encode(), headers=JSON_TYPE)
    assert_error(answer, 422, "invalid_request")


async def test_a_name_is_given_once(api: httpx.AsyncClient) -> None:
    await create(api, "x")
    assert_error(await api.post("/api/collections", json={"name": " x "}), 409, "name_taken")
    assert len((await api.get("/api/collections")).json()) == 1


GOOD = {"title": "t", "text": "x"}


@pytest.mark.parametrize(
    "body",
    [None, 1, "x", [], {}, [[]], [None], [GOOD, 1], {"title": "t"}, {"text": "x"}, GOOD | {"title": None},
     GOOD | {"text": 5}, GOOD | {"text": ["x"]}, GOOD | {"title": " "}, GOOD | {"title": "x" * 501},
     GOOD | {"text": "a\0b"}, GOOD | {"title": "\udfff"}, GOOD | {"text": "ok \ud83d"}, [GOOD] * 1001],
)  # fmt: skip
async def test_documents_that_cannot_be(api: httpx.AsyncClient, body: Any) -> None:
    collection = await create(api, "c")
    path = f"/api/collections/{collection}/documents"
    assert_error(await api.post(path, content=json.dumps(body).encode(), headers=JSON_TYPE), 422, "invalid_request")
    assert (await api.get(path)).json()["total"] == 0


@pytest.mark.parametrize(
    "text", ["", "\x01\x1b\x7f\u202e\ufeff", "\r\n", "\U0001f642\ufdd0", "é\u0301", "\ufffe", "a" * 100_000]
)
async def test_odd_text_comes_back_as_it_was(api: httpx.AsyncClient, text: str) -> None:
    collection = await create(api, "c")
    (number,) = await add(api, collection, ("t", text))
    assert (await api.get(f"/api/collections/{collection}/documents/{number}")).json()["text"] == text


@pytest.mark.parametrize("path", ["/api/search?q=x", "/api/collections/1/documents?", "/api/collections?"])
@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("value", ["-1", "x", "1.5", "", "100001", "9" * 99, "%00", "٣"])
async def test_paging_out_of_range(api: httpx.AsyncClient, path: str, name: str, value: str) -> None:
    await create(api, "c")
    assert name in assert_error(await api.get(f"{path}&{name}={value}"), 422, "invalid_request")
    assert_error(await api.get(f"{path}&limit=0"), 422, "invalid_request")


async def test_search_parameters(api: httpx.AsyncClient) -> None:
    assert_error(await api.get("/api/search"), 422, "invalid_request")
    assert "1000" in assert_error(await api.get("/api/search", params={"q": "x" * 1001}), 422, "invalid_request")
    assert_error(await api.get("/api/search", params={"q": "a b" * 3500}), 422, "invalid_request")
    for collection in ("x", "-1", "1.0", "9" * 30):
        answer = await api.get("/api/search", params={"q": "x", "collection": collection})
        assert_error(answer, 422, "invalid_request")
    for query in ("x", ""):
        answer = await api.get("/api/search", params={"q": query, "collection": 999})
        assert_error(answer, 404, "collection_not_found")


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(SqliteStore(tmp_path / "docs.db"), Settings(max_body_bytes=LIMIT)) as client:
        yield client


async def test_a_body_of_just_the_limit_is_taken(small: httpx.AsyncClient) -> None:
    body = b'{"name": "x"}'.ljust(LIMIT)
    assert (await small.post("/api/collections", content=body, headers=JSON_TYPE)).status_code == 201
    answer = await small.post("/api/collections", content=body + b" ", headers=JSON_TYPE)
    assert str(LIMIT) in assert_error(answer, 413, "body_too_large")


async def test_an_endless_body_is_not_read_to_its_end(small: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b" " * 65536

    answer = await small.post("/api/collections", content=endless(), headers=JSON_TYPE)
    assert_error(answer, 413, "body_too_large")
    assert answer.headers["connection"] == "close"
    assert sent <= LIMIT + DRAIN_BYTES + 3 * 65536


async def test_a_body_that_nobody_may_send_is_refused_before_it_is_sent(small: httpx.AsyncClient) -> None:
    async def never() -> AsyncIterator[bytes]:
        pytest.fail("the body was asked for")
        yield b""

    headers = JSON_TYPE | {"content-length": str(LIMIT + 1), "expect": "100-continue"}
    answer = await small.post("/api/collections", content=never(), headers=headers)
    assert_error(answer, 413, "body_too_large")
