"""What a verdict is made of: stages with times and two-sided bounds, and the reasons in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from devenv.runs.criteria import Verdict


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: when it was reached (None: never), the seconds it took, and between which bounds they must lie."""

    name: str
    at: float | None
    seconds: float | None
    low: float
    high: float

    @property
    def problem(self) -> str:
        """What is wrong with it; "" where it lies within its bounds."""
        if self.seconds is None:
            return f"{self.name}: not reached within {self.high:.0f} s"
        if self.seconds < self.low:
            return f"{self.name}: after {self.seconds:.0f} s, {self.low - self.seconds:.0f} s too early"
        if self.seconds > self.high:
            return f"{self.name}: after {self.seconds:.0f} s, {self.seconds - self.high:.0f} s too late"
        return ""

    def to_data(self) -> dict[str, Any]:
        """Return it as a report has it."""
        return {
            "stage": self.name,
            "at": self.at,
            "seconds": self.seconds,
            "low": self.low,
            "high": self.high,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict. `reasons` say why it is not passed; `facts` are worth telling whatever it is."""

    name: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    facts: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """Return it as a report has it."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "stages": [stage.to_data() for stage in self.stages],
            "facts": list(self.facts),
            "values": self.values,
        }
