"""Makes the services of compose/ importable for their tests: they are no installed packages."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _postgres import Postgres
    from _stack import Stack
    from _webdriver import Browser

COMPOSE = Path(__file__).resolve().parents[2] / "compose"
for folder in (COMPOSE / "backend", COMPOSE / "frontend", COMPOSE / "shared"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One PostgreSQL for all tests that do it no harm; each takes a schema of its own."""
    from _postgres import postgres

    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def own_network() -> Iterator[None]:
    """A loopback of this file's own, for this thread and what it starts; without root it stays the machine's.

    Chromium drops what it loads when a network comes or goes, as with each container of tests beside these.
    """
    new, up_and_running = 0x40000000, 0x41  # CLONE_NEWNET of sched.h; IFF_UP and IFF_RUNNING of net/if.h
    library = ctypes.CDLL(None, use_errno=True)
    if not Path("/proc/thread-self/ns/net").exists():
        yield
        return
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        if library.unshare(new) != 0:
            yield
            return
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", up_and_running))  # SIOCSIFFLAGS
            yield
        finally:
            assert library.setns(home.fileno(), new) == 0


@pytest.fixture(scope="module")
def browser(own_network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One window for the tests of a file."""
    from _webdriver import chromium

    with chromium(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Both services as processes; the frontend is started by who needs it."""
    from _stack import Stack

    running = Stack(tmp_path)
    try:
        running.start_backend()
        yield running
    finally:
        running.stop()


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Browser]:
    """The page of a new, empty stack at 1280x800; no script error may be left at the end."""
    frontend = stack.start_frontend()
    browser.resize(1280, 800)
    browser.go(frontend.url + "/")
    browser.until(lambda: browser.texts("#collections a"), "the list of collections")
    browser.errors()
    yield browser
    unexpected = [error for error in browser.errors() if "Failed to load resource" not in error]
    assert unexpected == []
    browser.go("about:blank")
