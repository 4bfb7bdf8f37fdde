"""The frontend as a process: stopping, failing to start, health check, hot reload."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from _frontend import FRONTEND_DIR, Service, base_environ, service


@contextmanager
def slow_backend() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """Serve answers that wait; yields the address, `asked` and `go`."""
    asked, go = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            go.wait(10)
            self.send_response(200)
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"done")

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked, go
    finally:
        go.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stop_finishes_requests_in_flight(tmp_path: Path, signum: signal.Signals) -> None:
    with (
        slow_backend() as (url, asked, go),
        service("docfront", FRONTEND_DIR, tmp_path / "log", BACKEND_URL=url) as running,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(running.get, "/api/search?q=x", timeout=15)
        assert asked.wait(10)
        running.process.send_signal(signum)
        running.until(lambda: "Shutting down" in running.log(), "the stop began")
        go.set()
        assert answer.result(10).text == "done"
        assert running.process.wait(10) == 0


def test_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    with (
        slow_backend() as (url, asked, _),
        service("docfront", FRONTEND_DIR, tmp_path / "log", BACKEND_URL=url, SHUTDOWN_TIMEOUT="1") as running,
        socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as waiting,
    ):
        waiting.sendall(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n")
        assert asked.wait(10)
        assert running.stop() == 0


def test_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-m", "docfront"],
            cwd=FRONTEND_DIR,
            env={**base_environ(), "PORT": str(taken.getsockname()[1])},
            capture_output=True,
            text=True,
            timeout=20,
        )
    assert done.returncode == 3
    assert "Address already in use" in done.stdout


def test_probes_are_not_logged(tmp_path: Path) -> None:
    with service("docfront", FRONTEND_DIR, tmp_path / "log", BACKEND_URL="http://127.0.0.1:9") as running:
        for path in ("/health", "/ready", "/style.css"):
            running.get(path)
        running.until(lambda: "/style.css" in running.log(), "the access line of a file")
        log = running.log()
    assert "path=/health" not in log
    assert "event=request method=GET path=/ready status=503" in log


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the service's folder that a test may edit."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(FRONTEND_DIR / "docfront", tmp_path / "app" / "docfront", ignore=ignored)
    return tmp_path / "app"


@contextmanager
def reloading(copy: Path) -> Iterator[Service]:
    with service("docfront", copy, copy / "log", BACKEND_URL="http://127.0.0.1:9", RELOAD="1") as running:
        yield running


def test_changed_file_of_the_page_is_served_at_once(copy: Path) -> None:
    with reloading(copy) as running:
        before = running.get("/style.css")
        (copy / "docfront/static/style.css").write_text("/* nonce-4711 */")
        after = running.get("/style.css", headers={"if-none-match": before.headers["etag"]})
    assert (after.status_code, after.text) == (200, "/* nonce-4711 */")


def test_source_is_reloaded_and_survives_a_syntax_error(copy: Path) -> None:
    probes = copy / "docfront" / "probes.py"
    original = probes.read_text()
    with reloading(copy) as running:
        probes.write_text(original.replace('"ok"', '"nonce-1"'))
        running.until(lambda: running.get("/health", timeout=1).json()["status"] == "nonce-1", "the edit is served")
        probes.write_text("def broken(:\n")
        running.until(lambda: "SyntaxError" in running.log(), "the error is in the log")
        assert running.process.poll() is None
        probes.write_text(original)
        running.until(lambda: running.get("/health", timeout=1).json()["status"] == "ok", "the repair is served")
        assert running.stop() == 0
    assert not psutil.pid_exists(running.process.pid)


def test_killed_worker_ends_the_service(copy: Path) -> None:
    with reloading(copy) as running:
        workers = [
            child
            for child in psutil.Process(running.process.pid).children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
        assert len(workers) == 1
        workers[0].kill()
        assert running.process.wait(10) == 128 + signal.SIGKILL
    assert 'event="worker killed" signal=SIGKILL' in running.log()
