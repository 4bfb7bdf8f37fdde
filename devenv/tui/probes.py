"""HTTP probes that devenv makes of the service on screen: status and latency over time, only while it is seen."""

from __future__ import annotations

import time
from collections import deque
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final, NamedTuple
from urllib.parse import urlsplit

EVERY: Final = 5.0  # seconds from the end of a probe to the next one
ANSWER_WITHIN: Final = 5.0
KEPT: Final = 120  # ten minutes


class Answer(NamedTuple):
    """One probe; `status` 0: there was no answer, and `error` says why."""

    at: float
    status: int
    seconds: float
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether something is served: any answer below 500, as `Endpoint` of smoke tests has it."""
        return 0 < self.status < 500

    @property
    def words(self) -> str:
        """The answer for people."""
        return f"{'✓' if self.good else '✗'} {self.status or self.error}"


class Probes:
    """The answers of one address at a time; another address begins again."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: deque[Answer] = deque(maxlen=KEPT)
        self.asking = False

    def aim(self, url: str) -> None:
        """Probe this address from now on; "" for none."""
        if url != self.url:
            self.url = url
            self.answers.clear()

    def due(self, now: float) -> bool:
        """Whether it is time to ask."""
        return bool(self.url) and not self.asking and (not self.answers or not 0 <= now - self.answers[-1].at < EVERY)

    def take(self, url: str, answer: Answer) -> None:
        """Keep an answer, unless another address is probed by now."""
        self.asking = False
        if url == self.url:
            self.answers.append(answer)


def _connection(scheme: str, host: str, port: int | None) -> HTTPConnection:
    if scheme != "https":
        return HTTPConnection(host, port, timeout=ANSWER_WITHIN)
    import ssl  # deferred: few local services have certificates

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # a local one is its own: nothing is sent to it
    return HTTPSConnection(host, port, timeout=ANSWER_WITHIN, context=context)


def ask(url: str) -> Answer:
    """GET the address without following where it points to; blocks, at most some seconds. Raises nothing."""
    began, at = time.monotonic(), time.time()
    parts = urlsplit(url)
    try:
        connection = _connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            connection.request("GET", path, headers={"User-Agent": "devenv-probe", "Connection": "close"})
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Answer(at, 0, time.monotonic() - began, f"no answer: {said}")
    return Answer(at, status, time.monotonic() - began)
