"""The proxy in front of a backend that misbehaves: every fault ends in an honest answer, and soon."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from _frontend import closed_port, serving
from _wire import Connection, answering, wire


async def silent(connection: Connection) -> None:
    """Read for ever, say nothing."""
    while await connection.reader.read(65536):
        continue


async def test_backend_down_is_said_at_once() -> None:
    async with serving(f"http://127.0.0.1:{closed_port()}", BACKEND_CONNECT_TIMEOUT="60") as client:
        start = time.monotonic()
        answer = await client.get("/api/collections")
        took = time.monotonic() - start
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "backend_unavailable"
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["cache-control"] == "no-store"
    assert took < 30, "nothing is waited for"


async def test_backend_name_unknown_is_said() -> None:
    async with serving("http://backend.invalid:8000") as client:
        answer = await client.post("/api/collections", content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")


async def test_backend_that_never_answers_times_out() -> None:
    async with wire(silent) as backend, serving(backend.url, BACKEND_TIMEOUT="0.3") as client:
        start = time.monotonic()
        answer = await client.get("/api/collections")
        took = time.monotonic() - start
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "backend_timeout")
    assert answer.headers["retry-after"] == "2"
    assert 0.25 < took < 10, "without the setting it is 15 s"
    assert backend.connections == 1


async def test_backend_that_takes_no_more_of_an_upload_times_out() -> None:
    answered = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.head()
        await answered.wait()

    async with wire(script) as backend, serving(backend.url, BACKEND_TIMEOUT="0.3") as client:
        answer = await client.post("/api/collections", content=b" " * 64_000_000, timeout=10)
        answered.set()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "backend_timeout")


async def test_browser_may_take_its_time_to_send() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.sleep(0.6)
        yield b"]"

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(b"{}")

    async with wire(script) as backend, serving(backend.url, BACKEND_TIMEOUT="0.3") as client:
        answer = await client.post("/api/collections", content=slow())
    assert answer.status_code == 200


async def test_deleting_is_not_repeated_on_a_kept_connection_that_is_lost() -> None:
    async def script(connection: Connection) -> None:
        while (seen := await connection.request()) is not None:
            backend.seen.append(seen)
            if seen.method == "DELETE":
                return
            await connection.answer(b"{}")

    async with wire(script) as backend, serving(backend.url) as client:
        assert (await client.get("/api/collections")).status_code == 200
        answer = await client.delete("/api/collections/1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "backend_unavailable")
    assert [seen.method for seen in backend.seen] == ["GET", "DELETE"]
    assert backend.connections == 1, "the DELETE went over the connection that was kept"


async def test_backend_that_talks_nonsense() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"\x00\x01 this is not HTTP\r\n\r\n")

    async with wire(script) as backend, serving(backend.url) as client:
        answer = await client.get("/api/collections")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "backend_unavailable")


async def test_reading_is_tried_once_more_and_writing_never() -> None:
    async def script(connection: Connection) -> None:
        seen = await connection.request()
        assert seen is not None
        backend.seen.append(seen)
        if backend.connections > 1:
            await connection.answer(b'{"ok": true}')

    async with wire(script) as backend, serving(backend.url) as client:
        reading = await client.get("/api/collections")
    assert (reading.status_code, backend.connections) == (200, 2)

    async with wire(script) as backend, serving(backend.url) as client:
        writing = await client.post("/api/collections", content=b"{}")
        assert (writing.status_code, writing.json()["error"]["code"]) == (502, "backend_unavailable")
        deleting = await client.delete("/api/collections/1")
    assert deleting.status_code == 200
    assert [seen.method for seen in backend.seen] == ["POST", "DELETE"]


@pytest.mark.parametrize("framing", ["content-length: 1000", "transfer-encoding: chunked"])
async def test_broken_answer_is_not_passed_off_as_whole(framing: str, caplog: pytest.LogCaptureFixture) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n5\r\nbegun\r\n".encode())

    caplog.set_level(logging.WARNING)
    async with wire(script) as backend, serving(backend.url) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/api/search?q=x")
        again = await client.get("/health")
    assert again.status_code == 200
    assert "broke off in the answer" in caplog.text
    assert "Traceback" not in caplog.text


async def test_answer_that_stalls_is_cut_off() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await silent(connection)

    async with wire(script) as backend, serving(backend.url, BACKEND_TIMEOUT="0.3") as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/api/search?q=x")


async def test_abandoned_request_is_abandoned_at_the_backend() -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        arrived.set()
        await silent(connection)
        left.set()

    async with wire(script) as backend, serving(backend.url, BACKEND_TIMEOUT="60") as client:
        asking = asyncio.create_task(client.get("/api/search?q=abandoned"))
        await asyncio.wait_for(arrived.wait(), 30)
        asking.cancel()
        await asyncio.wait_for(left.wait(), 30)
        metrics = (await client.get("/metrics")).text
    assert backend.connections == 1
    assert "docfront_client_gone_total" in metrics


async def test_abandoned_upload_and_download_free_the_backend() -> None:
    arrived, left = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def script(connection: Connection) -> None:
        seen = await connection.head()
        arrived.release()
        if seen is not None and seen.method == "GET":
            await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")
        await silent(connection)
        left.release()

    async with wire(script) as backend, serving(backend.url, BACKEND_TIMEOUT="60") as client:
        address = client.base_url.host, client.base_url.port
        for request in (
            b"POST /api/x HTTP/1.1\r\nhost: h\r\ncontent-length: 50\r\n\r\npart",
            b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n",
        ):
            _, writer = await asyncio.open_connection(*address)
            writer.write(request)
            await asyncio.wait_for(arrived.acquire(), 30)
            writer.close()
            await asyncio.wait_for(left.acquire(), 30)


async def test_recovery_needs_no_restart() -> None:
    port = closed_port()
    async with serving(f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/api/x")).status_code == 503
        server = await asyncio.start_server(lambda reader, writer: once(Connection(reader, writer)), "127.0.0.1", port)
        assert (await client.get("/api/x")).json() == {"back": True}
        server.close()


async def once(connection: Connection) -> None:
    await connection.request()
    await connection.answer(b'{"back": true}')
    connection.writer.close()


async def test_backends_own_errors_are_left_as_they_are() -> None:
    body = b'{"error":{"code":"database_unavailable","message":"disk full"}}'
    refusing = answering(body, "retry-after: 7", status="503 Service Unavailable")
    async with refusing as backend, serving(backend.url) as client:
        answer = await client.get("/api/collections")
    assert (answer.status_code, answer.content, answer.headers["retry-after"]) == (503, body, "7")
