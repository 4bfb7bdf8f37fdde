"""One sign-in to one cluster: requests that answer or say why not, and streams (watches, logs)."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse
from urllib3.util import parse_url

from devenv.backends import counters
from devenv.backends.kube.connection import CONNECT_TIMEOUT, Connection, Endpoint, InFlight, read_endpoint
from devenv.backends.kube.credentials import Credentials, CredentialSource, certificate_end
from devenv.backends.kube.errors import BadKubeconfig, Forbidden, KubeError, Silent, Unauthorized, Unreachable, error_of
from devenv.backends.kube.kubeconfig import Target, load_kubeconfig
from devenv.core.text import sanitize

_ANONYMOUS: Final = '"system:anonymous"'  # who sends a request without credentials (authentication/user/user.go)
_HINT: Final = "Is the cluster running (`minikube status`, `kubectl cluster-info`)?"


class Session:
    """Sends requests of any thread to one API server."""

    def __init__(self, target: Target, environ: Mapping[str, str]) -> None:
        merged = load_kubeconfig(environ)
        context = merged.contexts.get(target.context.name)
        shown = sanitize(target.context.name)
        if context is None:
            raise BadKubeconfig(f"The kubeconfig has no context {shown!r} any more", "Choose another one.")
        cluster = merged.clusters.get(str(context.get("cluster") or ""))
        if cluster is None:
            raise BadKubeconfig(f"The context {shown!r} names a cluster that the kubeconfig does not have")
        user_name = str(context.get("user") or "")
        user = merged.users.get(user_name, {})  # as kubectl: without one, nobody signs in
        if refusal := merged.refusal(target.context.name):
            raise BadKubeconfig(f"The context {shown!r} cannot be used: {refusal}", "Correct the kubeconfig.")
        self.identity = (cluster, user)
        self.endpoint: Endpoint = read_endpoint(cluster, environ)
        self._source = CredentialSource(user if self.endpoint.hides else {}, cluster, environ)
        self._user_name = sanitize(user_name)
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._connected_with = ("", "")

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout: float,
        flight: InFlight | None = None,
    ) -> BaseHTTPResponse:
        """Send one request and return the open answer of a success; raises KubeError.

        `timeout` seconds without a byte end it. A 401 renews the credentials once.
        """
        counters.called_cluster(method, path, watch=bool(query and query.get("watch")))
        credentials = self._source.current()
        response = self._send(method, path, query, body, headers, timeout, flight, credentials)
        if response.status == 401:
            self._read_all(response)
            self._source.refused(credentials)
            response = self._send(method, path, query, body, headers, timeout, flight, self._source.current())
        if response.status < 300:  # an API server redirects nothing: it is a proxy's page to sign in at
            return response
        error = error_of(response.status, self._read_all(response), response.headers)
        if isinstance(error, Unauthorized):
            if (expired := self._expired(credentials)) is not None:
                raise expired
            error.hint = self._hint or error.hint
        if isinstance(error, Forbidden) and credentials == Credentials() and _ANONYMOUS in error.message:
            hint = self._hint or "The kubeconfig's user has no token, certificate or plugin that gives one."
            raise Unauthorized(f"Nobody signs in: {error.message}", hint, status=error.status)
        raise error

    @property
    def _hint(self) -> str:
        if not self.endpoint.hides:
            return "Nobody signs in over http://, as with kubectl: write https:// in the kubeconfig's server."
        return self._source.hint

    def close(self) -> None:
        """Close the idle connections; open streams are closed by their owners."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def access(self) -> tuple[Endpoint, Credentials]:
        """Return where the server is and what to sign in with now; may run a plugin."""
        return self.endpoint, self._source.current()

    def translate(self, error: Exception, *, broke: bool = False) -> KubeError:
        """Return what went wrong on the wire in words; `broke`: in the middle of an answer."""
        return unreachable(error, self.endpoint, broke=broke)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: object,
        headers: Mapping[str, str] | None,
        timeout: float,
        flight: InFlight | None,
        credentials: Credentials,
    ) -> BaseHTTPResponse:
        sent = {"Accept": "application/json", **(headers or {})}
        if credentials.authorization:
            sent["Authorization"] = credentials.authorization
        # A connection that was kept may have been closed meanwhile; reading again is harmless, changing is not.
        for tries_left in (1, 0) if method == "GET" else (0,):
            try:
                return self._connection_with(credentials).send(
                    method, path, query=query, body=body, headers=sent, timeout=timeout, flight=flight or InFlight()
                )
            except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
                stale = isinstance(error, ProtocolError) and not (flight is not None and flight.closed)
                if not (stale and tries_left):
                    # A server that refuses a certificate ends the connection, and what is read is its end.
                    ended = isinstance(error, SSLError | ProtocolError | OSError)
                    raise (self._expired(credentials) if ended else None) or self.translate(error) from error
        raise AssertionError("the last try returns or raises")

    def _expired(self, credentials: Credentials) -> Unauthorized | None:
        """Return what to say where the client certificate's time is over."""
        end = certificate_end(credentials.certificate) if credentials.certificate else None
        if end is None or end > time.time():
            return None
        when = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M UTC")
        hint = "Write it anew with the cluster's own tool (minikube: `minikube start` renews it)."
        return Unauthorized(f"The client certificate of the user {self._user_name!r} has expired: {when}", hint)

    def _read_all(self, response: BaseHTTPResponse) -> bytes:
        try:
            return response.data
        except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            raise self.translate(error, broke=True) from error

    def _connection_with(self, credentials: Credentials) -> Connection:
        """Return the connection; a new one where the client certificate is another one now."""
        certificate = (credentials.certificate, credentials.key)
        with self._lock:
            if self._connection is None or self._connected_with != certificate:
                self._connection, self._connected_with = Connection(self.endpoint, credentials), certificate
            return self._connection


def unreachable(error: Exception, endpoint: Endpoint, *, broke: bool = False) -> KubeError:
    """Say which part of the connection failed: name, port, proxy, TLS, or the answer itself."""
    where = sanitize(endpoint.server)
    hint = _HINT
    cause = error.original_error if isinstance(error, ProxyError) else error
    if isinstance(error, LocationValueError):
        return BadKubeconfig(f"The kubeconfig's server is not an address: {where}", "It begins with https://.")
    if isinstance(error, ProxyError):
        proxy = parse_url(endpoint.proxy)
        what = f"The proxy {sanitize(proxy._replace(auth=None).url)} to {where} does not work: {_words(cause)}"
        hint = f"Correct {endpoint.proxy_source}."
    elif isinstance(error, SSLError):
        what, hint = _tls_words(error, where)
    elif isinstance(error, NameResolutionError):
        what = f"The name in {where} is not known"
    elif isinstance(error, NewConnectionError):
        what = f"Nothing listens at {where}" if "refused" in str(error) else f"No way to {where}: {_words(error)}"
    elif isinstance(error, ConnectTimeoutError):
        what = f"Nothing answers at {where} within {CONNECT_TIMEOUT:.0f} s"
    elif isinstance(error, ReadTimeoutError):
        what = f"The API server at {where} does not answer"
    elif broke:
        what = f"The connection to {where} broke"
    else:
        what = f"The API server at {where} closed the connection: {_words(cause)}"
    failure = Unreachable(what, hint)
    failure.broke = broke
    return failure


def _tls_words(error: Exception, where: str) -> tuple[str, str]:
    text = str(error)
    if "unable to get" in text or "self-signed" in text or "self signed" in text or "signature failure" in text:
        return (
            f"The server at {where} is not the one that the kubeconfig knows: its certificate is of another authority",
            "It is another cluster at the same address, or one made anew: write the kubeconfig anew "
            "(`minikube update-context`).",
        )
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return f"The certificate of {where} is for another name", "Correct server or tls-server-name in the kubeconfig."
    if "not yet valid" in text:
        return f"The certificate of {where} is not valid yet", "Is the clock of this machine, or of the server, right?"
    if "expired" in text:
        return f"The certificate of {where} has expired", "Renew the cluster's certificates (minikube: stop and start)."
    if "wrong version number" in text or "record layer failure" in text:
        return f"The server at {where} does not speak TLS", "Is server in the kubeconfig the API server's port?"
    return f"TLS with {where} failed: {_words(error)}", _HINT


def _words(error: object) -> str:
    """Return the last, most telling part of nested network errors."""
    text = sanitize(str(error))
    return text.rsplit(": ", 1)[-1].strip("()'\" ,")


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
        counters.streams.pop(id(self), None)
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
        else:
            counters.streams[id(self)] = "watch" if self._query and self._query.get("watch") else "log"

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
        event = msgspec.json.decode(line)
        kind, content = str(event["type"]), event["object"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KubeError("The API server sent a watch event that is not one") from error
    if kind == "ERROR":
        raise error_of(0, content)
    return kind, content
