"""Counters of a load test that are added up while it goes on: requests by name, and the generator's own limits."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from devenv.load.figures import TOTAL, Figures, total
from devenv.load.outcome import MANY, generator_reasons


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
        found = {
            name: Figures(tally.requests, tally.failures, seconds, tally.times)
            for name, tally in sorted(self._names.items())
        }
        return found | {TOTAL: total(found.values())}


def figures_of(ticks: Iterable[tuple[float, Mapping[str, Figures]]]) -> dict[str, Figures]:
    """Return the figures of some ticks, each with its length in seconds."""
    tallies, seconds = Tallies(), 0.0
    for length, names in ticks:
        tallies.add(names)
        seconds += length
    return tallies.figures(seconds)


@dataclass
class Generator:
    """The processes that make the load. `cpu`: percent of a core of each."""

    cpu: tuple[float, ...] = ()
    _busiest: deque[float] = field(default_factory=lambda: deque(maxlen=MANY))
    _hot: str = ""
    _kept: Counter[str] = field(default_factory=Counter)

    @property
    def busiest(self) -> float:
        """The CPU of the busiest one."""
        return max(self.cpu, default=0.0)

    def add(self, told: Mapping[str, Any]) -> None:
        """Take what a tick says of them."""
        self.cpu = tuple(float(value) for value in told.get("cpu") or ())
        self._busiest.append(self.busiest)
        for key in ("arrivals", "late", "dropped"):
            self._kept[key] += int(told.get(key) or 0)
        self._hot = next(iter(generator_reasons(tuple(self._busiest), 0, 0, 0)), self._hot)

    @property
    def doubts(self) -> list[str]:
        """Why the run measures its generator, as it stands."""
        kept = self._kept
        return [*filter(None, [self._hot]), *generator_reasons((), kept["arrivals"], kept["late"], kept["dropped"])]
