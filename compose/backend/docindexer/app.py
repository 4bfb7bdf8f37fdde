"""The application factory: wires settings, store, endpoints, metrics and error answers."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from docindexer.api import Api
from docindexer.draining import Drain
from docindexer.failures import exception_handlers
from docindexer.gate import Gate
from docindexer.metrics import Metrics
from docindexer.observing import Observing
from docindexer.probes import Probes
from docindexer.settings import Settings
from docindexer.sqlite_store import SqliteStore
from docindexer.store import Store, StoreUnavailable
from docindexer.threads import StoreThreads

log = logging.getLogger("docindexer")

COMPRESSED_FROM = 1000  # bytes of an answer: less fits into one packet anyway


def chosen_store(settings: Settings) -> Store:
    """Return the store that the settings name: PostgreSQL with DATABASE_URL, else SQLite."""
    if not settings.database_url:
        return SqliteStore(settings.database_path, settings.busy_timeout_ms, settings.min_free_bytes)
    from docindexer.postgres_conninfo import Address
    from docindexer.postgres_store import PostgresStore

    return PostgresStore(
        Address(settings.database_url, settings.database_password_file),
        settings.database_pool_size,
        settings.busy_timeout_ms,
        settings.database_timeout_ms,
    )


def create_app(settings: Settings | None = None, store: Store | None = None, drain: Drain | None = None) -> Starlette:
    """Build the ASGI application; what is not given comes from the environment.

    Raises SettingsError when the environment holds a value that cannot be used.
    """
    settings = settings or Settings.from_env(os.environ)
    used = store or chosen_store(settings)
    # SQLite has one writer at a time, whatever is asked for.
    writers = settings.write_threads if settings.database_url else 1
    metrics = Metrics(settings.revision)
    reads, writes = (
        Gate(places, settings.max_waiting, patience_ms / 1000, metrics.refused(what))
        for what, places, patience_ms in (
            ("read", settings.read_threads, settings.read_patience_ms),
            ("write", writers, settings.write_patience_ms),
        )
    )
    threads = StoreThreads(used, reads, writes, settings.ready_timeout_ms / 1000)
    drain = drain or Drain(settings.drain_timeout)
    routes = [*Api(settings, threads).routes(), *Probes(threads, metrics, drain).routes()]
    templates: dict[object, str] = {route.endpoint: route.path for route in routes}

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            await to_thread.run_sync(used.open)
        except StoreUnavailable as error:
            # Not the end: /ready says the same until somebody repairs the store, and then it is opened.
            log.error("store not available", extra={"code": error.code, "reason": error.reason})
        yield
        await to_thread.run_sync(used.close)

    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Observing, metrics=metrics, templates=templates, drain=drain),
            # A page of results is a third of its size then, for 0.06 ms (docs/PERFORMANCE.md); higher levels gain 2 %.
            Middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM, compresslevel=1),
        ],
        exception_handlers=exception_handlers(routes),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would repeat the Host header of whoever asked
    return app
