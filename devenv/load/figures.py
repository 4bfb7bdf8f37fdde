"""The numbers of a load test at one moment, added up or not, and the histogram that percentiles are read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TOTAL = "total"  # the name of all requests together


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of the requests of one name in `seconds`. `times` maps response times in ms to their count.

    Locust rounds response times to two digits above 100 ms, so a percentile is exact to 5 %.
    """

    requests: int = 0
    failures: int = 0
    seconds: float = 0.0
    times: Mapping[int, int] = field(default_factory=dict)

    @property
    def rps(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def fail_ratio(self) -> float:
        """The share of requests that failed, 0 to 1; 0 without requests."""
        return self.failures / self.requests if self.requests else 0.0

    @property
    def mean(self) -> float | None:
        """The mean response time in ms; None without a response."""
        count = sum(self.times.values())
        return sum(time * number for time, number in self.times.items()) / count if count else None

    def percentile(self, percent: float) -> float | None:
        """Return the response time in ms that `percent` of all responses did not exceed; None without a response."""
        left = sum(self.times.values()) * percent / 100
        slowest = None
        for slowest in sorted(self.times):
            left -= self.times[slowest]
            if left <= 1e-9:
                break
        return slowest

    def since(self, before: Figures) -> Figures:
        """Return what came after `before`; where counters went back, as by a reset, all of this."""
        if self.requests < before.requests:
            return self
        times = {time: number - before.times.get(time, 0) for time, number in self.times.items()}
        return Figures(
            self.requests - before.requests,
            self.failures - before.failures,
            self.seconds - before.seconds,
            {time: number for time, number in times.items() if number > 0},
        )

    def to_data(self) -> dict[str, Any]:
        """Return it as a recording's line has it."""
        return {
            "n": self.requests,
            "failed": self.failures,
            "seconds": round(self.seconds, 3),
            "times": {str(time): number for time, number in sorted(self.times.items())},
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Figures:
        """Read what `to_data` returned."""
        times = {int(time): int(number) for time, number in data["times"].items()}
        return cls(int(data["n"]), int(data["failed"]), float(data["seconds"]), times)


def total(figures: Iterable[Figures]) -> Figures:
    """Return the sum of what ran at the same time."""
    every = list(figures)
    times: dict[int, int] = {}
    for item in every:
        for time, number in item.times.items():
            times[time] = times.get(time, 0) + number
    return Figures(
        sum(item.requests for item in every),
        sum(item.failures for item in every),
        max((item.seconds for item in every), default=0.0),
        times,
    )


@dataclass(slots=True)
class Tally:
    """The counters of one name."""

    requests: int = 0
    failures: int = 0
    times: Counter[int] = field(default_factory=Counter)


class Tallies:
    """The counters of all names."""

    def __init__(self) -> None:
        self._names: dict[str, Tally] = {}

    def add(self, names: Mapping[str, Figures]) -> None:
        """Add what happened in a second."""
        for name, figures in names.items():
            tally = self._names.setdefault(name, Tally())
            tally.requests += figures.requests
            tally.failures += figures.failures
            tally.times.update(figures.times)

    def figures(self, seconds: float) -> dict[str, Figures]:
        """Return them by name as figures over that time, and of all requests."""
        by_name = {
            name: Figures(tally.requests, tally.failures, seconds, tally.times)
            for name, tally in sorted(self._names.items())
        }
        return by_name | {TOTAL: total(by_name.values())}


def figures_of(ticks: Iterable[tuple[float, Mapping[str, Figures]]]) -> dict[str, Figures]:
    """Return the figures of some ticks, each with its length in seconds."""
    tallies, seconds = Tallies(), 0.0
    for length, names in ticks:
        tallies.add(names)
        seconds += length
    return tallies.figures(seconds)
