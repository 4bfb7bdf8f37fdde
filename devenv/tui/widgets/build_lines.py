"""A build that runs, a line a service: how far it is, what came from the cache, how long it takes, how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from devenv.core.model import Progress
from devenv.core.text import human_duration
from devenv.tui.safe_text import Part, fit, parts_width, safe

# BuildKit's name of a line of a Dockerfile: "[service stage 3/7] RUN make"; service and stage are left out at times.
_STEP: Final = re.compile(r"Step \[(?P<of>[^\]]*?) ?(?P<number>\d+)/(?P<total>\d+)\] (?P<line>.*)", re.DOTALL)


@dataclass(slots=True)
class _Service:
    """One service: when its first step came, when its newest one ended, and what is known of its steps."""

    began: float
    ended: float
    steps: int = 0
    cached: int = 0
    working: Progress | None = None
    last: Progress | None = None
    failed: Progress | None = None
    is_built: bool = False


class BuildLines:
    """Of one action: times are those at which the terminal heard of a step."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float, float]] = {}  # by step: its status, when it came, when it changed

    def lines(self, progress: Iterable[Progress], now: float, width: int, most: int) -> list[list[Part]]:
        """Return at most so many lines of that width, of services that are being built first; none without a build."""
        services: dict[str, _Service] = {}
        for item in progress:
            if item.parent_id and item.id.startswith(("Step [", "Image ")):
                self._take(services, item, now)
        shown = sorted(services.items(), key=lambda pair: (pair[1].is_built, pair[1].failed is None))
        longest = max((len(name) for name in services), default=0)
        lines = [_line(name.ljust(longest), service, now, width) for name, service in shown[:most]]
        if len(shown) > most:
            lines[-1] = [(f"  … and {len(shown) - most + 1} more", "$quiet")]
        return lines

    def _take(self, services: dict[str, _Service], item: Progress, now: float) -> None:
        status, came, changed = self._seen.get(item.id, ("", now, now))
        changed = changed if status == item.status else now
        self._seen[item.id] = (item.status, came, changed)
        service = services.setdefault(item.parent_id, _Service(came, changed))
        service.began = min(service.began, came)
        if not _STEP.match(item.id):
            service.is_built = service.is_built or item.status == "done"
            return
        service.steps += 1
        service.cached += item.text == "Cached"
        service.ended = max(service.ended, changed)
        service.last = item
        if item.status == "working":
            service.working = item
        elif item.status == "error":
            service.failed = item


def _line(name: str, service: _Service, now: float, width: int) -> list[Part]:
    glyph, style = ("✗", "$error") if service.failed else ("✓", "$success") if service.is_built else ("◐", "$accent")
    step = service.failed or service.working or service.last
    words = "done" if service.is_built else "failed" if service.failed else ""
    if step is not None and not service.is_built:
        match = _STEP.match(step.id)
        stage = f"{match['of'].rpartition(' ')[2]} " if match and " " in match["of"] else ""
        place = f"{stage}{match['number']}/{match['total']}" if match else ""
        line = " ".join((match["line"] if match else step.id).split())
        words = " ".join(filter(None, (words, place, line)))
    cached = f"{service.cached} cached" if service.cached else ""
    goes_on = service.working is not None and not service.failed and not service.is_built
    took = human_duration(max(0.0, (now if goes_on else service.ended) - service.began))
    parts: list[Part] = [(f"  {glyph} {safe(name)}  ", style), (f"{took:<8}{cached:<11}", "$quiet")]
    return [*parts, (fit(safe(words), width - parts_width(parts)).rstrip(), "$foreground")]
