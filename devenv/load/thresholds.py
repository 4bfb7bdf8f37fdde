"""Thresholds: `search:p95<200`, `fail_ratio<0.01`, `rps>50`. What is measured must lie on the named side of a limit."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devenv.core.errors import UsageError
from devenv.load.figures import TOTAL, Figures

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
