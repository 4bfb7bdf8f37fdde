"""The log: one line an event on stderr, without the probes' noise."""

from __future__ import annotations

import logging
from typing import Any


def area_of(path: str) -> str:
    """Return a label of few values for `path`: never the path itself, which anybody can choose."""
    if path.startswith("/api/"):
        return "api"
    return path[1:] if path in ("/health", "/ready", "/metrics") else "page"


class ProbeFilter(logging.Filter):
    """Drops the access lines of successful probes: they come every few seconds and say nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to keep an access record of uvicorn (client, method, path, HTTP version, status)."""
        if not isinstance(record.args, tuple) or len(record.args) != 5:
            return True
        _, _, path, _, status = record.args
        return area_of(str(path)) in ("api", "page") or status != 200


def log_config(level: str) -> dict[str, Any]:
    """Return the logging configuration that uvicorn applies in every process it starts."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "filters": {"probes": {"()": ProbeFilter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            "uvicorn": {"level": level.upper()},
            "uvicorn.access": {"filters": ["probes"]},
        },
    }
