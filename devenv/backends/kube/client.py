"""Raw JSON to and from one cluster: requests, lists in pages, watches and streams, from any thread."""

from __future__ import annotations

import gc
import http.client
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from urllib3.exceptions import HTTPError

from devenv.backends.kube.connection import Endpoint, InFlight
from devenv.backends.kube.credentials import Credentials
from devenv.backends.kube.errors import Forbidden, Gone, KubeError, NotFound, TooManyRequests
from devenv.backends.kube.kinds import NAMESPACES, Kind
from devenv.backends.kube.kubeconfig import Target, kubeconfig_stamp
from devenv.backends.kube.session import ByteStream, Session, WatchStream
from devenv.core.decode import from_json

PAGE: Final = 500  # objects a request, as kubectl's chunk size
TIMEOUT: Final = 30.0
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
# Seconds that a live watch may be quiet: the server sends a bookmark about once a minute (KEP-956). Kinds without a
# watch cache (events) have none; there a quiet watch is merely opened again where it was.
QUIET: Final = 90.0
_BUSY_TRIES: Final = 3
_LONGEST_PAUSE: Final = 10.0  # seconds that a Retry-After is obeyed; longer ones are left to the caller


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. Items do not tell their kind."""

    items: list[dict[str, Any]]
    resource_version: str


class KubeClient:
    """Talks to the cluster of `target`; connects at the first request, reads a changed kubeconfig anew by itself."""

    def __init__(self, target: Target, environ: Mapping[str, str] = os.environ) -> None:
        self.target = target
        self._environ = environ
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._stamp: object = None
        self._closed = threading.Event()
        self._known: tuple[float, str] | None = None
        self._generation = 0

    def close(self) -> None:
        """Close idle connections and end pauses; streams are closed by their owners."""
        self._closed.set()
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        content_type: str = "application/json",
        timeout: float = TIMEOUT,
        accept: str = "application/json",
        like: type | None = None,
        flight: InFlight | None = None,
    ) -> Any:
        """Send one request; returns the decoded JSON, or text where the answer is not JSON. Raises KubeError.

        `like`, a TypedDict, names all that is read of the answer: the rest is not decoded. Where the answer is of other
        types, all of it is. A `body` is sent as JSON, or as it is where it is text and `content_type` is YAML. A busy
        server's Retry-After is obeyed within `timeout`. `flight` lets another thread end it.
        """
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        session = self._connected()
        if method == "GET" and not session.endpoint.near:
            headers["Accept-Encoding"] = "gzip"
        deadline = time.monotonic() + timeout
        for tries_left in range(_BUSY_TRIES, -1, -1):
            try:
                response = session.send(
                    method, path, query=query, body=body, headers=headers, timeout=timeout, flight=flight
                )
            except KubeError as error:
                pause = _pause(error)
                if not tries_left or not pause or time.monotonic() + pause > deadline or self._closed.wait(pause):
                    raise
                continue
            try:
                data = response.data
            except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
                raise session.translate(error, broke=True) from error
            if "json" not in response.headers.get("Content-Type", ""):
                return data.decode("utf-8", "replace")
            try:
                with collection_paused():
                    if like is not None:
                        with suppress(msgspec.ValidationError):
                            return from_json(data, like)
                    return msgspec.json.decode(data)
            except (ValueError, RecursionError) as error:
                raise KubeError(f"The API server's answer to {method} {path} is not JSON") from error
        raise AssertionError("the last try returns or raises")

    def get(self, path: str, **query: Any) -> Any:
        """Read one thing; raises KubeError."""
        return self.request("GET", path, query=query)

    def pages(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = PAGE,
        like: type | None = None,
        flight: InFlight | None = None,
    ) -> Iterator[Page]:
        """Yield a list in pages; raises Gone where the list became too old on the way: begin anew.

        `like` as of `request`.
        """
        query = {"limit": limit, "labelSelector": labels, "fieldSelector": fields, "continue": ""}
        while True:
            answer = self.request("GET", kind.path(namespace), query=query, like=like, flight=flight)
            about = answer.get("metadata") or {}
            yield Page(answer.get("items") or [], about.get("resourceVersion") or "")
            query["continue"] = about.get("continue") or ""
            if not query["continue"]:
                return

    def list(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """Return all objects and the list's resource version; raises KubeError."""
        for tries_left in (2, 1, 0):
            items: list[dict[str, Any]] = []
            version = ""
            try:
                for page in self.pages(kind, namespace, labels=labels, fields=fields):
                    items += page.items
                    version = page.resource_version
            except Gone:
                if not tries_left:
                    raise
                continue
            return items, version
        raise AssertionError("the last try returns or raises")

    def watch(
        self,
        kind: Kind,
        namespace: str | None,
        resource_version: str,
        *,
        labels: str = "",
        fields: str = "",
        timeout: float = 300.0,
    ) -> WatchStream:
        """Return a watch that opens when it is iterated; Gone when the version is too old, Silent when it is dead.

        The server ends it after `timeout` to twice that many seconds, spread so that not all end at once.
        """
        query = {
            "watch": True,
            "resourceVersion": resource_version,
            "allowWatchBookmarks": True,
            "timeoutSeconds": int(random.uniform(timeout, 2 * timeout)),
            "labelSelector": labels,
            "fieldSelector": fields,
        }
        path = kind.path(namespace)
        return WatchStream(ByteStream(self._connected(), path, query, quiet=QUIET, accept="application/json"))

    def stream(self, path: str, query: Mapping[str, Any] | None = None) -> ByteStream:
        """Return an answer to be read as it arrives (a followed log)."""
        return ByteStream(self._connected(), path, query)

    def may(self, verb: str, resource: str, **attributes: str) -> bool:
        """Whether this account may do that to a resource; `attributes` are group, subresource, namespace.

        Raises KubeError: NotFound where the server cannot be asked, Forbidden where this account may not ask.
        """
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "resource": resource, **attributes}},
        }
        return bool((self.request("POST", _REVIEWS, body=body).get("status") or {}).get("allowed"))

    def endpoint(self) -> Endpoint:
        """Return where the context leads as the kubeconfig says now; asks nobody. Raises BadKubeconfig."""
        return self._connected().endpoint

    def access(self) -> tuple[Endpoint, Credentials]:
        """Return where the server is and what to sign in with now, for what HTTP cannot carry (WebSockets)."""
        return self._connected().access()

    def identity(self, since: float = 0.0, *, flight: InFlight | None = None) -> str:
        """Return what tells this cluster from one made anew: kube-system's uid, or where it is and whom it trusts.

        An answer that is not older than the monotonic time `since` is given again: after a break all watches ask.
        Raises KubeError; one that may not read kube-system gets the address and a digest of the CA.
        """
        known = self._known
        if known is not None and known[0] >= since:
            return known[1]
        asked_at = time.monotonic()
        try:
            answer = self.request("GET", NAMESPACES.path(name="kube-system"), flight=flight)
            uid = str(answer["metadata"]["uid"])
        except (Forbidden, NotFound):
            endpoint = self._connected().endpoint
            uid = f"{endpoint.server} {hash(endpoint.ca_data):x}"
        self._known = (asked_at, uid)
        return uid

    @property
    def generation(self) -> int:
        """How often the kubeconfig gave this context another server or user; raises BadKubeconfig."""
        self._connected()
        return self._generation

    def _connected(self) -> Session:
        """Return the session, made anew where the kubeconfig changed what it says of this context."""
        with self._lock:
            stamp = kubeconfig_stamp(self._environ)
            if self._session is None or stamp != self._stamp:
                fresh = Session(self.target, self._environ)
                if self._session is None or fresh.identity != self._session.identity:
                    self._session = fresh
                    self._generation += 1
                    self._known = None
                self._stamp = stamp
            return self._session


def _pause(error: KubeError) -> float:
    """Return the seconds after which the same request may be sent again; 0 for never."""
    if isinstance(error, TooManyRequests) and not error.blocked_by_budget and error.retry_after <= _LONGEST_PAUSE:
        return error.retry_after
    return 0.0


_lock = threading.Lock()
_depth = 0
_was_enabled = False


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep the collector from running in any thread meanwhile; blocks of several threads may overlap."""
    global _depth, _was_enabled
    with _lock:
        _depth += 1
        if _depth == 1:
            _was_enabled = gc.isenabled()
            gc.disable()
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _was_enabled:
                gc.enable()
