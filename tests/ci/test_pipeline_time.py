"""How long the gates take where each has a runner of its own, from what was measured here (T122)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.ci.jobs import BUDGET, SETUP, Job, JobResult, predict
from tests import forked

ROOT = Path(__file__).parents[2]


def ended(name: str, seconds: float, saved: float = 0.0) -> JobResult:
    return JobResult(Job(name, ()), "passed", (), seconds, saved)


def test_the_slowest_job_counts_with_what_the_cache_saved() -> None:
    found = predict([ended("lint", 20), ended("smoke", 60), ended("test", 1, saved=100)])
    assert (found.job, found.seconds, found.within) == ("test", SETUP + 101, True)


@pytest.mark.parametrize(("seconds", "within"), [(BUDGET - SETUP, True), (BUDGET - SETUP + 1, False)])
def test_more_than_15_minutes_is_too_long(seconds: float, within: bool) -> None:
    assert predict([ended("smoke", seconds)]).within is within


def test_gates_are_predicted_from_real_runs(tmp_path: Path) -> None:
    """Of a small repository with real tasks; the second run is replayed, and predicts as long as the first took."""
    (tmp_path / "devenv.toml").write_text(
        '[tasks."//#slow"]\ncommand = "sleep 0.6"\n[ci.jobs.slow]\ntasks = ["slow"]\n'
        '[tasks."//#fast"]\ncommand = "true"\n[ci.jobs.fast]\ntasks = ["fast"]\n'
    )
    for _ in range(2):
        done = forked.run("devenv", "ci", "pr", "--json", cwd=tmp_path)
        predicted = json.loads(done.stdout)["predicted"]
        assert (done.returncode, predicted["job"], predicted["within_budget"]) == (0, "slow", True)
        assert SETUP + 0.6 <= predicted["seconds"] < SETUP + 30
