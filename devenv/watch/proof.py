"""Proof that what was saved is served: an address is asked until its answer is another than before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

PATIENCE = 10.0  # seconds after which a change that does not show is reported
_FIRST, _LAST = 0.01, 0.1  # seconds between two questions, growing: a reload takes from a tenth of a second to several
_TIMEOUT = 2.0  # seconds for one answer
_RELOAD = 1.0  # seconds that a server may take to answer before the first save


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: "served" at a time (seconds since the epoch), "unchanged", "unserved", or "" when it was ended."""

    event: str
    text: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int  # 0: none came
    body: bytes = b""
    problem: str = ""

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


class Proof:
    """Asks for the answers of one service; `url` is looked up each time, since ports change with containers."""

    def __init__(self, url: Callable[[], str], patience: float = PATIENCE) -> None:
        self._url = url
        self._patience = patience
        # No proxy between here and a port of this machine; a kept connection would stay with the worker that leaves.
        self._client = httpx.Client(timeout=_TIMEOUT, trust_env=False, headers={"Connection": "close"})
        self._before = _Answer(0)
        self._changes_by_itself = False

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def remember(self) -> None:
        """Take what is answered now as what was there before the next save; to be called while nothing changes.

        A server that is just starting or reloading is asked again for a moment: else its old content counted as new.
        """
        deadline = time.monotonic() + _RELOAD
        first = self._ask()
        while not first.is_good and self._has_address() and time.monotonic() < deadline:
            time.sleep(_LAST)
            first = self._ask()
        second = self._ask()
        self._before = second
        self._changes_by_itself = first.is_good and second.is_good and first.body != second.body

    def wait(self, is_over: Callable[[], bool]) -> Outcome:
        """Ask until the answer is a good one and another than before, until `is_over`, or until patience ends."""
        deadline = time.monotonic() + self._patience
        pause, latest = _FIRST, self._before
        while not is_over():
            latest = self._ask()
            at = time.time()
            is_new = latest.body != self._before.body or not self._before.is_good
            if latest.is_good and (is_new or self._changes_by_itself):
                self._before = latest
                word = "its answer changes by itself: it answers again" if self._changes_by_itself else ""
                return Outcome("served", word, at)
            if time.monotonic() >= deadline:
                within = f"within {self._patience:g} s"
                if latest.is_good:
                    return Outcome("unchanged", f"{self._shown()} answers the same as before {within}")
                self._before = latest  # whatever works after this is new
                return Outcome("unserved", f"{self._shown()} does not answer well {within}: {latest.problem}")
            time.sleep(pause)
            pause = min(_LAST, pause * 1.5)
        if not latest.is_good:
            self._before = latest
        return Outcome("")

    def _has_address(self) -> bool:
        try:
            return bool(self._url())
        except LookupError:
            return False

    def _shown(self) -> str:
        try:
            return self._url()
        except LookupError as error:
            return str(error)

    def _ask(self) -> _Answer:
        try:
            answer = self._client.get(self._url())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _Answer(0, b"", f"{type(error).__name__}: {error}".removesuffix(": "))
        except LookupError as error:
            return _Answer(0, b"", str(error))
        return _Answer(answer.status_code, answer.content, f"HTTP {answer.status_code}")
