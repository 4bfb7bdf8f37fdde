"""An engine in this process that speaks HTTP over a unix socket, with faults on demand.

    with FakeEngine() as engine:
        web = engine.add("web-1", service="web", health="healthy")
        backend = DockerBackend(scope, engine.environ)
        engine.die(web, 137)

Everything is in memory; `requests` counts what was asked, for budgets.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from fakes.docker_container import FakeContainer
from fakes.docker_http import CLEAN, CUT, Handler, Server, frame, log_bytes, passes

__all__ = ["CLEAN", "CUT", "FakeEngine", "frame"]


class FakeEngine:
    """The engine: containers, events, logs, and what goes wrong."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fake-engine-"))
        self.socket = self.folder / "engine.sock"
        self.containers: dict[str, FakeContainer] = {}
        self.requests: Counter[str] = Counter()  # by the last part of the path: "json", "events", "_ping" ...
        self.faults: dict[str, tuple[int, bytes]] = {}  # path (without version) -> status and body
        self.hanging: set[str] = set()  # paths (without version) that are never answered
        self.stats: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, Any]] = []
        self.flowing = threading.Event()
        self.flowing.set()
        self.lock = threading.RLock()
        self.event_streams: list[tuple[SimpleQueue[bytes | str], dict[str, list[str]]]] = []
        self.log_streams: dict[str, list[SimpleQueue[bytes | str]]] = {}
        self.connections: set[Any] = set()
        self._server: Server | None = None

    @property
    def host(self) -> str:
        """Its address for DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def environ(self) -> dict[str, str]:
        """An environment in which it is the engine."""
        return {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.folder), "HOME": str(self.folder)}

    def __enter__(self) -> FakeEngine:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Listen."""
        self._server = Server(str(self.socket), Handler)
        self._server.engine = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fake-engine", daemon=True).start()

    def stop(self) -> None:
        """Go away as a killed engine does: every connection breaks, the socket is gone, past events are forgotten."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        self.socket.unlink()
        self.history.clear()
        self.flowing.set()
        with self.lock:
            for connection in tuple(self.connections):
                with contextlib.suppress(OSError):  # its client went first
                    connection.shutdown(2)
            for queue, _ in self.event_streams:
                queue.put(CUT)
            for queues in self.log_streams.values():
                for queue in queues:
                    queue.put(CUT)

    def freeze(self) -> None:
        """Keep connections open and answer nothing: a half-open connection. `flowing.set()` ends it."""
        self.flowing.clear()

    def add(self, name: str, *, announce: bool = False, **fields: Any) -> FakeContainer:
        """Make a container."""
        container = FakeContainer(name, **fields)
        self.containers[container.id] = container
        if announce:
            self.emit(container, "create")
            self.emit(container, "start")
        return container

    def emit(self, container: FakeContainer, action: str, **attributes: str) -> None:
        """Send an event to whoever asked for such."""
        now = time.time_ns()
        told = {"image": container.image, "name": container.name, **container.all_labels, **attributes}
        self.history.append(
            {
                "status": action,
                "id": container.id,
                "Type": "container",
                "Action": action,
                "Actor": {"ID": container.id, "Attributes": told},
                "time": now // 1_000_000_000,
                "timeNano": now,
            }
        )
        with self.lock:
            for queue, filters in self.event_streams:
                if passes(self.history[-1], filters):
                    queue.put(json.dumps(self.history[-1]).encode() + b"\n")

    def emit_raw(self, data: bytes) -> None:
        """Send these bytes as one chunk of every event stream."""
        with self.lock:
            for queue, _ in self.event_streams:
                queue.put(data)

    def end_events(self, how: str = CLEAN) -> None:
        """End all event streams."""
        with self.lock:
            for queue, _ in self.event_streams:
                queue.put(how)

    def die(self, container: FakeContainer, exit_code: int = 0) -> None:
        """Let a container's process end."""
        container.state, container.exit_code = "exited", exit_code
        container.status, container.finished_ns = f"Exited ({exit_code}) 1 second ago", time.time_ns()
        self.emit(container, "die", exitCode=str(exit_code))
        self.end_log(container)

    def begin(self, container: FakeContainer) -> None:
        """Let a container start (again)."""
        container.state, container.status, container.started_ns = "running", "Up 1 second", time.time_ns()
        self.emit(container, "start")

    def remove(self, container: FakeContainer) -> None:
        """Remove a container."""
        del self.containers[container.id]
        self.emit(container, "destroy")
        self.end_log(container)

    def say(self, container: FakeContainer, text: bytes, stream: int = 1) -> None:
        """Let a container print a line (or, without a line end, a part of one)."""
        entry = (time.time_ns(), stream, text)
        with self.lock:
            container.log.append(entry)
            for queue in self.log_streams.get(container.id, ()):
                queue.put(log_bytes(container, entry))

    def say_raw(self, container: FakeContainer, data: bytes) -> None:
        """Send these bytes as one chunk of every log stream of a container."""
        with self.lock:
            for queue in self.log_streams.get(container.id, ()):
                queue.put(data)

    def end_log(self, container: FakeContainer, how: str = CLEAN) -> None:
        """End all log streams of a container."""
        with self.lock:
            for queue in self.log_streams.get(container.id, ()):
                queue.put(how)

    def log_readers(self, container: FakeContainer) -> int:
        """How many log streams of a container are open."""
        return len(self.log_streams.get(container.id, ()))

    def event_readers(self) -> int:
        """How many event streams are open."""
        return len(self.event_streams)
