"""A WebSocket to a path of the Kubernetes API: the library `websockets`, with its failures in our words.

Not the one of the Kubernetes client: reading and writing one TLS connection from two threads is not safe before
Python 3.13, and with one thread a peer that writes while we write blocks both. asyncio does both ways in one thread.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ssl import SSLContext
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from devenv import __version__
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.connection import Endpoint as Server
from devenv.backends.kube.connection import tls_context
from devenv.backends.kube.credentials import Credentials
from devenv.backends.kube.errors import BadKubeconfig, error_of
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.exceptions import WebSocketException

_LARGEST = 16 << 20  # bytes of one message; the kubelet's are 32 KiB
_CLOSED_WITHIN = 1.0  # seconds until a peer that does not say good-bye is left
# Seconds between pings, so that nothing on the way takes a quiet connection for a dead one. A missing answer is no
# failure: the API server stops to read, pings too, while the program in the pod takes nothing.
_PING_EVERY = 30.0
_NOT_IN_A_PROXY = re.compile(r"[^!-~]|[/?#\[\]]")  # of a name and password that the library finds in a decoded URL


class HandshakeRefused(DevenvError):
    """The server answered the upgrade with something else; `status` is its HTTP status, 0 where there was none."""

    title = "refused by the cluster"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach the API server: its URL, what to say in every request, and TLS (None: plain HTTP)."""

    url: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None = None
    server_name: str = ""  # where the certificate's name differs from the URL's
    proxy: str = ""  # URL of an HTTP proxy that CONNECT is asked of
    impersonation: tuple[tuple[str, str], ...] = ()  # more headers, of which one name may stand there several times


class WebSocket:
    """One open connection. Use it in the event loop that opened it."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, data: bytes) -> None:
        """Send one binary message, and wait while the peer is slow; nothing after its good-bye, which `receive` tells.

        Raises OSError when the connection broke.
        """
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

        try:
            await self._connection.send(data)
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            raise _broken(error) from error

    async def receive(self) -> bytes | None:
        """Return the next message, None when the peer has closed. Raises OSError when the connection broke."""
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosedOK:
            return None
        except ConnectionClosed as error:
            raise _broken(error) from error

    async def close(self) -> None:
        """Say good-bye and close; safe to call twice."""
        await self._connection.close()


async def connect(endpoint: Endpoint, path: str, protocol: str, within: float) -> WebSocket:
    """Open a WebSocket to a path of the API server.

    Raises HandshakeRefused, BadKubeconfig for a proxy's address, OSError, and TimeoutError after `within` seconds.
    """
    from websockets.asyncio.client import connect as open_websocket
    from websockets.exceptions import WebSocketException
    from websockets.typing import Subprotocol

    # The library follows redirects: with a name of our own a certificate of another host is not accepted.
    name = endpoint.server_name or urlsplit(endpoint.url).hostname
    tls: dict[str, Any] = {"ssl": endpoint.tls, "server_hostname": name} if endpoint.tls else {}
    try:
        connection = await open_websocket(
            f"ws{endpoint.url.removeprefix('http').rstrip('/')}{path}",
            subprotocols=[Subprotocol(protocol)],
            additional_headers=[*endpoint.headers.items(), *endpoint.impersonation],
            user_agent_header=None,
            proxy=_decoded(endpoint.proxy) or None,
            compression=None,
            open_timeout=within,
            close_timeout=_CLOSED_WITHIN,
            ping_interval=_PING_EVERY,
            ping_timeout=None,
            max_size=_LARGEST,
            **tls,
        )
    except WebSocketException as error:
        raise _refusal(error) from error
    if connection.subprotocol != protocol:
        await connection.close()
        raise HandshakeRefused(101, "the API server does not speak this stream over WebSocket")
    return WebSocket(connection)


def _decoded(proxy: str) -> str:
    """Return the URL with its name and password as the proxy wants them: the library sends them as they stand."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return proxy
    name, password = unquote(parts.username), unquote(parts.password or "")
    if _NOT_IN_A_PROXY.search(name + password):
        hint = "Give the proxy's user another one (ASCII, without / ? # [ ]), or use kubectl port-forward."
        raise BadKubeconfig("The proxy's name or password has a character that port-forwards cannot send", hint)
    return parts._replace(netloc=f"{name}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


def _broken(error: WebSocketException) -> ConnectionResetError:
    return ConnectionResetError(f"the stream broke: {sanitize(str(error))}")


def _refusal(error: WebSocketException) -> DevenvError | ConnectionResetError:
    from websockets.exceptions import InvalidProxy, InvalidProxyStatus, InvalidStatus

    if isinstance(error, InvalidProxy):
        return BadKubeconfig(f"The proxy's address cannot be used: {error.msg}")  # its own text shows the password
    if isinstance(error, InvalidProxyStatus):
        status = error.response.status_code
        return HandshakeRefused(status, f"the proxy answered {status}")
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        return HandshakeRefused(status, error_of(status, bytes(error.response.body or b"")).message)
    if isinstance(error.__cause__, EOFError | OSError):
        return ConnectionResetError("the connection was closed during the handshake")
    return HandshakeRefused(0, f"the API server does not speak this stream over WebSocket: {sanitize(str(error))}")


def endpoint_of(client: KubeClient) -> Endpoint:
    """Return the API server's address with the credentials as they are now; may run a credential plugin.

    Raises BadKubeconfig and Unauthorized.
    """
    server, credentials = client.access()
    headers = {"User-Agent": f"devenv/{__version__}"}
    if credentials.authorization:
        headers["Authorization"] = credentials.authorization
    secure = server.server.startswith("https://")
    tls = _tls(server, credentials.certificate, credentials.key) if secure else None
    return Endpoint(server.server, headers, tls, server.server_name, server.proxy, credentials.impersonation)


@lru_cache(maxsize=8)  # a context costs some milliseconds and two files; a forward needs one for each connection
def _tls(server: Server, certificate: str, key: str) -> SSLContext:
    return tls_context(server, Credentials("", certificate, key))
