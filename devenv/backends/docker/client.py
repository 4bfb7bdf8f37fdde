"""Connections to the engine through the docker SDK: requests, streams, and its failures in devenv's words.

The SDK takes 0.15 s to import, so nothing here imports it before the first connection.
"""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from devenv.backends import counters
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.lines import ChunkDecoder
from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable, UsageError
from devenv.core.masking import learn, mask_secrets
from devenv.core.text import sanitize

if TYPE_CHECKING:
    from docker import APIClient
    from docker.tls import TLSConfig
    from urllib3.connection import HTTPConnection


CONNECT_TIMEOUT: Final = 10.0


def connect(endpoint: Endpoint, timeout: float = CONNECT_TIMEOUT) -> APIClient:
    """Return a client of the engine, for one thread; it has asked the engine for its API version.

    `timeout` in seconds is for each request. Raises EngineUnreachable or EngineForbidden with a hint, and UsageError
    for an endpoint that can never work.
    """
    with engine_errors(endpoint):
        from devenv.backends.docker import transport

        if endpoint.scheme in ("unix", "ssh"):
            return transport.connect_through(_connection(endpoint), timeout)
        return transport.connect_network(_base_url(endpoint), _tls(endpoint), timeout)


def _connection(endpoint: Endpoint) -> type[HTTPConnection]:
    if endpoint.scheme == "ssh":
        from devenv.backends.docker.transport import SshConnection, ssh_command

        return type("Ssh", (SshConnection,), {"ssh": ssh_command(endpoint.host)})
    from devenv.backends.docker.transport import UnixConnection

    return type("Unix", (UnixConnection,), {"path": endpoint.host.removeprefix("unix://")})


def _tls(endpoint: Endpoint) -> TLSConfig | None:
    from docker.tls import TLSConfig

    if endpoint.tls is None:
        return None
    files = endpoint.tls
    pair = (files.cert, files.key) if files.cert and files.key else None
    return TLSConfig(client_cert=pair, ca_cert=files.ca, verify=files.verify)


def _base_url(endpoint: Endpoint) -> str:
    if endpoint.scheme not in ("tcp", "http", "https"):
        return endpoint.host
    parts = urlsplit(endpoint.host)
    if parts.port is None:
        # Go's HTTP client, and so the docker CLI, takes the scheme's port where a context names none.
        return f"{endpoint.host}:{443 if endpoint.tls else 80}"
    return endpoint.host


@contextmanager
def engine_errors(endpoint: Endpoint) -> Iterator[None]:
    """Translate what the SDK and the layers below it raise; errors of devenv pass unchanged."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except DevenvError:
        raise
    except APIError as error:
        raise refusal(error, endpoint) from error
    except (DockerException, RequestException, HTTPError, OSError, ValueError) as error:
        raise _translated(error, endpoint) from error


def inspect(client: APIClient, container_id: str) -> dict[str, Any]:
    """Return GET /containers/{id}/json; what is secret in the container's environment is masked from then on."""
    data: dict[str, Any] = client.inspect_container(container_id)
    learn((data.get("Config") or {}).get("Env"))
    return data


def refusal(error: Exception, endpoint: Endpoint) -> DevenvError:
    """Translate an answer of the engine that says no: 4xx and 5xx."""
    said = sanitize(str(getattr(error, "explanation", None) or error)).strip()
    return DevenvError(f"the engine at {endpoint.shown} answered: {said[:500]}", "The engine's own log may say more.")


def _translated(error: Exception, endpoint: Endpoint) -> DevenvError:
    from docker.errors import InvalidVersion, TLSParameterError
    from requests.exceptions import InvalidURL

    cause = _os_error(error)
    if isinstance(cause, PermissionError):
        return EngineForbidden(
            f"no permission to talk to the Docker Engine at {endpoint.shown}",
            "Add your user to the group that owns the socket (`sudo usermod -aG docker $USER`, then log in again), "
            "or use a rootless engine.",
        )
    if isinstance(error, InvalidURL | TLSParameterError) or "Invalid bind address" in str(error):
        return UsageError(f"{endpoint.source}: {endpoint.shown} cannot be used: {mask_secrets(sanitize(str(error)))}")
    if isinstance(error, InvalidVersion):
        said = mask_secrets(sanitize(str(error)))
        hint = "Update Docker, or choose another engine; `devenv doctor` says which version is needed."
        return EngineUnreachable(f"the Docker Engine at {endpoint.shown} is too old: {said}", hint)
    return EngineUnreachable(
        f"no Docker Engine answers at {endpoint.shown}: {_reason(error, cause)}", hint_for(endpoint)
    )


def _reason(error: Exception, cause: OSError | None) -> str:
    if cause is not None and cause.errno == errno.ENOENT:
        return "there is no such socket"
    if cause is not None and cause.errno == errno.ECONNREFUSED:
        return "nobody listens there"
    if isinstance(cause, TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    return sanitize(str(cause.strerror if cause is not None and cause.strerror else error))[:300]


def _os_error(error: BaseException) -> OSError | None:
    """Find the operating system's error below requests and urllib3, which wrap it in `args` or as cause."""
    from requests.exceptions import RequestException

    seen: list[BaseException] = []
    todo: list[BaseException] = [error]
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.append(current)
        # requests' own exceptions are OSErrors in name only.
        if (
            isinstance(current, OSError)
            and not isinstance(current, RequestException)
            and (current.errno is not None or isinstance(current, TimeoutError))
        ):
            return current
        chained = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        todo += [link for link in chained if isinstance(link, BaseException)]
    return None


def hint_for(endpoint: Endpoint, environ: Mapping[str, str] = os.environ) -> str:
    """Say what to do when nobody answers: start the engine, or use another one whose socket is there."""
    if endpoint.scheme == "ssh":
        return f"This must work without a question: ssh {urlsplit(endpoint.host).hostname} docker version"
    if endpoint.source == "DOCKER_HOST":
        return "DOCKER_HOST chose this engine: start it, or unset the variable."
    if endpoint.source != "default":
        return f"{endpoint.source} chose the context {endpoint.context}: start its engine, or choose another context."
    for name, path in _known_sockets(environ):
        if path.is_socket() and str(path) not in endpoint.host:
            return f"{name} has a socket at {path}: `docker context use` its context, or set DOCKER_HOST=unix://{path}."
    return "Start it: Docker Desktop, `colima start`, or `sudo systemctl start docker`. `devenv doctor` checks more."


def _known_sockets(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    home = Path(environ.get("HOME") or "/nonexistent")
    if environ.get("XDG_RUNTIME_DIR"):
        yield "Rootless Docker", Path(environ["XDG_RUNTIME_DIR"]) / "docker.sock"
    yield "Docker Desktop", home / ".docker" / "run" / "docker.sock"
    yield "Docker Desktop", home / ".docker" / "desktop" / "docker.sock"
    yield "Colima", home / ".colima" / "default" / "docker.sock"


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
        counters.streams[id(self)] = path.rpartition("/")[2]

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
        counters.streams.pop(id(self), None)
        self._response.close()
