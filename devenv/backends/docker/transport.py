"""Clients of the docker SDK, with transports of our own where the SDK's do not do.

The SDK's unix transport leaves a socket open when nobody listens, and its ssh transport needs paramiko even where
it runs the ssh program; neither can be closed from outside.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final

from docker import APIClient
from docker.tls import TLSConfig
from docker.transport.basehttpadapter import BaseHTTPAdapter
from requests import PreparedRequest
from requests.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool, disable_warnings
from urllib3.connection import HTTPConnection
from urllib3.exceptions import InsecureRequestWarning

_PREFIX: Final = "http+docker://engine"
_ANY_API: Final = "1.41"  # until the engine has said its own; Engine 20.10, the first with one-shot statistics


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
        client = APIClient("unix:///engine", version, timeout=timeout)  # type: ignore[arg-type]  # requests takes floats
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
        client = APIClient(base_url, version, timeout=timeout, tls=tls or False)  # type: ignore[arg-type]  # as above
        client.proxies.update(get_environ_proxies(client.base_url))
        # REQUESTS_CA_BUNDLE would replace the endpoint's own certificates, and its wish not to verify.
        client.trust_env = tls is not None and bool(tls.verify) and tls.ca_cert is None
        return client

    return _negotiated(make)


def _negotiated(make: Callable[[str], APIClient]) -> APIClient:
    """Ask the engine for its API version. The SDK asks in its constructor, before a caller can set anything."""
    with make(_ANY_API) as client:
        told = client.version(api_version=False)
    if not isinstance(told, dict):
        raise ValueError("it answers, but not like an engine")
    return make(str(told.get("ApiVersion") or _ANY_API))
