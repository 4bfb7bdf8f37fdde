"""The log's lines about requests, without the probes' noise."""

from __future__ import annotations

import logging
from typing import Any

from docshared import logs


def area_of(path: str) -> str:
    """Return a label of few values for `path`: never the path itself, which anybody can choose."""
    if path.startswith("/api/"):
        return "api"
    return path[1:] if path in ("/health", "/ready", "/metrics") else "page"


class AccessFilter(logging.Filter):
    """Makes fields of uvicorn's access lines, and drops those of successful probes, which say nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to keep an access record of uvicorn (client, method, path, HTTP version, status)."""
        if not isinstance(record.args, tuple) or len(record.args) != 5:
            return True
        client, method, path, _, status = record.args
        record.msg, record.args = "request", ()
        fields = {"method": method, "path": path, "status": status, "client": str(client).rpartition(":")[0]}
        vars(record).update(fields)
        return area_of(str(path)) in ("api", "page") or status != 200


def log_config(level: str) -> dict[str, Any]:
    """Return the logging configuration that uvicorn applies in every process it starts."""
    config = logs.log_config(level, "docfront")
    config["filters"] = {"access": {"()": AccessFilter}}
    config["loggers"]["uvicorn.access"] = {"filters": ["access"]}
    return config
