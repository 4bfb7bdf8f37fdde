"""What Prometheus reads: requests by route template, and how much the store holds.

Every label value is from a fixed set: a path nobody serves counts as `unmatched`, an odd method as `OTHER`.
"""

from __future__ import annotations

import math
import platform
import sqlite3
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from docindexer import __version__
from docindexer.store import Counts

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, revision: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "docindexer_http_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "docindexer_http_request_duration_seconds",
            "Time from the request's arrival to the end of its answer.",
            ["route", "method"],
            registry=self.registry,
        )
        self._refused = Counter(
            "docindexer_refused",
            "Calls of the store refused because too many others waited.",
            ["kind"],
            registry=self.registry,
        )
        self._up = Gauge("docindexer_store_up", "1 when the store could be read.", registry=self.registry)
        self._collections = Gauge("docindexer_collections", "Collections in the store.", registry=self.registry)
        self._documents = Gauge("docindexer_documents", "Documents in the store.", registry=self.registry)
        build = Gauge(
            "docindexer_build_info",
            "What this process is, always 1.",
            ["version", "revision", "python", "sqlite"],
            registry=self.registry,
        )
        build.labels(__version__, revision, platform.python_version(), sqlite3.sqlite_version).set(1)

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        method = method if method in METHODS else "OTHER"
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)

    def refused(self, kind: str) -> Callable[[], None]:
        """Return what counts one refused call of a kind; the series is there from now on."""
        return self._refused.labels(kind).inc

    def render(self, counts: Counts | None) -> bytes:
        """Return the text exposition; without counts the store's gauges are NaN and docindexer_store_up is 0."""
        self._up.set(0 if counts is None else 1)
        self._collections.set(math.nan if counts is None else counts.collections)
        self._documents.set(math.nan if counts is None else counts.documents)
        return generate_latest(self.registry)
