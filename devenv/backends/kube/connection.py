"""The one connection to an API server: the official client's ApiClient with raw answers, ended from any thread.

The client builds requests, keeps connections and signs in with what it is given. Here is what it lacks, each beside
its reason: TLS as kubectl does it, `tls_context`; ending a request that waits, `InFlight`; a proxy's password; proxies
from the environment as Go reads them. Its import costs 0.3 s: it happens when the first request is sent, in the thread
that sends it. tests/kube/test_client_lacks.py shows each lack, so that what a newer client learns can go from here.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InsecureRequestWarning, SSLError
from urllib3.response import BaseHTTPResponse

from devenv import __version__
from devenv.backends.kube.credentials import Credentials
from devenv.backends.kube.errors import BadKubeconfig
from devenv.backends.kube.kubeconfig import decoded, reason_of
from devenv.core.text import sanitize

if TYPE_CHECKING:
    from kubernetes.client.api_client import ApiClient

CONNECT_TIMEOUT: Final = 5.0  # seconds; a cluster across the world answers a SYN within one
_POOL_SIZE: Final = 32  # idle connections kept; a backend has about fifteen streams open, and requests beside them


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API server is and how to know that it is the right one."""

    server: str
    ca_data: str = ""
    insecure: bool = False
    server_name: str = ""
    proxy: str = ""
    proxy_source: str = ""  # the setting that named it, for people

    @property
    def hides(self) -> bool:
        """Whether nobody on the way reads what is sent: kubectl signs in over TLS alone."""
        return self.server.startswith("https://") or _is_local(urlsplit(self.server).hostname or "")

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
    impersonation: tuple[tuple[str, str], ...] = ()

    def connect(self) -> None:
        _attach(self)
        super().connect()

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        _attach(self)
        super().putrequest(*args, **kwargs)
        for header in self.impersonation:  # here, since the client's headers have each name once
            self.putheader(*header)


class _TLSConnection(_PlainConnection, HTTPSConnection):
    """The same over TLS: `super()` of the methods above is HTTPSConnection here."""


def _attach(connection: HTTPConnection) -> None:
    flight: InFlight | None = getattr(_current, "flight", None)
    if flight is not None:
        flight.attach(connection)


def _pools(credentials: Credentials) -> dict[str, type[HTTPConnectionPool]]:
    own = {"impersonation": credentials.impersonation}
    plain, secure = type("_Plain", (_PlainConnection,), own), type("_TLS", (_TLSConnection,), own)
    return {
        "http": type("_PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("_TLSPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


def read_endpoint(cluster: Mapping[str, Any], environ: Mapping[str, str]) -> Endpoint:
    """Return what a kubeconfig's cluster entry says; raises BadKubeconfig."""
    named = str(cluster.get("server") or "")
    server = _with_scheme(named).rstrip("/")
    if not _is_address(server):
        shown = sanitize(named.rstrip("/")) or "none"
        raise BadKubeconfig(f"The kubeconfig's server is not an address: {shown}", "It begins with https://.")
    authority = str(cluster.get("certificate-authority-data") or "")
    path = str(cluster.get("certificate-authority") or "")
    if authority:
        authority = decoded(authority, "certificate-authority-data")
    elif path:
        try:
            authority = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadKubeconfig(
                f"Cannot read the certificate authority {sanitize(path)}: {reason_of(error)}"
            ) from error
    own_proxy = str(cluster.get("proxy-url") or "")
    return Endpoint(
        server,
        authority,
        cluster.get("insecure-skip-tls-verify") is True,
        str(cluster.get("tls-server-name") or ""),
        own_proxy or proxy_for(server, environ),
        "proxy-url in the kubeconfig" if own_proxy else "HTTPS_PROXY or NO_PROXY",
    )


def _with_scheme(server: str) -> str:
    """Return `localhost:8080` as http://localhost:8080, as client-go does (rest/url_utils.go, DefaultServerURL)."""
    try:
        is_bare = server and not urlsplit(server).netloc and urlsplit(f"http://{server}").path in ("", "/")
    except ValueError:
        return server
    return f"http://{server}" if is_bare else server


def _is_address(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an IPv6 address in them, a port that is no number
        return False


class Connection:
    """Sends requests of any thread to one endpoint with one client certificate; connects to nothing when it is made.

    Raises BadKubeconfig where the certificates or the proxy cannot be used.
    """

    def __init__(self, endpoint: Endpoint, credentials: Credentials) -> None:
        self._api = _open(endpoint, credentials)

    def close(self) -> None:
        """Close the idle connections; open answers are closed by their owners."""
        self._api.rest_client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None,
        body: object,
        headers: Mapping[str, str],
        timeout: float,
        flight: InFlight,
    ) -> BaseHTTPResponse:
        """Send one request and return the open answer, whatever its status; redirects are not followed.

        Of `query` None and "" are left out; a `body` goes as JSON, text as it is. `timeout` seconds without a byte end
        it. Raises what urllib3 raises.
        """
        from kubernetes.client.exceptions import ApiException

        given = [(key, value) for key, value in (query or {}).items() if value is not None and value != ""]
        call = self._api.param_serialize(method, path, query_params=given, header_params=dict(headers), body=body)
        try:
            with carried_by(flight):
                answer: BaseHTTPResponse = self._api.call_api(
                    *call, _request_timeout=(CONNECT_TIMEOUT, timeout)
                ).response
        except ApiException as error:
            if isinstance(error.__context__, SSLError):  # it keeps nothing of that but its text
                raise error.__context__ from None
            raise
        return answer


def _open(endpoint: Endpoint, credentials: Credentials) -> ApiClient:
    from kubernetes.client.api_client import ApiClient
    from kubernetes.client.configuration import Configuration

    settings: dict[str, Any] = {}
    if endpoint.insecure:
        urllib3.disable_warnings(InsecureRequestWarning)  # its owner chose it; stderr is behind the screen
        settings["verify_ssl"] = False
        if endpoint.server.startswith("https://"):
            settings["assert_hostname"] = False
    proxy = urllib3.util.parse_url(endpoint.proxy)
    if endpoint.proxy and proxy.scheme not in ("http", "https"):
        hint = "Use an http:// proxy, or let kubectl port-forward through it."
        raise BadKubeconfig(f"devenv cannot use a {sanitize(proxy.scheme or '?')} proxy", hint)
    if proxy.auth:  # urllib3 does not send what an address says
        settings["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=unquote(proxy.auth))
    configuration = Configuration(
        host=endpoint.server,
        # Its own would repeat a request that may have changed something, and follow redirects with the credentials.
        retries=False,
        connection_pool_maxsize=_POOL_SIZE,
        # Its reading of the environment differs from kubectl's, see `proxy_for`.
        proxy=endpoint.proxy,
        no_proxy="",
        tls_server_name=endpoint.server_name or None,
        **settings,
    )
    configuration.keep_alive = True  # finds a dead connection while nothing is to be read
    api = ApiClient(configuration)
    api.user_agent = f"devenv/{__version__}"
    pool = api.rest_client.pool_manager
    pool.pool_classes_by_scheme = _pools(credentials)
    if endpoint.server.startswith("https://"):
        pool.connection_pool_kw["ssl_context"] = tls_context(endpoint, credentials)
    return api


def tls_context(endpoint: Endpoint, credentials: Credentials) -> ssl.SSLContext:
    """Return how to know the server and sign in with a certificate; raises BadKubeconfig.

    The client has no setting for what a certificate must fulfil, and leaves keys that a kubeconfig has as data in
    files until the program ends.
    """
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
        raise BadKubeconfig(f"The kubeconfig's certificates cannot be used: {error}", "Write them again.") from error
    return context


def proxy_for(server: str, environ: Mapping[str, str]) -> str:
    """Return the proxy's address for a server's, "" for none; this machine itself is never behind a proxy."""
    parts = urlsplit(server)
    name = "HTTPS_PROXY" if parts.scheme == "https" else "HTTP_PROXY"
    proxy = environ.get(name) or environ.get(name.lower()) or ""
    host = (parts.hostname or "").lower()
    port = str(parts.port or (443 if parts.scheme == "https" else 80))
    if not proxy or _is_local(host):
        return ""
    exceptions = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if any(_matches(host, port, entry.strip().lower()) for entry in exceptions.split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_local(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address is not None else host == "localhost"


def _matches(host: str, port: str, entry: str) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False  # Go ignores what it cannot read
    only_port = ""
    if entry.startswith("[") and "]" in entry:
        entry, _, rest = entry[1:].partition("]")
        only_port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        entry, _, only_port = entry.partition(":")
    if only_port and only_port != port:
        return False
    if address is not None:
        return _address(entry) == address
    entry = entry.removeprefix("*")
    return host.endswith(entry) if entry.startswith(".") else host == entry or host.endswith(f".{entry}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
