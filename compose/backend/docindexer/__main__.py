"""Run the service: `python -m docindexer`; the environment is the whole configuration (README.md).

Exit codes: 0 after SIGTERM or SIGINT, 2 for a wrong environment, 3 when the server cannot start (the port is taken),
128 + n when RELOAD is on and the worker was killed by signal n.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from docindexer.settings import Settings


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> int:
    """Serve until a signal says stop; requests in flight are finished first."""
    # Before any import that takes time: the kernel ignores an unhandled SIGTERM for PID 1. uvicorn puts its own
    # handlers in front and, when all requests are finished, raises the signal again, which ends here.
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    from docindexer.settings import Settings, SettingsError

    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        for problem in error.problems:
            print(f"doc-indexer: {problem}", file=sys.stderr)
        return 2
    return _serve(settings)


def _serve(settings: Settings) -> int:
    from pathlib import Path

    import uvicorn
    from docshared.logs import log_config

    from docindexer.draining import Drain, DrainingServer

    drain = Drain(0 if settings.reload else settings.drain_timeout)

    def application() -> Starlette:
        from docindexer.app import create_app

        return create_app(settings, drain=drain)

    config = uvicorn.Config(
        # By name for a reload: every worker imports it anew.
        "docindexer.app:create_app" if settings.reload else application,
        factory=True,
        host=settings.host,
        port=settings.port,
        log_config=log_config(settings.log_level, "docindexer"),
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        loop="asyncio",
        http="h11",
        # With reload, an open request must not hold up the new source.
        timeout_graceful_shutdown=1 if settings.reload else settings.shutdown_timeout,
        timeout_keep_alive=30,
    )
    server = DrainingServer(config, drain)
    if not settings.reload:
        server.run()
        return 0
    from docshared.listening import bind
    from docshared.reloading import Reloader

    reloader = Reloader(config, server.run, [bind(config)], Path(__file__).parent)
    reloader.run()
    return reloader.exit_code


if __name__ == "__main__":
    sys.exit(main())
