"""A report for tests."""

from __future__ import annotations

from devenv.runs.criteria import Criterion, Measurement, TestResult, Verdict, judge
from devenv.runs.identity import Commit, Machine
from devenv.runs.report import Report


def report_of(run: str, value: float, *, why: str = "", machine: str = "m1", at: float = 1000.0) -> Report:
    """A report with one value of cold_start, one criterion that was not measured, and two tests."""
    measured = judge(Criterion("cold_start", "s", 120.0, "T001"), value, {"build": value / 2}, at, "t.py::test_cold")
    unknown = Measurement(Criterion("search", "s", 1.0), Verdict.INCONCLUSIVE, why="no <search> | here", at=at)
    return Report(
        run=run,
        began=at,
        seconds=12.0,
        project="shop",
        target="compose",
        isolated=True,
        machine=Machine(machine, "Linux x86_64", "a processor", 2, 2**33),
        commit=Commit("abc123", dirty=False),
        measurements=(measured, unknown),
        tests=(
            TestResult("t.py::test_cold", "cold start", measured.verdict, 3.0, why),
            TestResult("t.py::test_search", "search", Verdict.INCONCLUSIVE, 0.1, "no search"),
        ),
    )
