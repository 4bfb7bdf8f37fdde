"""Asks an address at a constant rate while a deployment goes on: what serves may not fail a single request.

Requests are sent when they are due, whatever became of those before, so that an address which answers slowly is asked
as often as one that is fast.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import httpx

from devenv.control.deploy.outcome import Check, Prover, Status
from devenv.core.errors import UsageError

RATE: Final = 5.0  # requests a second: a gap of a fifth of a second is seen
WITHIN: Final = 1.0  # seconds: the budget of an answer; a person notices more
LEAST: Final = 20  # requests that a verdict is made of
NAME: Final = "availability"
_AT_ONCE: Final = 16  # requests that may wait for an answer side by side: more than RATE * the time that one can take


def parse_address(text: str) -> httpx.URL:
    """Return the address of --available; raises UsageError."""
    example = "For example https://search.example.com/health."
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise UsageError(f"--available {text!r} is no address: {error}", example) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"--available {text!r} is no address", example)
    return url


class AvailabilityProver:
    """A `Prover` around another.

    Where the address did not answer before the change, only what serves after it is judged.
    """

    def __init__(self, url: httpx.URL, inner: Prover | None, *, within: float = WITHIN, least: int = LEAST) -> None:
        self._url = url
        self._inner = inner
        self._within = within
        self._least = least
        self._client = httpx.Client(timeout=within, follow_redirects=False)
        self._window: _Window | None = None

    def prepare(self) -> Check:
        """Begin to ask, where it serves now; what the inner prover prepares is told."""
        failure = _ask(self._client, self._url, self._within)
        if not failure:
            self._window = _Window(self._client, self._url, self._within)
        before = "it serves, and is asked from now on" if not failure else f"before the change: {failure}"
        inner = self._inner.prepare() if self._inner is not None else None
        return Check(inner.name, inner.status, f"{inner.text}; {before}") if inner else Check(NAME, Status.DONE, before)

    def prove(self, objects: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
        """Return the inner checks, and whether every request since `prepare` was answered well and in time."""
        checks = self._inner.prove(objects) if self._inner is not None else ()
        window = self._window or _Window(self._client, self._url, self._within)
        self._window = None  # a rollback is judged by what serves after it
        return (*checks, window.end(self._least))

    def close(self) -> None:
        """Stop asking."""
        if self._window is not None:
            self._window.end(0)
        self._client.close()
        if self._inner is not None:
            self._inner.close()


class _Window:
    """Requests from its making to its end."""

    def __init__(self, client: httpx.Client, url: httpx.URL, within: float) -> None:
        self._ask = partial(_ask, client, url, within)
        self._failures: list[str] = []
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="devenv-availability")
        self._thread = threading.Thread(target=self._run, name="devenv-availability", daemon=True)
        self._thread.start()

    def end(self, least: int) -> Check:
        """Go on until there are so many, and judge all of them."""
        while len(self._failures) < least and not self._over.wait(1 / RATE):
            pass
        self._over.set()
        self._thread.join()
        self._pool.shutdown()
        failures = Counter(filter(None, self._failures))
        if not failures:
            return Check(NAME, Status.DONE, f"{len(self._failures)} requests, {RATE:.0f} a second, all answered")
        words = ", ".join(f"{count} {failure}" for failure, count in failures.most_common(3))
        return Check(NAME, Status.FAILED, f"{failures.total()} of {len(self._failures)} requests failed: {words}")

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self._pool.submit(lambda: self._failures.append(self._ask()))
            due += 1 / RATE


def _ask(client: httpx.Client, url: httpx.URL, within: float) -> str:
    """Return "" or why the answer is not good."""
    began = time.monotonic()
    late = f"took longer than {within:g} s"
    try:
        answer = client.get(url)
    except httpx.TimeoutException:
        return late
    except httpx.HTTPError as error:
        return f"were not answered ({type(error).__name__})"
    if answer.status_code >= 400:
        return f"got {answer.status_code}"
    return late if time.monotonic() - began > within else ""
