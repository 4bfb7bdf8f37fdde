"""The WebSocket: through a proxy that wants a password, refused by a server, and frames of every size."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from devenv.backends.kube.errors import BadKubeconfig
from devenv.control.kube import websocket
from devenv.control.kube.websocket import Endpoint, HandshakeRefused, WebSocket, connect
from fakes.api_server import ApiServer, pod
from tests.kube.kubelet import GOOD_BYE, GUID, Kubelet

PATH = "/api/v1/namespaces/default/pods/web-1/portforward?ports=8000"
PROTOCOL = "v4.channel.k8s.io"
Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def echo(api: ApiServer) -> ApiServer:
    kubelet = Kubelet(lambda name, data: data)
    api.on("GET", r"/api/v1/namespaces/[^/]+/pods/[^/]+/portforward", kubelet.answer)
    api.put(pod("web-1"))
    return api


@asynccontextmanager
async def listening(serve: Streams) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(
        lambda reader, writer: tasks.add(asyncio.ensure_future(handle(reader, writer))), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    """Let the loop close what was closed: transports do so in its next rounds."""
    yield
    for _ in range(5):
        await asyncio.sleep(0)


async def echoed(socket: WebSocket, data: bytes) -> bytes:
    await socket.send(b"\0" + data)
    while (message := await socket.receive()) is not None:
        if len(message) != 3 or message[1:] != b"\x40\x1f":  # the port's number comes first, on both channels
            return message[1:]
    return b""


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536, 300_000])
async def test_frames_of_every_size_come_back_whole(echo: ApiServer, size: int) -> None:
    socket = await connect(Endpoint(echo.url, {}), PATH, PROTOCOL, 30)
    data = os.urandom(size)
    assert await echoed(socket, data) == data
    await socket.close()
    await socket.close()


async def test_a_proxy_is_asked_with_its_password(echo: ApiServer) -> None:
    asked: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", echo.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
        finally:
            far_writer.close()

    async with listening(proxy) as port:
        endpoint = Endpoint(echo.url, {}, proxy=f"http://user:p%40ss@127.0.0.1:{port}")
        socket = await connect(endpoint, PATH, PROTOCOL, 30)
        assert await echoed(socket, b"through") == b"through"
        await socket.close()
    assert asked[0].startswith(f"CONNECT 127.0.0.1:{echo.port} HTTP/1.1\r\n")
    assert base64.b64encode(b"user:p@ss").decode() in asked[0]


async def test_a_proxy_that_says_no_is_named(echo: ApiServer) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with listening(proxy) as port:
        with pytest.raises(HandshakeRefused, match="the proxy answered 407"):
            await connect(Endpoint(echo.url, {}, proxy=f"http://127.0.0.1:{port}"), PATH, PROTOCOL, 30)


async def test_a_proxy_that_cannot_be_used_is_told_without_its_password() -> None:
    for proxy in ("http://user:se%2Fcret@127.0.0.1:1", "http://user:secret@127.0.0.1:1/path"):
        with pytest.raises(BadKubeconfig) as caught:
            await connect(Endpoint("http://127.0.0.1:1", {}, proxy=proxy), PATH, PROTOCOL, 30)
        assert "cret" not in str(caught.value)


async def test_a_server_that_does_not_upgrade_and_one_that_is_silent(api: ApiServer) -> None:
    with pytest.raises(HandshakeRefused) as caught:
        await connect(Endpoint(api.url, {}), PATH, PROTOCOL, 30)
    assert caught.value.status == 404

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(silent) as port:
        with pytest.raises(TimeoutError):
            await connect(Endpoint(f"http://127.0.0.1:{port}", {}), PATH, PROTOCOL, 0.2)


@pytest.mark.parametrize("last", [b"", b"\x82\x05ab", b"\x02\x02ab", b"\x82\x00\x88\x02\x03\xf3"])
async def test_an_end_without_a_good_bye_and_one_that_tells_an_error_are_no_clean_ends(last: bytes) -> None:
    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_upgraded(await reader.readuntil(b"\r\n\r\n"), PROTOCOL) + last)

    async with listening(breaking) as port:
        socket = await connect(Endpoint(f"http://127.0.0.1:{port}", {}), PATH, PROTOCOL, 30)
        if last.startswith(b"\x82\x00"):
            assert await socket.receive() == b""
        with pytest.raises(ConnectionResetError):
            await socket.receive()
        with pytest.raises(ConnectionResetError):
            await socket.send(b"more")
        await socket.close()


async def test_after_a_good_bye_nothing_is_sent_and_nothing_raised() -> None:
    async def leaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_upgraded(await reader.readuntil(b"\r\n\r\n"), PROTOCOL) + b"\x82\x01x" + GOOD_BYE)

    async with listening(leaving) as port:
        socket = await connect(Endpoint(f"http://127.0.0.1:{port}", {}), PATH, PROTOCOL, 30)
        assert [await socket.receive(), await socket.receive()] == [b"x", None]
        await socket.send(b"more")
        await socket.close()


async def test_a_server_that_says_good_bye_and_keeps_the_connection_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_PING_EVERY", 0.1)
    monkeypatch.setattr(websocket, "_CLOSED_WITHIN", 0.1)

    async def staying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_upgraded(await reader.readuntil(b"\r\n\r\n"), PROTOCOL) + GOOD_BYE)
        while await reader.read(1000):
            continue

    async with listening(staying) as port, asyncio.timeout(10):
        socket = await connect(Endpoint(f"http://127.0.0.1:{port}", {}), PATH, PROTOCOL, 30)
        assert await socket.receive() is None


async def test_quiet_peers_that_answer_no_ping_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_PING_EVERY", 0.05)
    pings = 0

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal pings
        writer.write(_upgraded(await reader.readuntil(b"\r\n\r\n"), PROTOCOL))
        while pings < 3:
            assert (await reader.readexactly(10))[:1] == b"\x89"  # head, mask, and the library's four bytes
            pings += 1
        writer.write(b"\x82\x01x")
        await reader.read()

    async with listening(deaf) as port, asyncio.timeout(10):
        socket = await connect(Endpoint(f"http://127.0.0.1:{port}", {}), PATH, PROTOCOL, 30)
        assert await socket.receive() == b"x"
        await socket.close()


@pytest.mark.parametrize("protocol", ["", "v1.other"])
async def test_a_server_of_another_protocol_is_refused(protocol: str) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_upgraded(await reader.readuntil(b"\r\n\r\n"), protocol))

    async with listening(other) as port:
        with pytest.raises(HandshakeRefused, match="does not speak this stream"):
            await connect(Endpoint(f"http://127.0.0.1:{port}", {}), PATH, PROTOCOL, 30)


async def test_a_connection_that_ends_during_the_handshake_may_be_tried_again() -> None:
    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with listening(gone) as port:
        with pytest.raises(ConnectionResetError, match="during the handshake"):
            await connect(Endpoint(f"http://127.0.0.1:{port}", {}), PATH, PROTOCOL, 30)


def _upgraded(request: bytes, protocol: str) -> bytes:
    key = next(line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()}",
        *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
