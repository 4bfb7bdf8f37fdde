"""BuildKit's progress as steps of the services that are built, and the failing step with its last lines.

A vertex is one build step (https://pkg.go.dev/github.com/moby/buildkit/client#SolveStatus). Its name begins with
`[service 2/3]` when several services are built, and with `[2/3]` when only one is.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from devenv.core.model import Progress
from devenv.core.text import sanitize

LINES_KEPT = 20  # per step: what a failure shows
_STEP = re.compile(r"\[(?:(?P<service>[\w.-]+) )?(?P<stage>[\w.-]+ )?(?P<number>\d+/\d+)\] ")
_INTERNAL = re.compile(r"\[(?:(?P<service>[\w.-]+) )?internal\] ")
_CANCELED = "context canceled"  # a step that ended only because another one failed


@dataclass(slots=True)
class Step:
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
