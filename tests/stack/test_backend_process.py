"""The service as a process: signals, the environment, its log, big bodies on a real connection, the health check."""

from __future__ import annotations

import json
import re
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from _backend import BackendProcess, backend_process, wait_for

ROUNDS = 6
WRITERS = 3


class Writer(threading.Thread):
    """Adds documents one after the other, and batches, until the service is gone; keeps what was acknowledged."""

    def __init__(self, url: str, collection: int, name: str) -> None:
        super().__init__(name=name)
        self.url = f"{url}/api/collections/{collection}/documents"
        self.acknowledged: dict[int, str] = {}
        self.refused: list[str] = []

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            number = 0
            while True:
                number += 1
                titles = [f"{self.name}-{number}-{part}" for part in range(3 if number % 5 == 0 else 1)]
                body = [{"title": title, "text": f"text of {title} " * 20} for title in titles]
                try:
                    answer = client.post(self.url, json=body)
                except httpx.TransportError:
                    return
                if answer.status_code != 201:
                    self.refused.append(answer.text)
                    return
                self.acknowledged.update(zip(answer.json()["ids"], titles, strict=True))


def test_acknowledged_documents_survive_sigkill(tmp_path: Path) -> None:
    expected: dict[int, str] = {}
    collection = 0
    for number in range(ROUNDS):
        with backend_process(tmp_path) as backend, backend.client() as client:
            if number == 0:
                collection = client.post("/api/collections", json={"name": "c"}).json()["id"]
            writers = [Writer(backend.url(), collection, f"r{number}w{at}") for at in range(WRITERS)]
            for writer in writers:
                writer.start()
            # Killed in the middle of writing, a little later in each round.
            enough = 5 + 5 * number
            wait_for(lambda w=writers, n=enough: sum(len(x.acknowledged) for x in w) >= n, "writes", backend.output)
            assert backend.signal(signal.SIGKILL) == -signal.SIGKILL
            for writer in writers:
                writer.join(10)
                assert not writer.refused
                expected |= writer.acknowledged
    with backend_process(tmp_path) as backend, backend.client() as client:
        assert client.get("/ready").status_code == 200
        for document, title in expected.items():
            answer = client.get(f"/api/collections/{collection}/documents/{document}")
            assert answer.status_code == 200, (document, title)
            assert answer.json()["title"] == title
            found = client.get("/api/search", params={"q": title}).json()["results"]
            assert document in [hit["id"] for hit in found], "acknowledged and stored, but not in the index"
        total = client.get(f"/api/collections/{collection}").json()["documents"]
        # What was being written at each kill may be there or not, but batches only as a whole.
        assert len(expected) <= total <= len(expected) + ROUNDS * WRITERS * 3
    assert len(expected) > ROUNDS * 5


def test_a_lost_log_loses_nothing(tmp_path: Path) -> None:
    with backend_process(tmp_path) as backend, backend.client() as client:
        client.post("/api/collections", json={"name": "c"})
        client.post("/api/collections/1/documents", json={"title": "before", "text": "needle"})
        (tmp_path / "docsearch.db-wal").unlink()
        assert client.post("/api/collections/1/documents", json={"title": "after", "text": "needle"}).status_code == 201
        backend.signal(signal.SIGKILL)
    with backend_process(tmp_path) as backend, backend.client() as client:
        hits = client.get("/api/search", params={"q": "needle"}).json()["results"]
        assert [hit["title"] for hit in hits] == ["before", "after"]


def request_head(length: int, *more: str) -> bytes:
    lines = ["POST /api/collections HTTP/1.1", "Host: test", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {length}", *more, "", ""]).encode()


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_finished_at_the_end(tmp_path: Path, number: signal.Signals) -> None:
    body = json.dumps({"name": "in flight"}).encode()
    with backend_process(tmp_path) as backend:
        url = backend.url()
        with connect(url) as connection, connect(url) as idle:
            connection.sendall(request_head(len(body), "Expect: 100-continue"))
            # The application has asked for the body: the request is being worked on.
            assert connection.recv(1024).startswith(b"HTTP/1.1 100")
            backend.process.send_signal(number)
            wait_for(lambda: "Shutting down" in backend.output(), "the end to begin", backend.output)
            connection.sendall(body)
            assert read_all(connection).startswith(b"HTTP/1.1 201")
            assert read_all(idle) == b"", "a connection without a request is closed"
        assert backend.process.wait(10) == 0
    with backend_process(tmp_path) as backend, backend.client() as client:
        assert [item["name"] for item in client.get("/api/collections").json()] == ["in flight"]


def test_a_request_that_never_ends_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with backend_process(tmp_path, SHUTDOWN_TIMEOUT="1") as backend, connect(backend.url()) as connection:
        connection.sendall(request_head(10, "Expect: 100-continue"))
        assert connection.recv(1024).startswith(b"HTTP/1.1 100")
        assert backend.signal(signal.SIGTERM) == 0


def test_a_signal_during_the_start_ends_it(tmp_path: Path) -> None:
    for _ in range(3):
        backend = BackendProcess(tmp_path)
        wait_for(lambda b=backend: caught_signals(b.pid) & 1 << signal.SIGTERM - 1, "the handler")
        assert backend.signal(signal.SIGTERM) == 0, backend.output()


def caught_signals(pid: int) -> int:
    return int(re.findall(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())[0], 16)


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"PORT": "http"}, "PORT is 'http': it must be a whole number from 0 to 65535"),
        ({"PORT": "70000"}, "PORT is '70000'"),
        ({"MAX_BODY_BYTES": "4M"}, "MAX_BODY_BYTES is '4M'"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'loud': it must be one of debug, info"),
        ({"RELOAD": "maybe"}, "RELOAD is 'maybe': it must be 1 or 0"),
        ({"READ_THREADS": "0"}, "READ_THREADS is '0'"),
        ({"DATABASE_URL": "mysql://db/docs"}, "DATABASE_URL must be like postgresql://user@host:5432/database"),
        ({"DATABASE_URL": "postgresql://u:hunter2@db:port/docs"}, "DATABASE_URL is not usable: it must be like"),
        ({"DATABASE_PASSWORD_FILE": "/nothing"}, "DATABASE_PASSWORD_FILE is set, but not DATABASE_URL"),
        ({"PORT": "-1", "READ_THREADS": "x"}, "READ_THREADS is 'x'"),
    ],
)
def test_a_wrong_environment_is_explained(tmp_path: Path, env: dict[str, str], problem: str) -> None:
    backend = BackendProcess(tmp_path, **env)
    assert backend.process.wait(10) == 2
    assert f"doc-indexer: {problem}" in backend.output()
    assert len(backend.output().splitlines()) == len(env)
    assert "hunter2" not in backend.output()
    assert not (tmp_path / "docsearch.db").exists()


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    with backend_process(tmp_path, LOG_LEVEL="", MAX_BODY_BYTES="", RELOAD="", DATABASE_PATH="") as backend:
        assert backend.url()


def test_it_starts_without_its_volume_and_heals_when_it_comes(tmp_path: Path) -> None:
    with backend_process(tmp_path, DATA_DIR=str(tmp_path / "later")) as backend, backend.client() as client:
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unopenable")
        (tmp_path / "later").mkdir()
        assert client.get("/ready").status_code == 200


def test_a_disk_that_takes_no_more_is_named_and_recovers(tmp_path: Path) -> None:
    """The kernel refuses to let the process's files grow: the nearest to a full disk that needs no mount."""
    with backend_process(tmp_path) as backend, backend.client() as client:
        client.post("/api/collections", json={"name": "c"})
        body = [{"title": f"t{number}", "text": "word " * 2000} for number in range(20)]
        hard = resource.prlimit(backend.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(backend.pid, resource.RLIMIT_FSIZE, (4096, hard))
        assert client.get("/ready").status_code == 503
        refused = client.post("/api/collections/1/documents", json=body)
        assert refused.status_code == 503, refused.text
        assert client.get("/health").status_code == 200
        resource.prlimit(backend.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert client.get("/ready").status_code == 200, client.get("/ready").text
        assert client.get("/api/collections/1").json()["documents"] == 0
        assert client.post("/api/collections/1/documents", json=body).status_code == 201


def test_the_log_is_one_structured_line_an_event(tmp_path: Path) -> None:
    with backend_process(tmp_path, LOG_LEVEL="debug") as backend, backend.client() as client:
        client.get("/api/search", params={"q": "a\nlevel=error event=forged"})
        client.get("/x%0Atime=now%20%22quoted%22%1b[31m")
        client.get("/health")
        backend.signal(signal.SIGTERM)
        lines = backend.output().splitlines()
    value = r'("(\\.|[^"\\])*"|\S+)'
    line = re.compile(rf"time=\S+Z level=(debug|info|warning|error) event={value}( \w+={value})*")
    assert all(line.fullmatch(text) for text in lines), lines
    assert "\x1b" not in backend.output()
    requests = [text for text in lines if "event=request" in text]
    assert len(requests) == 3
    assert 'path="/x\\ntime=now \\"quoted\\"\\u001b[31m" route=unmatched status=404' in requests[1]


def test_requests_of_probes_are_logged_only_when_they_fail(tmp_path: Path) -> None:
    with backend_process(tmp_path) as backend, backend.client() as client:
        for path in ("/health", "/ready", "/metrics"):
            client.get(path)
        client.get("/api/collections", headers={"User-Agent": "docsearch-healthcheck"})
        (tmp_path / "docsearch.db").unlink()
        client.get("/ready")

        def requests() -> list[str]:
            return [line for line in backend.output().splitlines() if "event=request" in line]

        # A line is written after its answer was sent, and in order: with the last one all others would be there.
        logged = wait_for(requests, "the line of the request that failed", backend.output)
    assert len(logged) == 1
    assert "route=/ready status=503" in logged[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    with backend_process(tmp_path_factory.mktemp("running"), MAX_BODY_BYTES="100000") as backend:
        backend.url()
        yield backend


def test_a_client_that_sends_too_much_first_and_listens_then_gets_the_answer(running: BackendProcess) -> None:
    with connect(running.url()) as connection:
        connection.sendall(request_head(8_000_000) + b" " * 8_000_000)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":"body_too_large"' in answer


def test_a_body_of_unknown_length_is_limited_too(running: BackendProcess) -> None:
    pieces = (b" " * 100_000 for _ in range(50))
    with running.client() as client:
        answer = client.post("/api/collections", content=pieces, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert client.get("/health").status_code == 200


def test_a_client_that_asks_first_is_told_not_to_send(running: BackendProcess) -> None:
    with connect(running.url()) as connection:
        connection.sendall(request_head(10**9, "Expect: 100-continue"))
        assert read_all(connection).startswith(b"HTTP/1.1 413")


def test_a_client_that_leaves_early_is_no_failure(running: BackendProcess) -> None:
    with connect(running.url()) as connection:
        connection.sendall(request_head(1000) + b'{"name"')
    wait_for(lambda: "status=400" in running.output(), "the end of the request", running.output)
    assert "Traceback" not in running.output()
