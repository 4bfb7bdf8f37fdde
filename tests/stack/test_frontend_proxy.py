"""The proxy in front of a backend that behaves: what is passed on, and how."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from _frontend import serving
from _wire import Connection, answering, wire


async def test_request_arrives_as_it_was_sent() -> None:
    created = answering(b'{"ids":[1]}', "content-type: application/json", status="201 Created")
    async with created as backend, serving(backend.url) as client:
        answer = await client.post(
            "/api/collections/7/documents?q=a%20b&x=%2F%26",
            content=b'{"title": "\xc3\xa9"}',
            headers={"content-type": "application/json", "accept": "application/json"},
        )
    assert (answer.status_code, answer.json()) == (201, {"ids": [1]})
    [seen] = backend.seen
    assert (seen.method, seen.target) == ("POST", "/api/collections/7/documents?q=a%20b&x=%2F%26")
    assert seen.body == b'{"title": "\xc3\xa9"}'
    assert seen.header("content-type") == "application/json"
    assert seen.header("content-length") == str(len(seen.body))
    assert seen.header("transfer-encoding") is None


async def test_hop_by_hop_headers_end_here() -> None:
    sent = {
        "connection": "keep-alive, X-Secret-Hop",
        "x-secret-hop": "1",
        "keep-alive": "timeout=5",
        "te": "trailers",
        "proxy-authorization": "Basic Zm9vOmJhcg==",
        "x-kept": "yes",
    }
    talkative = answering(b"{}", "keep-alive: timeout=9", "x-hop: 1", "connection: keep-alive, x-hop")
    async with talkative as backend, serving(backend.url) as client:
        answer = await client.get("/api/collections", headers=sent)
    [seen] = backend.seen
    assert seen.header("x-kept") == "yes"
    for name in ("x-secret-hop", "keep-alive", "te", "proxy-authorization", "upgrade"):
        assert seen.header(name) is None, name
    assert "keep-alive" not in answer.headers
    assert "x-hop" not in answer.headers


async def test_backend_is_told_who_asked() -> None:
    async with answering() as backend, serving(backend.url) as client:
        await client.get("/api/a", headers={"x-forwarded-for": "203.0.113.9", "x-request-id": "abc-1.2_3"})
        await client.get("/api/b", headers={"x-forwarded-proto": "https", "x-request-id": "not an id"})
        first, second = backend.seen
        host = str(client.base_url).removeprefix("http://").rstrip("/")
    assert first.header("x-forwarded-for") == "203.0.113.9, 127.0.0.1"
    assert first.header("x-forwarded-proto") == "http"
    assert first.header("x-forwarded-host") == first.header("host") == host
    assert first.header("x-request-id") == "abc-1.2_3"
    assert second.header("x-forwarded-for") == "127.0.0.1"
    assert second.header("x-forwarded-proto") == "https"
    assert len(second.header("x-request-id") or "") == 32


async def test_answer_is_passed_on_with_protective_headers() -> None:
    headers = ("set-cookie: a=1", "set-cookie: b=2", "server: secret/1", "x-request-id: forged", "location: /api/x")
    async with answering(b"gone", *headers, status="410 Gone") as backend, serving(backend.url) as client:
        answer = await client.get("/api/x", headers={"x-request-id": "mine"})
    assert (answer.status_code, answer.content) == (410, b"gone")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers.get_list("x-request-id") == ["mine"]
    assert answer.headers["location"] == "/api/x"
    assert "server" not in answer.headers
    assert len(answer.headers.get_list("date")) == 1
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_compression_is_between_browser_and_backend() -> None:
    packed = gzip.compress(b'{"total": 0}')
    async with answering(packed, "content-encoding: gzip") as backend, serving(backend.url) as client:
        plain = await client.get("/api/a", headers={"accept-encoding": "gzip"})
        async with client.stream("GET", "/api/b", headers={"accept-encoding": "identity"}) as answer:
            raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert plain.json() == {"total": 0}
    assert raw == packed
    assert [seen.header("accept-encoding") for seen in backend.seen] == ["gzip", "identity"]


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("DELETE", "204 No Content"), ("GET", "304 Not Modified")]
)
async def test_answers_without_a_body(method: str, status: str) -> None:
    async def script(connection: Connection) -> None:
        while await connection.request() is not None:
            length = "content-length: 12\r\n" if method == "HEAD" else ""
            await connection.send(f"HTTP/1.1 {status}\r\n{length}etag: x\r\n\r\n".encode())
            return

    async with wire(script) as backend, serving(backend.url) as client:
        answer = await client.request(method, "/api/x")
    assert answer.status_code == int(status.split()[0])
    assert answer.content == b""
    assert answer.headers["etag"] == "x"


async def test_connections_are_reused() -> None:
    async with answering() as backend, serving(backend.url) as client:
        for number in range(20):
            assert (await client.get(f"/api/{number}")).status_code == 200
        assert (await client.get("/ready")).status_code == 200
    assert len(backend.seen) == 21
    assert backend.connections == 1


async def test_upload_is_streamed() -> None:
    arrived = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.head()
        received = len((await connection.event()).data)
        arrived.set()
        while hasattr(event := await connection.event(), "data"):
            received += len(event.data)
        await connection.answer(str(received).encode())

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        # The rest is sent only once the beginning is through: a proxy that collects the body would wait for ever.
        await asyncio.wait_for(arrived.wait(), 30)
        for _ in range(64):
            yield b"y" * 262_144

    async with wire(script) as backend, serving(backend.url) as client:
        answer = await client.post("/api/x", content=body())
    assert answer.text == str(1000 + 64 * 262_144)


async def test_download_is_streamed() -> None:
    continued = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await asyncio.wait_for(continued.wait(), 30)
        await connection.send(b"6\r\nsecond\r\n0\r\n\r\n")

    async with wire(script) as backend, serving(backend.url) as client, client.stream("GET", "/api/x") as answer:
        chunks = answer.aiter_bytes()
        assert await anext(chunks) == b"first"
        continued.set()
        assert b"".join([chunk async for chunk in chunks]) == b"second"


async def test_refusal_during_an_upload_gets_through() -> None:
    async def script(connection: Connection) -> None:
        await connection.head()
        await connection.answer(b'{"error":{"code":"too_large"}}', "connection: close", status="413 Too Large")
        while await connection.reader.read(65536):
            continue

    async with wire(script) as backend, serving(backend.url) as client:
        answer = await client.post("/api/x", content=b"z" * 3_000_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize("path", ["/api/../metrics", "/api/%2e%2e/metrics", "/api/a/%2E/b", "/api/.."])
async def test_path_cannot_leave_the_api(path: str) -> None:
    async with answering() as backend, serving(backend.url) as client:
        # By hand: an HTTP client would tidy the path up before it sends it.
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"bad_path"' in answer
    assert backend.seen == []


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://{host}"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
    ],
)
async def test_changes_from_other_sites_are_refused(headers: dict[str, str], allowed: bool) -> None:
    async with answering() as backend, serving(backend.url) as client:
        host = str(client.base_url).removeprefix("http://").rstrip("/")
        sent = {name: value.format(host=host) for name, value in headers.items()}
        reading = await client.get("/api/search", headers=sent)
        changing = await client.post("/api/collections", headers=sent, content=b"{}")
    assert reading.status_code == 200
    assert changing.status_code == (200 if allowed else 403)
    assert [seen.method for seen in backend.seen] == (["GET", "POST"] if allowed else ["GET"])
