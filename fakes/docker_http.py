"""The fake engine's HTTP side: a threading server on a unix socket."""

from __future__ import annotations

import json
import select
import socketserver
import time
from http.server import BaseHTTPRequestHandler
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from fakes.docker_container import FakeContainer, rfc3339

if TYPE_CHECKING:
    from fakes.docker_engine import FakeEngine

API = "1.51"
CLEAN, CUT = "clean", "cut"  # how a stream ends: with the last chunk, or in the middle


def frame(stream: int, payload: bytes) -> bytes:
    """Put a payload into a frame of the multiplexed stream."""
    return bytes((stream, 0, 0, 0)) + len(payload).to_bytes(4, "big") + payload


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    engine: FakeEngine

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what these tests are about."""


def log_bytes(container: FakeContainer, entry: tuple[int, int, bytes]) -> bytes:
    stamped = rfc3339(entry[0]).encode() + b" " + entry[2]
    return stamped if container.tty else frame(entry[1], stamped)


def passes(event: dict[str, Any], filters: dict[str, list[str]]) -> bool:
    """Filter as moby does (daemon/events/filter.go): event names by prefix, labels as attributes."""
    attributes = event["Actor"]["Attributes"]
    actions = filters.get("event", [])
    labels = (label.partition("=") for label in filters.get("label", []))
    return (not actions or event["Action"].startswith(tuple(actions))) and all(
        attributes.get(name) == value for name, _, value in labels
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.engine = self.server.engine
        self.engine.connections.add(self.connection)

    def finish(self) -> None:
        self.engine.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.engine.flowing.wait()
        parts = urlsplit(self.path)
        segments = [part for part in parts.path.split("/") if part]
        if segments[0].startswith("v1."):
            segments.pop(0)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.engine.requests[segments[-1]] += 1
        path = "/" + "/".join(segments)
        while path in self.engine.hanging and not self._left():
            time.sleep(0.05)
        fault = self.engine.faults.get(path)
        if fault is not None:
            self._answer(fault[1], fault[0])
            return
        match segments:
            case ["_ping"]:
                self._answer(b"OK")
            case ["version"]:
                self._json({"ApiVersion": API, "Version": "99.0-fake"})
            case ["events"]:
                self._events(query)
            case ["containers", "json"]:
                filters = {"label": json.loads(query.get("filters", "{}")).get("label", [])}
                containers = tuple(self.engine.containers.values())
                self._json([c.listed() for c in containers if _labelled(c, filters["label"])])
            case ["networks"]:
                self._json([])
            case ["containers", name, verb]:
                self._container(name, verb, query)
            case _:
                self._json({"message": "page not found"}, 404)

    def _container(self, name: str, verb: str, query: dict[str, str]) -> None:
        container = self.engine.containers.get(name)
        if container is None:
            self._json({"message": f"No such container: {name}"}, 404)
        elif verb == "json":
            self._json(container.inspected())
        elif verb == "stats":
            self._json(self.engine.stats.get(container.id, {"read": "0001-01-01T00:00:00Z"}))
        else:
            self._logs(container, query)

    def _events(self, query: dict[str, str]) -> None:
        filters = json.loads(query.get("filters", "{}"))
        queue: SimpleQueue[bytes | str] = SimpleQueue()
        since = float(query["since"]) if "since" in query else float("inf")
        with self.engine.lock:
            for event in self.engine.history:
                if event["timeNano"] / 1e9 >= since and passes(event, filters):
                    queue.put(json.dumps(event).encode() + b"\n")
            if "until" in query:  # all that is asked for is over
                queue.put(CLEAN)
            entry = (queue, filters)
            self.engine.event_streams.append(entry)
        try:
            self._stream(queue, "application/json")
        finally:
            with self.engine.lock:
                self.engine.event_streams.remove(entry)

    def _logs(self, container: FakeContainer, query: dict[str, str]) -> None:
        queue: SimpleQueue[bytes | str] = SimpleQueue()
        with self.engine.lock:
            since, until = float(query.get("since", "0")), float(query.get("until", "inf"))
            for line in container.log_since(since, query.get("tail", ""), until):
                queue.put(log_bytes(container, line))
            readers = self.engine.log_streams.setdefault(container.id, [])
            if query.get("follow") == "1" and container.state == "running":
                readers.append(queue)
            else:
                queue.put(CLEAN)
        kind = "raw" if container.tty else "multiplexed"
        try:
            self._stream(queue, f"application/vnd.docker.{kind}-stream")
        finally:
            with self.engine.lock:
                if queue in readers:
                    readers.remove(queue)

    def _stream(self, queue: SimpleQueue[bytes | str], kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        while not self._left():
            try:
                item = queue.get(timeout=0.05)
            except Empty:
                continue
            self.engine.flowing.wait()
            if isinstance(item, bytes):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(item), item))
                continue
            if item == CLEAN:
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.close_connection = True
            return

    def _left(self) -> bool:
        """Whether the client closed the connection: nothing is ever sent by it during a stream."""
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        self.close_connection = True
        return True

    def _json(self, value: object, status: int = 200) -> None:
        self._answer(json.dumps(value).encode(), status)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _labelled(container: FakeContainer, labels: list[str]) -> bool:
    return all(container.all_labels.get(name) == value for name, _, value in (label.partition("=") for label in labels))
