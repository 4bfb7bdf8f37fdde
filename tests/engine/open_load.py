"""Constant load on the search page: an open model, so that a slow answer does not make the next request wait.

Requests start on a schedule whatever became of those before, as many users do who know nothing of each other; a closed
model would send less in the very moment that is looked for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

RATE = 12.0  # requests a second; a machine that is busy with other tests still serves them
MOST = 2000  # requests in all: no run is longer than 170 s
PATIENCE = 10.0  # seconds for one request; whoever gives up earlier would hide a gap


@dataclass
class Load:
    """What was sent and what came back."""

    url: str
    collection: int
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    slowest: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send until told to stop."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=20)
        async with (
            httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=PATIENCE, limits=limits) as client,
            asyncio.TaskGroup() as group,
        ):
            began = time.monotonic()
            while not self.stop.is_set() and self.sent < MOST:
                group.create_task(self._one(client, self.sent))
                self.sent += 1
                await asyncio.sleep(max(began + self.sent / RATE - time.monotonic(), 0))

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        began = time.monotonic()
        title = f"document-{number}"
        path = f"/api/collections/{self.collection}/documents"
        try:
            if number % 3 == 0:
                answer = await client.post(path, json={"title": title, "text": "needle"})
            else:
                answer = await client.get(*(("/api/search?q=needle&limit=5",) if number % 3 == 1 else (path,)))
        except httpx.TransportError as error:
            self.failures.append(f"{number}: {type(error).__name__} {error}")
            return
        self.slowest = max(self.slowest, time.monotonic() - began)
        if answer.status_code >= 400:
            self.failures.append(f"{number}: {answer.request.method} {answer.status_code} {answer.text[:200]}")
        elif number % 3 == 0:
            self.acknowledged.append(title)

    def wait(self, condition: Callable[[Load], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < deadline, f"{self.sent} sent, failures: {self.failures[:5]}"
            time.sleep(0.05)


@contextmanager
def constant_load(url: str, collection: int) -> Iterator[Load]:
    """Send requests until the block ends; then every answer is in."""
    load = Load(url, collection)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        thread.join(PATIENCE + 20)
    assert not thread.is_alive()
