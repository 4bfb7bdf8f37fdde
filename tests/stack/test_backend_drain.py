"""The gentle end: requests that come while the service is being stopped are still served."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _backend import BackendProcess, backend_process, wait_for
from test_backend_process import connect, read_all, request_head


@contextmanager
def draining(folder: Path, seconds: int) -> Iterator[tuple[BackendProcess, socket.socket]]:
    """Give a service that was told to stop while a connection was idle, and that connection."""
    with backend_process(folder, DRAIN_TIMEOUT=str(seconds)) as backend, connect(backend.url()) as idle:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += idle.recv(4096)
        assert b"connection: close" not in answer.lower()
        backend.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "draining connections" in backend.output(), "the drain", backend.output)
        yield backend, idle


def test_a_request_on_an_idle_connection_is_served_and_then_closed(tmp_path: Path) -> None:
    with draining(tmp_path, 20) as (backend, idle):
        body = json.dumps({"name": "at the last moment"}).encode()
        idle.sendall(request_head(len(body)) + body)
        answer = read_all(idle)
        idle.close()
        assert answer.startswith(b"HTTP/1.1 201")
        assert b"connection: close" in answer.lower()
        assert backend.process.wait(5) == 0, "nobody is connected any more: there is nothing to wait for"


def test_it_is_alive_but_not_ready_and_takes_new_connections(tmp_path: Path) -> None:
    with draining(tmp_path, 20) as (backend, idle):
        with backend.client() as client:
            assert client.get("/health").status_code == 200
            ready = client.get("/ready")
            assert (ready.status_code, ready.json()["code"]) == (503, "stopping")
            assert client.get("/api/collections").status_code == 200
            assert client.get("/api/collections").headers["connection"] == "close"
        idle.close()
        assert backend.process.wait(5) == 0


def test_it_ends_in_time_though_a_connection_stays(tmp_path: Path) -> None:
    with draining(tmp_path, 1) as (backend, idle):
        assert backend.process.wait(5) == 0
        assert read_all(idle) == b""


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with draining(tmp_path, 60) as (backend, _):
        assert backend.signal(signal.SIGTERM) == 0


def test_an_interrupt_from_the_keyboard_does_not_drain(tmp_path: Path) -> None:
    with backend_process(tmp_path, DRAIN_TIMEOUT="60") as backend, connect(backend.url()):
        assert backend.signal(signal.SIGINT) == 0
