"""Answers that arrive bit by bit: watches and logs, ended at once from any thread."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from devenv.backends.kube.connection import InFlight
from devenv.backends.kube.errors import KubeError, Silent, error_of
from devenv.backends.kube.session import Session

READ_SIZE: Final = 65_536
OPEN_TIMEOUT: Final = 30.0  # seconds until the head of the answer; a loaded API server queues requests


class ByteStream:
    """An open answer as chunks of bytes: a context manager and an iterator; `close` may come from any thread."""

    def __init__(
        self,
        session: Session,
        path: str,
        query: Mapping[str, Any] | None,
        *,
        quiet: float | None = None,
        accept: str = "*/*",
    ) -> None:
        self._session = session
        self._path = path
        self._query = query
        self._quiet = quiet
        self._accept = accept
        self._flight = InFlight()
        self._response: BaseHTTPResponse | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._response is not None:
            self._response.close()

    def close(self) -> None:
        """End it: the reading thread's loop ends at once, without an error."""
        self._flight.close()

    def connect(self) -> None:
        """Open it, unless it is open or closed already; iterating does it too. Raises KubeError."""
        if self._response is not None or self._flight.closed:
            return
        headers = {"Accept": self._accept}
        try:
            self._response = self._session.send(
                "GET", self._path, query=self._query, headers=headers, timeout=OPEN_TIMEOUT, flight=self._flight
            )
        except KubeError:
            if not self._flight.closed:
                raise

    def __iter__(self) -> Iterator[bytes]:
        """Yield what arrives; ends quietly when closed or at the answer's end, raises KubeError when it breaks."""
        self.connect()
        if self._response is None:
            return
        try:
            self._flight.quiet_for(self._quiet)
            while not self._flight.closed and (data := self._response.read1(READ_SIZE)):
                yield data
        except ReadTimeoutError as error:
            raise Silent(f"Nothing was heard from the API server for {self._quiet or 0:.0f} s") from error
        except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            if not self._flight.closed:
                raise self._session.translate(error, broke=True) from error


class WatchStream:
    """An open watch as (type, object) pairs: ADDED, MODIFIED, DELETED, BOOKMARK; Gone and other errors are raised."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.__exit__(kind, error, trace)

    def close(self) -> None:
        """End it from any thread."""
        self._stream.close()

    def connect(self) -> None:
        """Open it now; raises KubeError, Gone above all."""
        self._stream.connect()

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield events until the server ends the watch or it is closed; raises KubeError."""
        rest = bytearray()
        for chunk in self._stream:
            rest += chunk
            if b"\n" not in chunk:
                continue
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            for line in lines:
                if line:
                    yield _event(line)


def _event(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        told = msgspec.json.decode(line)
        kind, content = str(told["type"]), told["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise KubeError("The API server sent a watch event that is not one") from error
    if kind == "ERROR":
        raise error_of(0, content)
    return kind, content
