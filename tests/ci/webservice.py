"""A web service on loopback that answers as it is told, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], str]


class Service:
    """`answer` makes status, headers and body of a method, path and count of requests; None: it never answers."""

    def __init__(self, answer: Callable[[str, str, int], Answer | None]) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.over = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                service.requests.append((self.command, self.path, json.loads(body) if body else None))
                service.headers.append({name.lower(): value for name, value in self.headers.items()})
                found = answer(self.command, self.path, len(service.requests))
                if found is None:
                    service.over.wait(60)
                    return
                status, headers, text = found
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text.encode())), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = handle_one

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Service]:
        """Serve within the block."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@contextmanager
def serving(answer: Callable[[str, str, int], Answer | None]) -> Iterator[Service]:
    """Serve these answers within the block."""
    with Service(answer).running() as service:
        yield service
