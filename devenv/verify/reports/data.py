"""What all reports show, and its JSON form (docs/schemas/verify-report.schema.json)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from devenv import __version__
from devenv.verify.provenance import Commit, Machine
from devenv.verify.verdict import Measurement, TestResult, Verdict

SCHEMA: Final = 1
_WORST_FIRST: Final = (Verdict.ERROR, Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED)


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `interrupted`: it was ended before all tests had run."""

    run: str
    began: float
    seconds: float
    project: str
    target: str
    isolated: bool
    machine: Machine
    commit: Commit
    measurements: tuple[Measurement, ...]
    tests: tuple[TestResult, ...]
    interrupted: bool = False
    budget_scale: float = 1.0
    evidence: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of all; inconclusive where nothing ran."""
        found = {item.verdict for item in self.measurements} | {test.verdict for test in self.tests}
        if not found or self.interrupted:
            found.add(Verdict.INCONCLUSIVE)
        return next(verdict for verdict in _WORST_FIRST if verdict in found)

    def to_data(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "schema": SCHEMA,
            "devenv": __version__,
            "run": {
                "id": self.run,
                "began": datetime.fromtimestamp(self.began, UTC).isoformat(timespec="milliseconds"),
                "seconds": round(self.seconds, 3),
                "target": self.target,
                "isolated": self.isolated,
                "interrupted": self.interrupted,
                "budget_scale": self.budget_scale,
                "evidence": self.evidence,
            },
            "project": self.project,
            "verdict": self.verdict.value,
            "machine": asdict(self.machine),
            "commit": asdict(self.commit),
            "measurements": [_flat(item) for item in self.measurements],
            "tests": [asdict(item) | {"verdict": item.verdict.value} for item in self.tests],
        }


def _flat(item: Measurement) -> dict[str, Any]:
    data = item.to_data()
    criterion = data.pop("criterion")
    return {**criterion, **data}
