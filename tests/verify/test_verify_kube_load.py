"""The load's program, which runs in a pod, against servers that behave and others that do not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from devenv.verify.kube.load import PROGRAM

RATE = 50.0


class Server:
    """Answers on loopback; `judge` says what becomes of the request of a number: a status, or "cut"."""

    def __init__(self, judge: Callable[[int], int | str] = lambda number: 200) -> None:
        self.judge = judge
        self.requests = 0
        self.connections = 0
        self.close_each = False
        self.bodies: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_GET(self) -> None:
                server.requests += 1
                length = int(self.headers.get("Content-Length") or 0)
                server.bodies.append(self.rfile.read(length).decode())
                verdict = server.judge(server.requests)
                if verdict == "cut":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(int(verdict))
                self.send_header("Content-Length", "2")
                if server.close_each:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"ok")

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    made.thread.join(30)


class Program:
    """The program as a pod runs it."""

    def __init__(self, url: str, kept: int = 0, **wanted: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.read_text("utf-8")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        calls = [{"method": "GET", "path": "/"}, {"method": "POST", "path": "/x", "body": '{"word": "{n}"}'}]
        self.say(json.dumps({"url": url, "rate": RATE, "kept": kept, "patience": 2.0, "calls": calls} | wanted))
        assert self.line() == "begun"

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def now(self) -> dict[str, Any]:
        self.say("tell")
        found: dict[str, Any] = json.loads(self.line().removeprefix("now "))
        return found

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while not condition(seen := self.now()):
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)
        return seen

    def stop(self) -> dict[str, Any]:
        self.say("stop")
        found: dict[str, Any] = json.loads(self.line().removeprefix("result "))
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(60) == 0
        return found


def test_every_request_is_sent_once_on_a_connection_of_its_own(server: Server) -> None:
    program = Program(server.url)
    program.until(lambda seen: seen["answered"] >= 30)
    found = program.stop()
    assert found["failures"] == 0
    assert found["sent"] == found["answered"] == found["opened"] == server.requests == server.connections
    # In the order of the answers, and on a busy machine one overtakes another.
    assert sorted(found["acknowledged"]) == sorted(f"load{number}" for number in range(1, found["sent"], 2))
    assert '{"word": "load1"}' in server.bodies


def test_kept_connections_are_used_again_in_turn(server: Server) -> None:
    program = Program(server.url, kept=4)
    program.until(lambda seen: seen["answered"] >= 40)
    found = program.stop()
    assert found["failures"] == 0
    assert 4 <= found["opened"] <= found["answered"] // 2, "more than four where an answer was slow"
    assert server.connections == found["opened"]


def test_a_server_that_says_that_it_closes_is_believed(server: Server) -> None:
    server.close_each = True
    program = Program(server.url, kept=4)
    program.until(lambda seen: seen["answered"] >= 20)
    found = program.stop()
    assert found["failures"] == 0
    assert found["opened"] == found["sent"]


def test_a_request_that_is_cut_off_is_a_failure_also_on_a_kept_connection(server: Server) -> None:
    server.judge = lambda number: "cut" if number == 10 else 200
    program = Program(server.url, kept=2)
    program.until(lambda seen: seen["answered"] >= 20)
    found = program.stop()
    assert found["failures"] == 1
    assert "RemoteDisconnected" in found["examples"][0]


def test_the_gap_is_from_the_first_failure_to_the_first_success_after_the_last(server: Server) -> None:
    broken = threading.Event()
    server.judge = lambda number: 503 if broken.is_set() else 200
    program = Program(server.url)
    program.until(lambda seen: seen["answered"] >= 5)
    broken.set()
    began = time.monotonic()
    program.until(lambda seen: seen["failures"] >= 10)
    assert program.now()["failing"]
    broken.clear()
    lasted = time.monotonic() - began
    program.until(lambda seen: not seen["failing"])
    found = program.stop()
    assert found["failures"] >= 10
    assert "503" in found["examples"][0]
    assert found["gap"] == pytest.approx(lasted, abs=0.5)


def test_the_end_of_its_input_ends_it(server: Server) -> None:
    program = Program(server.url)
    assert program.process.stdin is not None
    program.process.stdin.close()
    assert program.process.stdout is not None
    assert program.line().startswith("result ")
    program.process.stdout.close()
    assert program.process.wait(60) == 0
