"""uvicorn, set up for this service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from docshared.listening import bind
from starlette.types import ASGIApp

from docfront.logs import log_config
from docfront.settings import Settings

SOURCE_DIR = Path(__file__).resolve().parent


def server_config(settings: Settings, app: str | Callable[[], ASGIApp], log: dict[str, Any] | None) -> uvicorn.Config:
    """Return the server's configuration; `app` is a factory, by name where a new process shall import it afresh."""
    return uvicorn.Config(
        app,
        factory=True,
        host=settings.host,
        port=settings.port,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=log,
        server_header=False,
        # The backend, not this hop, is told who asked; claims of unknown clients are not believed here.
        proxy_headers=False,
        # Longer than an ingress keeps an idle connection (Traefik: 90 s): were this side first, a request could be on
        # its way at that moment, and a change that is lost so is not repeated.
        timeout_keep_alive=120,
        # An edit shall be served within 3 s, whatever request is still running.
        timeout_graceful_shutdown=1 if settings.reload else settings.shutdown_timeout,
    )


def serve(settings: Settings) -> int:
    """Serve until a signal and return the exit code; ends the process with 3 when the port is taken."""
    config = server_config(settings, "docfront.app:create_app", log_config(settings.log_level))
    server = uvicorn.Server(config)
    listener = bind(config)
    if not settings.reload:
        server.run([listener])
        return 0
    from docshared.reloading import Reloader

    reloader = Reloader(config, server.run, [listener], SOURCE_DIR)
    reloader.run()
    return reloader.exit_code
