"""The endpoints for machines: /health, /ready, /metrics and /openapi.json."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from docindexer import __version__
from docindexer.draining import Drain
from docindexer.metrics import Metrics
from docindexer.openapi import DOCUMENT
from docindexer.store import StoreUnavailable
from docindexer.threads import StoreThreads


class Probes:
    """The endpoints, each a coroutine from a request to a response."""

    def __init__(self, threads: StoreThreads, metrics: Metrics, drain: Drain) -> None:
        self._threads = threads
        self._metrics = metrics
        self._drain = drain

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/ready", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
        ]

    async def health(self, request: Request) -> Response:
        """Say that the process is alive; the store is not asked, so its trouble does not restart the service."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def ready(self, request: Request) -> Response:
        """Say whether documents can be found and kept now, and new requests are welcome."""
        try:
            if self._drain.begun:
                raise StoreUnavailable("stopping", "the service is being stopped")
            await self._threads.check()
        except StoreUnavailable as error:
            return JSONResponse({"status": "unavailable", "code": error.code, "reason": error.reason}, 503)
        return JSONResponse({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """Answer a Prometheus scrape, whatever state the store is in."""
        try:
            counts = await self._threads.counts()
        except StoreUnavailable:
            counts = None
        return Response(self._metrics.render(counts), media_type=CONTENT_TYPE_LATEST)

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        return JSONResponse(DOCUMENT)
