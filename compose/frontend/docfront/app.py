"""The ASGI application: probes, the proxy, and the page."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from docfront.backend import Backend
from docfront.errors import on_exception, on_http_exception
from docfront.headers import HeadersMiddleware
from docfront.metrics import MetricsMiddleware, metrics
from docfront.probes import health, ready
from docfront.proxy import Proxy
from docfront.settings import Settings

COMPRESSED_FROM = 1000  # bytes of a file: less fits into one packet anyway
STATIC_DIR = Path(__file__).parent / "static"


class Page(StaticFiles):
    """The page's files, never served from a cache without asking: a change is visible at the next load."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve one file with an ETag and `no-cache`."""
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def create_app(settings: Settings | None = None) -> Starlette:
    """Build the application; without `settings`, from the environment (raises SettingsError)."""
    settings = settings or Settings.from_environ(os.environ)
    backend = Backend(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with backend:
            yield

    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", metrics),
            Mount("/api", Proxy(backend, settings.backend_requests)),
            Mount("/", GZipMiddleware(Page(directory=STATIC_DIR, html=True), minimum_size=COMPRESSED_FROM)),
        ],
        middleware=[Middleware(MetricsMiddleware), Middleware(HeadersMiddleware)],
        exception_handlers={HTTPException: on_http_exception, Exception: on_exception},
        lifespan=lifespan,
    )
    app.state.backend = backend
    return app
