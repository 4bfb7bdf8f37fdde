"""The middleware around every request: security headers, metrics, one log line."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from docshared.healthcheck import AGENT
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from docindexer.draining import Drain
from docindexer.metrics import UNMATCHED, Metrics

log = logging.getLogger("docindexer.access")

# Asked every few seconds for ever: worth a line only when the answer is bad.
PROBES = frozenset({"/health", "/ready", "/metrics"})


class Observing:
    """Measures what passes; `templates` maps an endpoint to its route template."""

    def __init__(self, app: ASGIApp, metrics: Metrics, templates: Mapping[object, str], drain: Drain) -> None:
        self._app = app
        self._drain = drain
        self._metrics = metrics
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one ASGI connection on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # what the server answers when the application raises

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-store"
                if self._drain.begun:
                    headers["Connection"] = "close"
            await send(message)

        start = time.perf_counter()
        try:
            await self._app(scope, receive, observed_send)
        finally:
            seconds = time.perf_counter() - start
            route = self._templates.get(scope.get("endpoint"), UNMATCHED)
            self._metrics.observe(route, scope["method"], status, seconds)
            _log_request(scope, route, status, seconds)


def _log_request(scope: Scope, route: str, status: int, seconds: float) -> None:
    level = logging.INFO
    if status < 400 and (route in PROBES or Headers(scope=scope).get("user-agent") == AGENT):
        level = logging.DEBUG
    if log.isEnabledFor(level):
        fields = {
            "method": scope["method"],
            "path": scope["path"],
            "route": route,
            "status": status,
            "ms": f"{seconds * 1000:.1f}",
            "client": (scope.get("client") or ("-",))[0],
        }
        log.log(level, "request", extra=fields)
