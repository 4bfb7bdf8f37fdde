"""The numbers of a load test at one moment, with the histogram that percentiles are read from, and thresholds on them.

A threshold is `search:p95<200`, `fail_ratio<0.01`, `rps>50`: what is measured must lie on the named side of the limit.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.core.errors import UsageError

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


_FORM: Final = re.compile(r"(?:(?P<name>[^<>:=]+):)?(?P<metric>[a-z_0-9.]+)\s*(?P<sign><=|>=|<|>)\s*(?P<limit>[^<>=]+)")
_SIGNS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PERCENTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d+)?)")
_UNITS: Final = {"rps": "/s", "fail_ratio": "", "requests": "", "failures": "", "mean": "ms", "max": "ms"}
EXAMPLES: Final = (
    "search:p95<200 (milliseconds), fail_ratio<0.01, failures<=3, rps>50, requests>=1000, mean<80, max<2000"
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit for a metric of the requests of one name, or of all (`name` is "total")."""

    name: str
    metric: str
    sign: str
    limit: float

    def __str__(self) -> str:
        name = "" if self.name == TOTAL else f"{self.name}:"
        return f"{name}{self.metric}{self.sign}{self.limit:g}"

    @property
    def unit(self) -> str:
        """The unit of the metric; "" for counts and ratios."""
        return _UNITS.get(self.metric, "ms")

    @property
    def waits_for_the_end(self) -> bool:
        """Whether it can only be judged when the run is over: a floor under a count that still grows."""
        return self.metric in ("requests", "failures") and self.sign.startswith(">")


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a threshold. `holds` None: nothing was measured. `margin`: what is left, a part of the limit."""

    threshold: Threshold
    value: float | None
    holds: bool | None
    margin: float | None


def parse(text: str) -> Threshold:
    """Read one threshold; raises UsageError that says what can be written."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--threshold {text!r} cannot be read", f"Write for example: {EXAMPLES}.")
    metric = match["metric"]
    if metric not in _UNITS and not _PERCENTILE.fullmatch(metric):
        near = difflib.get_close_matches(metric, [*_UNITS, "p50", "p95", "p99"], 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Write for example: {EXAMPLES}."
        raise UsageError(f"--threshold {text!r}: there is no metric {metric!r}", hint)
    try:
        limit = float(match["limit"])
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise UsageError(f"--threshold {text!r}: {match['limit']!r} is not a number, 0 or more", "Times are in ms.")
    if metric == "fail_ratio" and limit > 1:
        raise UsageError(f"--threshold {text!r}: a ratio is between 0 and 1", f"{limit:g} % is {limit / 100:g}.")
    return Threshold((match["name"] or TOTAL).strip(), metric, match["sign"], limit)


def parse_all(texts: Sequence[str], names: Sequence[str] = ()) -> tuple[Threshold, ...]:
    """Read many; with `names`, one for requests that nobody sends is refused: it could never be breached."""
    thresholds = tuple(dict.fromkeys(parse(text) for text in texts))
    for threshold in thresholds:
        if names and threshold.name not in (*names, TOTAL):
            near = difflib.get_close_matches(threshold.name, names, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(names)}."
            raise UsageError(f"--threshold {str(threshold)!r}: no request is called {threshold.name!r}", hint)
    return thresholds


def evaluate(thresholds: Sequence[Threshold], figures: Mapping[str, Figures]) -> list[Finding]:
    """Compare each threshold with the figures of its name."""
    return [_evaluate(threshold, figures.get(threshold.name, Figures())) for threshold in thresholds]


def _evaluate(threshold: Threshold, figures: Figures) -> Finding:
    value = _value(threshold.metric, figures)
    if value is None:
        return Finding(threshold, None, None, None)
    holds = _SIGNS[threshold.sign](value, threshold.limit)
    room = threshold.limit - value if threshold.sign.startswith("<") else value - threshold.limit
    margin = room / threshold.limit if threshold.limit else (0.0 if holds else -1.0)
    return Finding(threshold, value, holds, margin)


def _value(metric: str, figures: Figures) -> float | None:
    if metric in ("requests", "failures", "rps"):
        return {"requests": figures.requests, "failures": figures.failures, "rps": figures.rps}[metric]
    if not figures.requests:
        return None
    if metric == "fail_ratio":
        return figures.fail_ratio
    if metric == "mean":
        return figures.mean
    percent = 100.0 if metric == "max" else float(metric[1:])
    return figures.percentile(percent)


def breached(findings: Sequence[Finding]) -> list[Finding]:
    """Return those that do not hold."""
    return [finding for finding in findings if finding.holds is False]


def finding_row(finding: Finding) -> tuple[str, str, str, str]:
    """Return the cells: threshold, verdict, value, margin."""
    words = {True: "passed", False: "FAILED", None: "not measured"}
    unit = f" {finding.threshold.unit}" if finding.threshold.unit else ""
    return (
        str(finding.threshold),
        words[finding.holds],
        "" if finding.value is None else f"{finding.value:.4g}{unit}",
        "" if finding.margin is None else f"{finding.margin:+.0%}",
    )
