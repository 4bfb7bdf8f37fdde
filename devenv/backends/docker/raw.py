"""A response of the engine that never ends, read as bytes and closable from another thread."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from devenv.backends.docker.client import engine_errors
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.frames import ChunkDecoder

if TYPE_CHECKING:
    from docker import APIClient

READ_SIZE: Final = 65_536


class RawStream:
    """One long response: `read` blocks in its own thread, `shutdown` ends it from any other."""

    def __init__(self, client: APIClient, endpoint: Endpoint, path: str, params: Mapping[str, str | int]) -> None:
        from docker.errors import create_api_error_from_http_exception
        from requests.exceptions import HTTPError

        self._endpoint = endpoint
        with engine_errors(endpoint):
            # The client's timeout guards the opening; afterwards silence is normal.
            url = f"{client.base_url}/v{client.api_version}{path}"
            self._response = client.get(url, params=dict(params), stream=True, timeout=client.timeout)
            self._answered_at = time.time()
            try:
                self._response.raise_for_status()
            except HTTPError as error:
                create_api_error_from_http_exception(error)
            connection = self._response.raw.connection
            if connection is not None and connection.sock is not None:
                connection.sock.settimeout(None)
        self._chunks = ChunkDecoder()
        self._file = self._buffered_file()

    def _buffered_file(self) -> io.BufferedReader | None:
        """Return the file below urllib3 and http.client, as the SDK itself takes it for its streams.

        The engine sends each log line as a chunk of its own, and both layers cost 5 us a chunk: twice all the rest.
        """
        file = getattr(getattr(self._response.raw, "_fp", None), "fp", None)
        chunked = self._response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        return file if chunked and isinstance(file, io.BufferedReader) else None

    @property
    def clock_ahead(self) -> float:
        """Seconds that the engine's clock is ahead of ours, from its Date header; below two seconds it is 0."""
        from email.utils import parsedate_to_datetime

        date = self._response.headers.get("Date")
        try:
            ahead = parsedate_to_datetime(date).timestamp() - self._answered_at if date else 0.0
        except ValueError:
            return 0.0
        return ahead if abs(ahead) >= 2.0 else 0.0

    @property
    def content_type(self) -> str:
        """What the engine says the stream is; "" where it does not."""
        return str(self._response.headers.get("Content-Type", ""))

    def read(self) -> bytes:
        """Return what has arrived, waiting for at least one byte; b"" at the end. Raises EngineUnreachable."""
        with engine_errors(self._endpoint):
            if self._file is None:
                data: bytes = self._response.raw.read1(READ_SIZE)
                return data
            while not self._chunks.done:
                data = self._file.read1(READ_SIZE)
                if not data:
                    break
                payload = self._chunks.feed(data)
                if payload:
                    return payload
        return b""

    @property
    def ended_well(self) -> bool:
        """Whether the engine said that this was the end; False for a connection that broke off, as far as one sees."""
        return self._file is None or self._chunks.done

    def shutdown(self) -> None:
        """End the reading from outside: a waiting `read` returns at once."""
        try:
            self._response.raw.shutdown()
        except (OSError, RuntimeError, ValueError):
            # It ended by itself a moment ago: there is no socket left to shut down.
            return

    def close(self) -> None:
        """Give the connection back; for the thread that reads."""
        self._response.close()
