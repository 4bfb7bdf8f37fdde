"""What was measured and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from devenv.verify.criteria import Better, Criterion


class Verdict(StrEnum):
    """How a criterion or a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"  # could not be measured; `why` says why. Never the same as passed
    ERROR = "error"  # the test itself broke


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of a criterion. `margin` is what is left of the budget as a fraction; below 0 it is exceeded."""

    criterion: Criterion
    verdict: Verdict
    value: float | None = None
    margin: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    why: str = ""
    at: float = 0.0
    test: str = ""

    def __str__(self) -> str:
        name, unit, budget = self.criterion.name, self.criterion.unit, self.criterion.budget
        if self.value is None:
            return f"{name}: {self.verdict}: {self.why}"
        limit = "" if budget is None else f", budget {budget:g} {unit}"
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in self.stages.items())
        return f"{name}: {self.value:.3g} {unit}{limit}{f' ({stages})' if stages else ''}"

    def to_data(self) -> dict[str, Any]:
        """Return it as plain data, as reports and pytest's workers carry it."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Measurement:
        """Read what `to_data` returned."""
        return msgspec.convert(data, cls)


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test: `behaviour` is its file's, `why` the failure's text or the reason that it is inconclusive."""

    __test__ = False  # for pytest: not a class of tests

    id: str
    behaviour: str
    verdict: Verdict
    seconds: float = 0.0
    why: str = ""
    services: tuple[str, ...] = ()  # those that it did something with, the last one last; none: it is about all


def judge(
    criterion: Criterion, value: float, stages: Mapping[str, float], at: float, test: str, scale: float = 1.0
) -> Measurement:
    """Compare a value with its budget. `scale` widens a budget in seconds for slow machines; the value stays true."""
    budget = criterion.budget
    if budget is None:
        return Measurement(criterion, Verdict.PASSED, value, None, dict(stages), "no budget", at, test)
    limit = budget * scale if criterion.unit == "s" else budget
    good = value <= limit if criterion.better is Better.LOWER else value >= limit
    room = limit - value if criterion.better is Better.LOWER else value - limit
    margin = room / limit if limit else (0.0 if good else -1.0)
    why = "" if good else f"{value:.3g} {criterion.unit} is not within {limit:g} {criterion.unit}"
    verdict = Verdict.PASSED if good else Verdict.FAILED
    return Measurement(criterion, verdict, value, margin, dict(stages), why, at, test)
