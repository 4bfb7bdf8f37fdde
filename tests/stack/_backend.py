"""The backend for tests: in process with every answer held against the OpenAPI document, or as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from docindexer.app import create_app
from docindexer.openapi import DOCUMENT
from docindexer.settings import Settings
from docindexer.store import Store

from tests import forked

COMPOSE_DIR = Path(__file__).resolve().parents[2] / "compose"
BACKEND_DIR = COMPOSE_DIR / "backend"
SHARED_DIR = COMPOSE_DIR / "shared"
JSON_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}


@asynccontextmanager
async def api_client(store: Store | None, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of an application in this process; it fails on an answer the OpenAPI document does not allow."""
    app = create_app(settings, store)

    async def documented(response: httpx.Response) -> None:
        await response.aread()
        check_answer(response)

    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://test", event_hooks={"response": [documented]}
        ) as client,
    ):
        yield client


def check_answer(response: httpx.Response) -> None:
    """Fail when the OpenAPI document does not foresee this answer to this request."""
    operation = _operation(response.request)
    if operation is None or response.request.method == "HEAD":
        if response.request.method != "HEAD":
            assert response.status_code in (404, 405), response
            _check(response.json(), DOCUMENT["components"]["schemas"]["Error"], "body")
        return
    answers = operation["responses"]
    assert str(response.status_code) in answers, f"undocumented: {response.request} {response} {response.text[:300]}"
    content = answers[str(response.status_code)].get("content", {})
    if "application/json" in content:
        _check(response.json(), content["application/json"]["schema"], "body")
    else:
        assert content or not response.content


def _operation(request: httpx.Request) -> dict[str, Any] | None:
    for template, methods in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.url.path):
            found: dict[str, Any] | None = methods.get(request.method.lower())
            return found
    return None


def _check(value: Any, schema: dict[str, Any], where: str) -> None:
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "const" in schema:
        assert value == schema["const"], where
        return
    kind = schema["type"]
    assert isinstance(value, JSON_TYPES[kind]), f"{where} is no {kind}: {value!r}"
    assert not isinstance(value, bool), where
    if "minimum" in schema:
        assert value >= schema["minimum"], where
    if kind == "array":
        for item in value:
            _check(item, schema["items"], where + "[]")
    if kind == "object" and "properties" in schema:
        assert value.keys() == schema["properties"].keys(), where
        for name, inner in schema["properties"].items():
            _check(value[name], inner, f"{where}.{name}")


class BackendProcess:
    """`python -m docindexer` on a free port of the loopback interface."""

    def __init__(self, folder: Path, source: Path = BACKEND_DIR, **env: str) -> None:
        self.log = folder / f"log-{time.monotonic_ns()}.txt"
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        path = f"{source}{os.pathsep}{SHARED_DIR}"
        defaults = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "DATA_DIR": str(folder), "PORT": "0"}
        with self.log.open("wb") as output:
            self.process = forked.Popen(
                "docindexer",
                env=inherited | defaults | {"MIN_FREE_BYTES": "0"} | env,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def url(self) -> str:
        """Wait until the server listens and return its address."""
        return wait_for(self._listening, "the server to listen", self.output)

    def _listening(self) -> str | None:
        found = re.search(r"running on (http://127\.0\.0\.1:\d+)", self.output())
        assert found or self.process.poll() is None, self.output()
        return found and found[1]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url(), trust_env=False, timeout=10)

    def signal(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=15)


@contextmanager
def backend_process(folder: Path, source: Path = BACKEND_DIR, **env: str) -> Iterator[BackendProcess]:
    """Start the service, and end it whatever happens."""
    backend = BackendProcess(folder, source, **env)
    try:
        yield backend
    finally:
        if backend.process.poll() is None:
            backend.signal(signal.SIGTERM)


def wait_for(condition: Callable[[], Any], what: str, explain: Callable[[], str] = str, seconds: float = 10) -> Any:
    """Poll until the condition gives something true and return that; fails at the deadline with an explanation."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no success in {seconds} s waiting for {what}\n{explain()}"
        time.sleep(0.02)
    return found
