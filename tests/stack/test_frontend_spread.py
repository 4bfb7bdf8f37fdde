"""Several backends behind one name: all get requests, and one that takes no connection costs none."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

import pytest
from _frontend import closed_port, settings
from docfront import backend as backend_module
from docfront import spreading
from docfront.backend import Backend, BackendError, Unreachable
from multidict import CIMultiDict

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"


@asynccontextmanager
async def backend(address: str, port: int) -> AsyncIterator[None]:
    """Answer every request with the backend's address and the length of the request's body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if b"content-length: 4" in head.lower():
                await reader.readexactly(4)
            writer.write(ANSWER + address.encode())

    async with serving(address, port, serve):
        yield


@asynccontextmanager
async def serving(address: str, port: int, serve: Serve) -> AsyncIterator[None]:
    """Run `serve` for each connection; at the end no connection is left."""
    running: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running[asyncio.create_task(serve(reader, writer))] = writer

    server = await asyncio.start_server(accept, address, port)
    try:
        yield
    finally:
        server.close()
        for task, writer in running.items():
            task.cancel()
            writer.close()
        # What a connection ended with is of no interest: its client has seen it.
        await asyncio.gather(*running, *(writer.wait_closed() for writer in running.values()), return_exceptions=True)


class Names:
    """A DNS with one name."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: Sequence[str] = addresses
        self.asked = 0
        self.silent = False

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        assert host == "backend"
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if not self.addresses:
            raise OSError("Name or service not known")
        return self.addresses


def client(names: Names, port: int) -> Backend:
    return Backend(settings(f"http://backend:{port}", BACKEND_TIMEOUT="5"), names)


ONE, TWO = "127.0.0.1", "127.0.0.2"


async def ask(api: Backend, method: str = "GET") -> str:
    async def body() -> AsyncIterator[bytes]:
        yield b"body"

    headers = CIMultiDict(host="docsearch", **({"content-length": "4"} if method == "POST" else {}))
    answer = await api.ask(method, "/", headers, body() if method == "POST" else None)
    return (await answer.read()).decode()


async def who(api: Backend, count: int = 1, method: str = "GET") -> Counter[str]:
    return Counter([await ask(api, method) for _ in range(count)])


async def test_requests_are_spread_evenly_over_connections_that_stay() -> None:
    port, names = closed_port(), Names(ONE, TWO)
    async with backend(ONE, port), backend(TWO, port), client(names, port) as api:
        assert await who(api, 10) == {ONE: 5, TWO: 5}
        assert names.asked == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_address_that_takes_no_connection_is_passed_over(method: str) -> None:
    port = closed_port()
    async with backend(TWO, port), client(Names(ONE, TWO), port) as api:
        assert await who(api, 10, method) == {TWO: 10}


async def test_a_new_address_is_used_and_an_old_one_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "FRESH", 0.0)
    port, names = closed_port(), Names(ONE)
    async with backend(ONE, port), backend(TWO, port), client(names, port) as api:
        assert await who(api) == {ONE: 1}
        names.addresses = [TWO]
        assert await who(api, 4) == {TWO: 4}


async def test_one_that_came_back_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "AVOID", 0.05)
    monkeypatch.setattr(spreading, "FRESH", 60.0)
    port, names = closed_port(), Names(ONE, TWO)
    async with backend(TWO, port), client(names, port) as api:
        assert await who(api, 2) == {TWO: 2}
        async with backend(ONE, port):
            async with asyncio.timeout(5):
                while await who(api) != {ONE: 1}:
                    assert names.asked == 1, "the name still stands for both"


async def test_one_that_closes_its_connections_is_left_alone_while_there_are_others() -> None:
    """A backend that is being stopped answers so, and a moment later it is gone."""
    port = closed_port()

    async def leaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 7\r\n\r\nleaving")
        writer.close()

    names = Names(ONE, TWO)
    async with serving(ONE, port, leaving), backend(TWO, port), client(names, port) as api:
        assert await who(api, 10) == {"leaving": 1, TWO: 9}
        names.addresses = [ONE]
        async with client(names, port) as alone:
            assert await who(alone, 2) == {"leaving": 2}, "it is better than nothing"


async def test_addresses_are_kept_while_they_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "FRESH", 0.0)
    monkeypatch.setattr(spreading, "LOOK_UP", 0.05)
    port, names = closed_port(), Names(ONE)
    async with backend(ONE, port), backend(TWO, port), client(names, port) as api:
        assert await who(api) == {ONE: 1}
        names.addresses = []
        assert await who(api, 2) == {ONE: 2}
        names.silent = True
        assert await who(api, 2) == {ONE: 2}
        names.silent, names.addresses = False, [TWO]
        assert await who(api) == {TWO: 1}


async def test_without_any_that_answers_it_is_a_failed_connection() -> None:
    port = closed_port()
    for names in (Names(ONE, TWO), Names()):
        async with client(names, port) as api:
            with pytest.raises(Unreachable):
                await ask(api)


async def test_what_was_sent_is_not_sent_again() -> None:
    """The backend reads the request and goes: it may have carried it out."""
    port, seen = closed_port(), []

    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with serving(ONE, port, leave), serving(TWO, port, leave), client(Names(ONE, TWO), port) as api:
        with pytest.raises(BackendError):
            await ask(api, "POST")
    assert len(seen) == 1


async def test_the_names_of_this_machine_resolve() -> None:
    assert ONE in await spreading.resolve("localhost", 80)
