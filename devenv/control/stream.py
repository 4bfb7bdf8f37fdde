"""What a running `docker compose --progress json` writes: one JSON object a line, on two streams.

Compose's own steps, warnings and its final error come on stderr; BuildKit's raw progress (solve status: vertexes,
statuses, logs) comes on stdout. Seen with Compose 5.6; unknown lines are kept as text, never dropped. Compose 2 wrote
its word ("Creating", "Created") in `status` and had no other (docker/compose v2, pkg/progress/json.go). A vertex is one
build step (https://pkg.go.dev/github.com/moby/buildkit/client#SolveStatus); its name begins with `[service 2/3]` when
several services are built, and with `[2/3]` when only one is.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct, field

from devenv.core.model import Progress
from devenv.core.text import sanitize

_STATUS = {"working": "working", "done": "done", "warning": "warning", "error": "error"}


class Complaint(Struct, frozen=True):
    """Compose's final error. `message` keeps its line ends; it is empty when Compose was interrupted."""

    message: str


class Remark(Struct, frozen=True):
    """A warning of Compose, or a line that is not JSON."""

    text: str


class BuildStatus(Struct, frozen=True):
    """One raw solve-status object of BuildKit, for BuildView."""

    data: dict[str, Any]


ComposeRecord = Progress | Complaint | Remark | BuildStatus


def parse_line(line: bytes) -> Iterable[ComposeRecord]:
    """Read one line of either stream."""
    line = line.strip()
    if not line:
        return ()
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
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


LINES_KEPT = 20  # per step: what a failure shows
_STEP = re.compile(r"\[(?:(?P<service>[\w.-]+) )?(?P<stage>[\w.-]+ )?(?P<number>\d+/\d+)\] ")
_INTERNAL = re.compile(r"\[(?:(?P<service>[\w.-]+) )?internal\] ")
_CANCELED = "context canceled"  # a step that ended only because another one failed


class Step(Struct):
    """One vertex as far as it got."""

    name: str
    started: bool = False
    completed: bool = False
    cached: bool = False
    error: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES_KEPT))
    partial: str = ""

    @property
    def is_internal(self) -> bool:
        """Whether it is BuildKit's own work rather than a line of a Dockerfile."""
        return _STEP.match(self.name) is None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """What the step printed last, an unfinished line included."""
        return (*self.lines, self.partial) if self.partial else tuple(self.lines)


class BuildView:
    """Follows one build; `services` are those that may be built, to name the one of an unprefixed step."""

    def __init__(self, services: tuple[str, ...] = ()) -> None:
        self._services = services
        self._steps: dict[str, Step] = {}

    def apply(self, data: dict[str, Any]) -> Iterator[Progress]:
        """Take one solve-status object and yield what a user should see of it."""
        changed: dict[str, None] = {}
        for vertex in data.get("vertexes") or ():
            digest = str(vertex.get("digest"))
            step = self._steps.setdefault(digest, Step(sanitize(str(vertex.get("name", "")))))
            before = (step.started, step.completed, step.error)
            step.started = step.started or "started" in vertex
            step.completed = "completed" in vertex
            step.cached = step.cached or bool(vertex.get("cached"))
            step.error = sanitize(str(vertex.get("error", "")))
            if before != (step.started, step.completed, step.error):
                changed[digest] = None
        for log in data.get("logs") or ():
            digest = str(log.get("vertex"))
            if digest in self._steps:
                _append(self._steps[digest], base64.b64decode(log.get("data", "")))
                changed[digest] = None
        for digest in changed:
            step = self._steps[digest]
            if step.started and (not step.is_internal or step.error):
                yield self._progress(digest, step)

    def failing(self) -> Step | None:
        """Return the step that made the build fail, if one did."""
        return next((step for step in self._steps.values() if step.error and _CANCELED not in step.error), None)

    def service_of(self, step: Step) -> str:
        """Return the service a step belongs to; empty where BuildKit does not tell."""
        match = _STEP.match(step.name) or _INTERNAL.match(step.name)
        candidates = [match["service"], (match.groupdict().get("stage") or "").strip()] if match else []
        for name in candidates:
            if name in self._services:
                return str(name)
        return self.only_service

    @property
    def only_service(self) -> str:
        """The service that is built where it is one alone; else ""."""
        return self._services[0] if len(self._services) == 1 else ""

    def _progress(self, digest: str, step: Step) -> Progress:
        failed = bool(step.error) and _CANCELED not in step.error
        text = "Cached" if step.cached else "Built" if step.completed else "Building"
        lines = step.last_lines
        return Progress(
            id=f"Step {step.name}",
            text="Failed" if failed else "Canceled" if step.error else text,
            status="error" if failed else "warning" if step.error else "done" if step.completed else "working",
            details=step.error if failed else lines[-1] if lines and not step.completed else "",
            parent_id=self.service_of(step),
        )


def _append(step: Step, data: bytes) -> None:
    *whole, rest = (step.partial + data.decode("utf-8", "replace")).split("\n")
    for line in whole:
        step.lines.append(sanitize(line))
    # A progress bar without a line end must not grow for ever; its newest part is what counts.
    step.partial = sanitize(rest)[-400:]
