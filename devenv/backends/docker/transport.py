"""ssh:// endpoints: HTTP through `ssh HOST docker system dial-stdio`, as the docker CLI does it.

The SDK's own transport needs paramiko even where it runs the ssh program, and cannot be closed from outside.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit

from docker import APIClient
from docker.tls import TLSConfig
from docker.transport.basehttpadapter import BaseHTTPAdapter
from requests import PreparedRequest, Response
from requests.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool, disable_warnings
from urllib3.connection import HTTPConnection
from urllib3.exceptions import InsecureRequestWarning

from devenv.backends import counters
from devenv.core.errors import EngineUnreachable, ToolMissing, UsageError
from devenv.core.text import sanitize

_PREFIX: Final = "http+docker://engine"
_ANY_API: Final = "1.41"  # until the engine has said its own; Engine 20.10, the first with one-shot statistics


class CountedClient(APIClient):
    """The SDK's client, whose requests are counted."""

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """Send one request."""
        counters.called_engine(request.method or "", request.path_url)
        return super().send(request, **options)


class UnixConnection(HTTPConnection):
    """A connection to the unix socket at `path`, a class attribute."""

    path: str

    def connect(self) -> None:
        """Connect; raises OSError."""
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
            made.connect(self.path)
        except BaseException:
            made.close()
            raise
        self.sock = made


class EngineAdapter(BaseHTTPAdapter):
    """Sends all requests of a session through connections of one class, and keeps them for further requests."""

    def __init__(self, connection: type[HTTPConnection], timeout: float) -> None:
        super().__init__()
        self._pool = HTTPConnectionPool("localhost", timeout=timeout, maxsize=4)
        self._pool.ConnectionCls = connection

    def get_connection(self, url: Any, proxies: Any = None) -> HTTPConnectionPool:
        """Return the one pool."""
        return self._pool

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """Return the path alone: a proxy is for addresses on a network."""
        return request.path_url

    def close(self) -> None:
        """Close all connections that are idle."""
        super().close()
        self._pool.close()


def connect_through(connection: type[HTTPConnection], timeout: float) -> APIClient:
    """Return a client that uses connections of this class; raises what the SDK and urllib3 raise."""

    def make(version: str) -> APIClient:
        # The SDK wants an address whose transport it has; it is never connected to, the adapter takes its place.
        client = CountedClient("unix:///engine", version, timeout=timeout)  # type: ignore[arg-type]  # requests takes floats
        client.trust_env = False  # proxies and .netrc are for addresses on a network
        client.base_url = _PREFIX
        client.mount(_PREFIX, EngineAdapter(connection, timeout))
        return client

    return _negotiated(make)


def connect_network(base_url: str, tls: TLSConfig | None, timeout: float) -> APIClient:
    """Return a client for tcp:// and http(s)://, and npipe:// on Windows; raises what the SDK and urllib3 raise."""
    if tls is not None and not tls.verify:
        disable_warnings(InsecureRequestWarning)  # it is what the endpoint's owner chose; stderr is behind the screen

    def make(version: str) -> APIClient:
        client = CountedClient(base_url, version, timeout=timeout, tls=tls or False)  # type: ignore[arg-type]  # as above
        client.proxies.update(get_environ_proxies(client.base_url))
        # REQUESTS_CA_BUNDLE would replace the endpoint's own certificates, and its wish not to verify.
        client.trust_env = tls is not None and bool(tls.verify) and tls.ca_cert is None
        return client

    return _negotiated(make)


def _negotiated(make: Callable[[str], APIClient]) -> APIClient:
    """Ask the engine for its API version. The SDK asks in its constructor, before a caller can set anything."""
    with make(_ANY_API) as client:
        version = client.version(api_version=False)
    if not isinstance(version, dict):
        raise ValueError("it answers, but not like an engine")
    return make(str(version.get("ApiVersion") or _ANY_API))


def ssh_command(host: str) -> list[str]:
    """Return the command for ssh://[user@]host[:port][/socket/on/that/machine]; raises UsageError.

    BatchMode, because a question for a password would be asked behind the screen.
    """
    parts = urlsplit(host)
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError(f"ssh://{parts.hostname}: {error}", "Use ssh://user@host:port.") from error
    if not parts.hostname or parts.password or parts.query or parts.fragment:
        raise UsageError(
            f"ssh://{parts.hostname or ''}: not an address for ssh",
            "Use ssh://user@host:port; keys instead of passwords.",
        )
    command = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-T"]
    if parts.username:
        command += ["-l", unquote(parts.username)]
    if port:
        command += ["-p", str(port)]
    remote = ["--host", f"unix://{parts.path}"] if parts.path.strip("/") else []
    return [*command, "--", parts.hostname, "docker", *remote, "system", "dial-stdio"]


class SshConnection(HTTPConnection):
    """One ssh process, whose standard input and output are one end of a socket pair: it can be shut down like any."""

    ssh: list[str]
    _process: subprocess.Popen[bytes] | None = None
    _errors: IO[bytes] | None = None
    _said: str = ""

    def connect(self) -> None:
        """Start ssh."""
        ours, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        try:
            with theirs:
                # A session of its own: ctrl-c in the terminal must not end it, and it must not ask on the terminal.
                end = theirs.fileno()
                self._process = subprocess.Popen(
                    self.ssh, stdin=end, stdout=end, stderr=self._errors, start_new_session=True
                )
        except FileNotFoundError as error:
            ours.close()
            raise ToolMissing("there is no ssh program", "Install the OpenSSH client.") from error
        ours.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
        self.sock = ours

    def send(self, data: Any) -> None:
        """Send a part of the request."""
        with self._explained():
            super().send(data)

    def getresponse(self) -> Any:
        """Read the response."""
        with self._explained():
            return super().getresponse()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Where the connection breaks, say what ssh said."""
        try:
            yield
        except (OSError, HTTPException) as error:
            complaint = self._complaint()
            if not complaint:
                raise
            raise EngineUnreachable(
                f"ssh does not reach the engine: {complaint}",
                f"This must work without a question: {' '.join(self.ssh[:-2])} version",
            ) from error

    def close(self) -> None:
        """Close the connection and end ssh; what it complained of is kept."""
        super().close()
        process, self._process = self._process, None
        if process is not None and not _ended(process, 0.2):
            process.terminate()
            _ended(process, 1.0)
        if self._errors is not None:
            self._errors.seek(0)
            self._said = sanitize(self._errors.read(2000).strip())
            self._errors.close()
            self._errors = None

    def _complaint(self) -> str:
        # http.client closes the connection itself for some errors, and for others not.
        self.close()
        return self._said


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
