"""The frontend for tests: in process behind a real server, or as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from docfront.app import create_app
from docfront.server import server_config
from docfront.settings import Settings

from tests import forked

COMPOSE_DIR = Path(__file__).resolve().parents[2] / "compose"
FRONTEND_DIR = COMPOSE_DIR / "frontend"
SHARED_DIR = COMPOSE_DIR / "shared"


def closed_port() -> int:
    """Return a port of the loopback interface where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def settings(backend_url: str, **changes: str) -> Settings:
    """Return settings with short time limits."""
    environ = {"BACKEND_URL": backend_url, "BACKEND_CONNECT_TIMEOUT": "1", "BACKEND_TIMEOUT": "1", **changes}
    return Settings.from_environ(environ)


@asynccontextmanager
async def serving(backend_url: str, **changes: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the application on a free port in this event loop; yields a client for it."""
    chosen = settings(backend_url, **changes)
    # Without a logging configuration of its own: it would replace the handlers of pytest.
    config = server_config(chosen, lambda: create_app(chosen), None)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client:
            # The listening socket keeps a request until the server has started.
            await client.get("/health")
            yield client
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)


class Service:
    """A service running as a process."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def until(self, condition: Callable[[], Any], what: str, timeout: float = 15.0) -> Any:
        """Poll until `condition` is true; connection errors count as false; seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                if value := condition():
                    return value
            except httpx.TransportError as error:
                value = error
            assert time.monotonic() < deadline, f"not within {timeout:g} s: {what} ({value!r})\n--- log\n{self.log()}"
            time.sleep(0.05)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False, **{"timeout": 5, **options})

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(20)


@contextmanager
def service(
    module: str, folder: Path, log: Path, *, ready: str = "/health", port: int | None = None, **environ: str
) -> Iterator[Service]:
    """Run `python -m module` from `folder` on a free port until the block ends; waits for `ready` to answer 200."""
    port = port or closed_port()
    with log.open("a") as output:
        process = forked.Popen(
            module,
            cwd=folder,
            env={**base_environ(), "PORT": str(port), **environ},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Service(process, f"http://127.0.0.1:{port}", log)
    try:
        running.until(lambda: process.poll() is not None or running.get(ready).status_code == 200, f"{module} is up")
        assert process.poll() is None, f"{module} ended with {process.returncode}\n{running.log()}"
        yield running
    finally:
        # The reloader's worker is in the same session: nothing of a failed test survives it.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def base_environ() -> Mapping[str, str]:
    """Return the environment of a service: nothing of the developer's own settings."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SHARED_DIR),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
