"""Brings together what the generator's processes count: requests by name, CPU, and how well schedules were kept."""

from __future__ import annotations

import time
from typing import Any

from locust import events, runners

from devenv.load.figures import Figures
from devenv.load.recorder import Own
from devenv.load.shapes import Punctuality
from devenv.load.users import punctuality

# Workers report every second, so that a tick of the recording is a second whoever makes the load; Locust's 3 s would
# put the requests of three seconds into one tick.
runners.WORKER_REPORT_INTERVAL = 1.0
_own = Own()


class Counting:
    """The counters of all processes, on the side that steers."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._began = time.monotonic()
        self._ended: float | None = None
        self._punctuality = Punctuality()
        self._cpu: dict[str, float] = {}
        self._gone: set[str] = set()
        environment.events.worker_report.add_listener(self._take)

    def begin(self) -> None:
        """The load begins now."""
        self._began, self._ended = time.monotonic(), None
        self._cpu.clear()
        self._gone.clear()
        self._punctuality.take()
        punctuality.take()
        _own.read()

    def freeze(self) -> None:
        """The load has ended: what still arrives was sent before, and rates are over the time until now."""
        self._ended = self._ended or time.monotonic()

    def close(self) -> None:
        """Listen no more."""
        self._environment.events.worker_report.remove_listener(self._take)

    def figures(self) -> dict[str, Figures]:
        """Return the counters of each name since the load began."""
        seconds = (self._ended or time.monotonic()) - self._began
        figures: dict[str, Figures] = {}
        for (name, _), entry in self._environment.stats.entries.items():
            figures[name] = Figures(entry.num_requests, entry.num_failures, seconds, dict(entry.response_times))
        return figures

    def errors(self) -> list[tuple[int, str, str]]:
        """Return why requests failed: count, name of the requests, reason."""
        errors = self._environment.stats.errors.values()
        return [(item.occurrences, item.name, item.to_name().partition(f"{item.name}: ")[2]) for item in errors]

    def generator(self) -> dict[str, Any]:
        """Return what the processes used and how late they were since the last call."""
        own = 100 * _own.read()
        if not isinstance(self._environment.runner, runners.MasterRunner):
            self._punctuality.add(punctuality.take())
            return {"cpu": [round(own, 1)], **self._punctuality.take()}
        workers = [round(value, 1) for _, value in sorted(self._cpu.items())]
        return {"cpu": workers, "master": round(own, 1), **self._punctuality.take()}

    def lost(self) -> list[str]:
        """Return the workers that went missing since the last call."""
        if not isinstance(self._environment.runner, runners.MasterRunner):
            return []
        missing = {worker.id for worker in self._environment.runner.clients.missing} - self._gone
        self._gone |= missing
        for worker in missing:
            self._cpu.pop(worker, None)
        return sorted(missing)

    def _take(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        counts = data.get("devenv")
        if counts:
            self._cpu[client_id] = counts.pop("cpu")
            self._punctuality.add(counts)


@events.report_to_master.add_listener
def _report(client_id: str, data: dict[str, Any], **_: Any) -> None:
    data["devenv"] = {"cpu": 100 * _own.read(), **punctuality.take()}
