"""What the frontend answers by itself: probes, metrics, the page's files."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time

import pytest
from _frontend import FRONTEND_DIR, closed_port, serving
from _wire import Connection, answering, wire

STATIC = FRONTEND_DIR / "docfront" / "static"


async def test_health_does_not_depend_on_the_backend() -> None:
    async with serving(f"http://127.0.0.1:{closed_port()}") as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["cache-control"] == "no-store"


async def test_ready_when_the_backend_is() -> None:
    async with answering(b'{"status":"ready"}') as backend, serving(backend.url) as client:
        answer = await client.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    assert [seen.target for seen in backend.seen] == ["/ready"]


async def test_ready_says_that_the_backend_is_not_reachable() -> None:
    async with serving(f"http://127.0.0.1:{closed_port()}") as client:
        answer = await client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert answer.json()["reason"].startswith("the backend is not reachable: ")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"status":"unavailable","reason":"the database is read-only"}', "the database is read-only"),
        (b"<html>", "it answered 503"),
        (b'["list"]', "it answered 503"),
        (b'{"reason": 5}', "it answered 503"),
    ],
)
async def test_ready_passes_on_the_backends_reason(body: bytes, reason: str) -> None:
    async with answering(body, status="503 Service Unavailable") as backend, serving(backend.url) as client:
        answer = await client.get("/ready")
    assert (answer.status_code, answer.json()["reason"]) == (503, f"the backend is not ready: {reason}")


async def test_ready_does_not_wait_for_a_backend_that_trickles() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while not connection.reader.at_eof():
            await connection.send(b".")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.reader.read(1), 0.1)

    async with wire(script) as backend, serving(backend.url, BACKEND_TIMEOUT="60") as client:
        start = time.monotonic()
        answer = await client.get("/ready")
    assert time.monotonic() - start < 30
    assert (answer.status_code, answer.json()["reason"]) == (503, "the backend did not answer within 1.5 s")


async def test_metrics_count_by_area() -> None:
    async with answering() as backend, serving(backend.url) as client:
        await client.get("/api/some-path")
        await client.get("/no-such-file")
        text = (await client.get("/metrics")).text
    assert re.search(r'docfront_requests_total\{area="api",status="200"\} [1-9]', text)
    assert re.search(r'docfront_requests_total\{area="page",status="404"\} [1-9]', text)
    assert "some-path" not in text
    assert "no-such-file" not in text
    assert "docfront_backend_seconds_bucket" in text


async def test_page_is_revalidated_not_cached() -> None:
    async with serving(f"http://127.0.0.1:{closed_port()}") as client:
        first = await client.get("/")
        again = await client.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, first.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


async def test_policy_allows_this_origin_only() -> None:
    async with serving(f"http://127.0.0.1:{closed_port()}") as client:
        for path in ("/", "/app.js", "/api/x", "/health", "/nothing"):
            headers = (await client.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "require-trusted-types-for 'script'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"


async def test_unknown_address_has_the_error_shape() -> None:
    async with serving(f"http://127.0.0.1:{closed_port()}") as client:
        missing = await client.get("/nothing")
        outside = await client.get(client.base_url.copy_with(raw_path=b"/../settings.py"))
        wrong = await client.post("/", content=b"x")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert outside.status_code == 404
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


def test_page_needs_nothing_from_elsewhere() -> None:
    page = (STATIC / "index.html").read_text()
    used = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert used
    for address in used:
        local = address.startswith("#") or address == "/" or (STATIC / address.removeprefix("/")).is_file()
        assert local, address
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page), "inline code or style, which the policy forbids"
    for file in [*STATIC.glob("*.js"), *STATIC.glob("*.css")]:
        text = file.read_text()
        assert not re.search(r"https?://|@import|innerHTML|insertAdjacentHTML|document\.write|eval\(", text), file.name
        for module in re.findall(r'from "\./([^"]+)"', text):
            assert (STATIC / module).is_file(), f"{file.name} imports {module}"


async def test_files_are_compressed_and_not_sent_again() -> None:
    async with answering() as backend, serving(backend.url) as client:
        packed, plain = [await client.get("/", headers={"accept-encoding": name}) for name in ("gzip", "identity")]
        again = await client.get("/", headers={"accept-encoding": "gzip", "if-none-match": packed.headers["etag"]})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert packed.headers["vary"] == "Accept-Encoding"
    assert (again.status_code, again.content) == (304, b"")
