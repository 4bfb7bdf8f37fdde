"""Connections to one API server: TLS as the kubeconfig says, proxies as kubectl, and ended from any thread."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import unquote

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InsecureRequestWarning

from devenv.backends.kube.credentials import Credentials, decoded
from devenv.backends.kube.errors import BadKubeconfig
from devenv.backends.kube.proxies import proxy_for
from devenv.core.text import sanitize

_POOL_SIZE: Final = 32  # idle connections kept; a backend has about fifteen streams open, and requests beside them


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API server is and how to know that it is the right one."""

    server: str
    ca_data: str = ""
    insecure: bool = False
    server_name: str = ""
    proxy: str = ""

    @property
    def near(self) -> bool:
        """Whether it is on this machine or a private network, where compressing costs more than it saves."""
        host = urllib3.util.parse_url(self.server).host or ""
        try:
            return ipaddress.ip_address(host.strip("[]")).is_private
        except ValueError:
            return host == "localhost" or host.endswith((".local", ".internal", ".localhost"))


class InFlight:
    """One request and its answer: `close` ends it from any thread, whatever it waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: HTTPConnection | None = None
        self.closed = False

    def attach(self, connection: HTTPConnection) -> None:
        """Name the connection that carries it."""
        with self._lock:
            self._connection = connection
            if self.closed:
                _break(connection)

    def close(self) -> None:
        """End it: a waiting read sees the end of the connection at once."""
        with self._lock:
            self.closed = True
            if self._connection is not None:
                _break(self._connection)

    def quiet_for(self, seconds: float | None) -> None:
        """Allow that much silence from now on (None: any)."""
        with self._lock:
            if self._connection is not None and self._connection.sock is not None:
                self._connection.sock.settimeout(seconds)


def _break(connection: HTTPConnection) -> None:
    sock = connection.sock
    sock = getattr(sock, "socket", sock)  # TLS inside a proxy's TLS wraps the socket
    if sock is None:
        return
    try:
        # The socket's own shutdown: SSLSocket.shutdown would take the TLS object away from under a reading thread.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # it ended by itself a moment ago


_current = threading.local()


@contextmanager
def carried_by(flight: InFlight) -> Iterator[None]:
    """Let the connection that this thread takes inside the block be attached to `flight`."""
    _current.flight = flight
    try:
        yield
    finally:
        _current.flight = None


class _PlainConnection(HTTPConnection):
    def connect(self) -> None:
        _attach(self)
        super().connect()

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        _attach(self)
        super().putrequest(*args, **kwargs)


class _TLSConnection(HTTPSConnection):
    def connect(self) -> None:
        _attach(self)
        super().connect()

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        _attach(self)
        super().putrequest(*args, **kwargs)


def _attach(connection: HTTPConnection) -> None:
    flight: InFlight | None = getattr(_current, "flight", None)
    if flight is not None:
        flight.attach(connection)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def read_endpoint(cluster: Mapping[str, Any], environ: Mapping[str, str]) -> Endpoint:
    """Return what a kubeconfig's cluster entry says; raises BadKubeconfig."""
    server = str(cluster.get("server") or "").rstrip("/")
    if not server.startswith(("http://", "https://")):
        shown = sanitize(server) or "none"
        raise BadKubeconfig(f"The kubeconfig's server is not an address: {shown}", "It begins with https://.")
    authority = str(cluster.get("certificate-authority-data") or "")
    path = str(cluster.get("certificate-authority") or "")
    if authority:
        authority = decoded(authority, "certificate-authority-data")
    elif path:
        try:
            authority = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadKubeconfig(f"Cannot read the certificate authority {sanitize(path)}: {error}") from error
    return Endpoint(
        server,
        authority,
        cluster.get("insecure-skip-tls-verify") == "true",
        str(cluster.get("tls-server-name") or ""),
        str(cluster.get("proxy-url") or "") or proxy_for(server, environ),
    )


def open_pool(endpoint: Endpoint, credentials: Credentials) -> urllib3.PoolManager:
    """Return the connections' pool; connects to nothing yet. Raises BadKubeconfig."""
    settings: dict[str, Any] = {"maxsize": _POOL_SIZE, "socket_options": _keepalive()}
    if endpoint.server.startswith("https://"):
        settings["ssl_context"] = tls_context(endpoint, credentials)
        if endpoint.insecure:
            urllib3.disable_warnings(InsecureRequestWarning)  # its owner chose it; stderr is behind the screen
            settings |= {"assert_hostname": False, "cert_reqs": "CERT_NONE"}
        if endpoint.server_name:
            settings["server_hostname"] = endpoint.server_name
    pool: urllib3.PoolManager
    if endpoint.proxy:
        proxy = urllib3.util.parse_url(endpoint.proxy)
        if proxy.scheme not in ("http", "https"):
            hint = "Use an http:// proxy, or let kubectl port-forward through it."
            raise BadKubeconfig(f"devenv cannot use a {sanitize(proxy.scheme or '?')} proxy", hint)
        headers = urllib3.make_headers(proxy_basic_auth=unquote(proxy.auth)) if proxy.auth else None
        pool = urllib3.ProxyManager(endpoint.proxy, proxy_headers=headers, **settings)
    else:
        pool = urllib3.PoolManager(**settings)
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}
    return pool


def tls_context(endpoint: Endpoint, credentials: Credentials) -> ssl.SSLContext:
    """Return how to know the server and sign in with a certificate; raises BadKubeconfig."""
    try:
        context = ssl.create_default_context(cadata=endpoint.ca_data or None)
        # As Go: whatever the kubeconfig lists is trusted, also an intermediate, or a CA without key identifiers
        # (minikube's), which Python 3.13 refuses by default.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if endpoint.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if credentials.certificate and credentials.key:
            # OpenSSL's Python binding takes files only; they are gone before anything is sent.
            with TemporaryDirectory(prefix="devenv-") as folder:
                path = Path(folder) / "client.pem"
                path.touch(mode=0o600)
                path.write_text(f"{credentials.certificate}\n{credentials.key}\n", encoding="utf-8")
                context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        raise BadKubeconfig(f"The kubeconfig's certificates cannot be used: {error}", "Write them anew.") from error
    return context


def _keepalive() -> list[tuple[int, int, int]]:
    """Return socket options that find a dead connection within a minute, also while nothing is to be read."""
    options = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    if sys.platform == "linux":
        options += [
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        ]
    elif sys.platform == "darwin":
        options.append((socket.IPPROTO_TCP, 0x10, 30))  # TCP_KEEPALIVE, which Python 3.11 does not name there
    return options
