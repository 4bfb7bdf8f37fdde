"""What a load test concludes: judgements with their stages, how it ended, and the exit code that says so.

  0  all requests were served, all thresholds hold
130  interrupted: somebody ended it before its time, so it says nothing, and is not in the history
  1  requests failed (what --exit-code-on-error changes), no threshold was breached
  2  wrong command line or setting
 12  inconclusive: the generator was the limit, or fell behind its schedule, or a worker was lost, or the autoscaler
     could not be tested
 70  an exception in the load test itself (sysexits.h: EX_SOFTWARE)
 99  a threshold was breached, or the autoscaler did not do what it should

A target that cannot be reached or prepared ends it with devenv's own codes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, Inconclusive
from devenv.core.stored import read_plain, readable
from devenv.load.figures import Finding, breached, parse
from devenv.runs.criteria import Verdict
from devenv.runs.lines import write_text


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
        data: dict[str, Any] = msgspec.to_builtins(self)
        for stage, item in zip(data["stages"], self.stages, strict=True):
            stage |= {"stage": stage.pop("name"), "problem": item.problem}
        return data


EXIT_FAILED_REQUESTS: Final = 1
EXIT_INCONCLUSIVE: Final = Inconclusive.exit_code
EXIT_EXCEPTION: Final = 70
EXIT_BREACHED: Final = 99
OUTCOME: Final = "outcome.json"
BUSY: Final = 90.0  # percent of a core: a generator above it measures itself
LATE: Final = 0.1  # seconds after its intended start at which a request counts as late
LATE_SHARE: Final = 0.01  # of all arrivals, and the run is inconclusive
LATE_FEW: Final = 5  # late requests say nothing yet: any machine pauses once
_VERDICTS: Final = {
    EXIT_OK: Verdict.PASSED,
    EXIT_INCONCLUSIVE: Verdict.INCONCLUSIVE,
    EXIT_INTERRUPTED: Verdict.INCONCLUSIVE,
    EXIT_EXCEPTION: Verdict.ERROR,
}
MANY: Final = 3  # readings above BUSY in a row: one is a moment, three are the run


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides the outcome.

    `scaling` is the verdict on the autoscaler (None: another shape, or not judged yet), `error_code` what one failed
    request means (Locust's --exit-code-on-error).
    """

    findings: Sequence[Finding] = ()
    failures: int = 0
    exceptions: int = 0
    reasons: Sequence[str] = ()  # why it is inconclusive
    error_code: int = EXIT_FAILED_REQUESTS
    scaling: Judgement | None = None
    interrupted: bool = False

    @property
    def inconclusive(self) -> Sequence[str]:
        """Why the run is inconclusive, or only what it says about the autoscaler."""
        if self.scaling is None or self.scaling.verdict is not Verdict.INCONCLUSIVE:
            return self.reasons
        return tuple(dict.fromkeys((*self.reasons, *self.scaling.reasons)))


def exit_code(facts: Facts) -> int:
    """Return the code; a run that measured its generator says nothing about a threshold."""
    if facts.interrupted:
        return EXIT_INTERRUPTED
    if facts.exceptions:
        return EXIT_EXCEPTION
    if facts.reasons:
        return EXIT_INCONCLUSIVE
    scaling = facts.scaling.verdict if facts.scaling else None
    if breached(facts.findings) or scaling is Verdict.FAILED:
        return EXIT_BREACHED
    if scaling is Verdict.INCONCLUSIVE:
        return EXIT_INCONCLUSIVE
    return facts.error_code if facts.failures else EXIT_OK


def verdict(facts: Facts) -> Verdict:
    """Return the same as a verdict."""
    code = exit_code(facts)
    return _VERDICTS.get(code, Verdict.FAILED)


def generator_reasons(busiest: Sequence[float], arrivals: int, late: int, dropped: int) -> list[str]:
    """Say why the generator was the limit; empty where it was not.

    `busiest` is the CPU of the busiest generator process in percent of a core, one value for each reading; `late` of
    `arrivals` began more than LATE seconds after their time, `dropped` were never sent because too many were in flight.
    """
    reasons = []
    runs = [min(busiest[at : at + MANY]) for at in range(len(busiest) - MANY + 1)]
    if runs and max(runs) > BUSY:
        reasons.append(
            f"the generator used {max(runs):.0f} % of a core (limit {BUSY:.0f} %): "
            "give it more processes (--processes 2) or machines"
        )
    if late > max(LATE_FEW, LATE_SHARE * arrivals):
        reasons.append(
            f"{late} of {arrivals} requests began more than {LATE * 1000:.0f} ms after their time: "
            "the generator fell behind its schedule"
        )
    if dropped:
        reasons.append(f"{dropped} requests were not sent, because too many were in flight")
    return reasons


def save_outcome(folder: Path, exit_code: int, verdict: Verdict, reasons: Sequence[str], findings: Any) -> None:
    """Keep how the run ended beside its recording."""
    data = {
        "exit_code": exit_code,
        "verdict": verdict.value,
        "reasons": list(reasons),
        "findings": [finding_data(item) for item in findings],
    }
    write_text(folder / OUTCOME, json.dumps(data, indent=2) + "\n")


class _FindingData(msgspec.Struct):
    threshold: str
    value: float | None
    holds: bool | None
    margin: float | None


class OutcomeFile(msgspec.Struct):
    """What is read of outcome.json."""

    exit_code: int | None = None
    verdict: Verdict | None = None
    reasons: list[str] = []
    findings: list[_FindingData] = []


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """Return what outcome.json says, None where there is none; raises Unreadable."""
    return read_plain(folder / OUTCOME, OutcomeFile)


def stored_outcome(folder: Path) -> dict[str, Any] | None:
    """Return the same with findings as such; raises Unreadable."""
    data = read_outcome(folder)
    if data is not None:
        with readable(folder / OUTCOME):
            data["findings"] = [
                Finding(parse(item["threshold"]), item["value"], item["holds"], item["margin"])
                for item in data["findings"]
            ]
    return data


def finding_data(item: Finding) -> dict[str, Any]:
    """Return a threshold's result as plain data."""
    return {"threshold": str(item.threshold), "value": item.value, "holds": item.holds, "margin": item.margin}
