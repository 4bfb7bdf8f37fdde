"""What a watch tells, one record an event: a line for people, an object for programs (docs/WATCH.md has its fields)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from devenv.core.text import human_bytes, sanitize

STEPS = ("noticed", "synced", "rebuilt", "restarted", "executed", "served")


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was synced; `paths` are the first few, relative to where their rule begins."""

    files: int = 0
    deleted: int = 0
    size: int = 0  # bytes
    containers: int = 0
    paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it for people."""
        copied = f"{self.files} file{'' if self.files == 1 else 's'}, {human_bytes(self.size)}" if self.files else ""
        gone = f"{self.deleted} deleted" if self.deleted else ""
        if not copied and not gone:
            return ""
        where = f" in {self.containers} containers" if self.containers > 1 else ""
        return f"{', '.join(filter(None, (copied, gone)))} ({named(self.paths, self.files + self.deleted)}){where}"


@dataclass(frozen=True, slots=True)
class Report:
    """One event. `steps` maps a step to the seconds since the file was saved."""

    event: str
    service: str = ""
    text: str = ""
    hint: str = ""
    at: float = 0.0  # seconds since the epoch
    counts: Counts = field(default_factory=Counts)
    steps: Mapping[str, float] = field(default_factory=dict)
    keys: tuple[str, ...] = ()  # of the resources that are the service's containers

    @property
    def is_trouble(self) -> bool:
        """Whether somebody should look."""
        return self.event in ("failed", "warning", "unserved")

    def line(self) -> str:
        """Return it as a line of text."""
        clock = datetime.fromtimestamp(self.at).strftime("%H:%M:%S")
        return " ".join(filter(None, (clock, self.service, self.words)))

    @property
    def words(self) -> str:
        """What happened, in how many milliseconds, without when and to which service."""
        words = " ".join(filter(None, (self.event, str(self.counts), self.text)))
        timing = " -> ".join(f"{step} {self.steps[step] * 1000:.0f} ms" for step in STEPS if step in self.steps)
        return f"{words}{f': saved -> {timing}' if timing else ''}"

    def as_json(self) -> str:
        """Return it as an object of JSON on one line; times of steps are milliseconds since the save."""
        at = datetime.fromtimestamp(self.at).astimezone().isoformat(timespec="milliseconds")
        facts: dict[str, object] = {"event": self.event, "at": at}
        facts |= {name: getattr(self, name) for name in ("service", "text", "hint") if getattr(self, name)}
        counts = self.counts
        if counts.containers:
            facts |= {"files": counts.files, "deleted": counts.deleted, "bytes": counts.size}
            facts |= {"containers": counts.containers, "paths": list(counts.paths)}
        if self.steps:
            facts["ms"] = {step: round(self.steps[step] * 1000, 1) for step in STEPS if step in self.steps}
        return json.dumps(facts, ensure_ascii=False)


def named(paths: Sequence[str], total: int) -> str:
    """Write the first few paths."""
    return ", ".join(map(sanitize, paths)) + (", …" if total > len(paths) else "")
