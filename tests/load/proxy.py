"""A proxy in front of a real target that writes down what passes and puts faults into answers."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Fault = Callable[[str, str], tuple[int, bytes] | None]  # method and path -> an answer instead of the target's


@dataclass
class Proxy:
    """Where it listens, and what it saw: method and path of every request, in the order of arrival."""

    url: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def proxy(target: str, fault: Fault = lambda method, path: None) -> Iterator[Proxy]:
    """Serve on a free port of loopback."""
    where, made = urlsplit(target), Proxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.seen.append((self.command, self.path))
            answer = fault(self.command, self.path)
            if answer is not None:
                self._answer(answer[0], answer[1], "application/json")
                return
            assert where.hostname is not None
            onward = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
            try:
                headers = {"Content-Type": self.headers["Content-Type"]} if self.headers["Content-Type"] else {}
                onward.request(self.command, self.path, body or None, headers)
                response = onward.getresponse()
                self._answer(response.status, response.read(), response.headers.get("Content-Type", ""))
            finally:
                onward.close()

        do_GET = do_POST = do_DELETE = handle_any

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def every_third_search_fails() -> Fault:
    """Answer 500 to every third search."""
    lock, count = threading.Lock(), [0]

    def fault(method: str, path: str) -> tuple[int, bytes] | None:
        if not path.startswith("/api/search"):
            return None
        with lock:
            count[0] += 1
            return (500, b'{"error": {"code": "broken", "message": "on purpose"}}') if count[0] % 3 == 0 else None

    return fault


def nothing_is_found(method: str, path: str) -> tuple[int, bytes] | None:
    """Answer every search with no results, as an index does that forgot what it was given."""
    return (200, b'{"total": 0, "results": []}') if path.startswith("/api/search") else None
