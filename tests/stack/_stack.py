"""Backend and frontend as processes on free ports, for tests that need both."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from _frontend import COMPOSE_DIR, FRONTEND_DIR, Service, closed_port, service

BACKEND_DIR = COMPOSE_DIR / "backend"


@dataclass
class Stack:
    """Backend and frontend; the backend can be killed and started again on its port."""

    folder: Path
    backend_port: int = field(default_factory=closed_port)
    backend: Service | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    def start_backend(self) -> None:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        log = self.folder / "backend.log"
        self.backend = self._running.enter_context(
            service("docindexer", BACKEND_DIR, log, ready="/ready", port=self.backend_port, DATA_DIR=str(data))
        )

    def kill_backend(self) -> None:
        assert self.backend is not None
        assert self.backend.stop(signal.SIGKILL) == -signal.SIGKILL

    def start_frontend(self, **environ: str) -> Service:
        url = f"http://127.0.0.1:{self.backend_port}"
        log = self.folder / "frontend.log"
        frontend = service("docfront", FRONTEND_DIR, log, ready="/ready", BACKEND_URL=url, **environ)
        return self._running.enter_context(frontend)

    def stop(self) -> None:
        self._running.close()


def api(stack: Stack) -> httpx.Client:
    assert stack.backend is not None
    return httpx.Client(base_url=stack.backend.url, trust_env=False)


def add(stack: Stack, collection: str, *documents: tuple[str, str]) -> int:
    """Put documents into a new collection, past the page; returns the collection's id."""
    with api(stack) as client:
        number = client.post("/api/collections", json={"name": collection}).raise_for_status().json()["id"]
        bodies = [{"title": title, "text": text} for title, text in documents]
        client.post(f"/api/collections/{number}/documents", json=bodies).raise_for_status()
    return int(number)
