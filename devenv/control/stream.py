"""What a running `docker compose --progress json` writes: one JSON object a line, on two streams.

Compose's own steps, warnings and its final error come on stderr; BuildKit's raw progress (solve status: vertexes,
statuses, logs) comes on stdout. Seen with Compose 5.6; unknown lines are kept as text, never dropped. Compose 2 wrote
its word ("Creating", "Created") in `status` and had no other (docker/compose v2, pkg/progress/json.go).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from devenv.core.model import Progress
from devenv.core.text import sanitize

_STATUS = {"working": "working", "done": "done", "warning": "warning", "error": "error"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """Compose's final error. `message` keeps its line ends; it is empty when Compose was interrupted."""

    message: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A warning of Compose, or a line that is not JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class BuildStatus:
    """One raw solve-status object of BuildKit, for `devenv.control.build.BuildView`."""

    data: dict[str, Any]


ComposeRecord = Progress | Complaint | Remark | BuildStatus


def parse_line(line: bytes) -> Iterable[ComposeRecord]:
    """Read one line of either stream."""
    line = line.strip()
    if not line:
        return ()
    try:
        data = json.loads(line)
    except ValueError:
        return (Remark(sanitize(line)),)
    if not isinstance(data, dict):
        return (Remark(sanitize(line)),)
    if data.get("error") is True:
        return (Complaint(sanitize(str(data.get("message", "")), newlines=True)),)
    if "level" in data and "msg" in data:
        return (Remark(sanitize(str(data["msg"]))),)
    if "id" in data:
        return (_progress(data),)
    if data.keys() & {"vertexes", "statuses", "logs", "warnings"}:
        return (BuildStatus(data),)
    return (Remark(sanitize(line)),)


def service_of_step(step_id: str) -> str:
    """Return the service that a step without a container is about: "service:web:1", "provider:database"; else ""."""
    kind, _, rest = step_id.partition(":")
    return {"service": rest.rpartition(":")[0], "provider": rest}.get(kind, "")


def _progress(data: dict[str, Any]) -> Progress:
    word, said, details = (sanitize(str(data.get(key, ""))) for key in ("status", "text", "details"))
    status = _STATUS.get(word.lower())
    if status is None:  # Compose 2
        status, said, details = _status_of(word), word, said
    return Progress(
        id=sanitize(str(data["id"])),
        text=said,
        status=status,
        details=details,
        current=_number(data.get("current")),
        total=_number(data.get("total")),
        percent=_number(data.get("percent")),
        parent_id=sanitize(str(data.get("parent_id", ""))),
    )


def _status_of(word: str) -> str:
    return "done" if word in ("Running", "Healthy") or word.endswith("ed") else "working"


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
