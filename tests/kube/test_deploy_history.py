"""Deployments in the history: what is measured of each, and the share that succeeded."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from devenv.backends.kube.pod_start import PodStages
from devenv.control.deploy.outcome import Changed, Check, Outcome, Proof, Result, Stage, Status
from devenv.runs.criteria import Verdict
from devenv.runs.history import History
from devenv.runs.identity import this_machine
from devenv.verify.success_metrics import COUNTED, OUTCOME, latest, measure, remember


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.sqlite3")


def done(name: str, seconds: float) -> Stage:
    return Stage(name, Status.DONE, seconds)


def succeeded(number: int = 0) -> Outcome:
    began = time.time() - 100
    pods = (
        PodStages("shop", "web-1", "deployment/web", began + 5, began + 5, began + 6, began + 7, began + 14),
        PodStages("shop", "web-2", "deployment/web", began + 5, began + 5, began + 9, began + 10, began + 22),
        PodStages("shop", "old-1", "deployment/old", began - 500, began - 500, began, began, began),
    )
    return Outcome(
        overlay="dev",
        context="minikube",
        namespace="shop",
        revision=f"r{number}",
        began=began,
        seconds=61.0,
        result=Result.SUCCEEDED,
        changed=True,
        changes=(Changed("Deployment", "shop", "web", "changed"), Changed("Service", "shop", "web", "unchanged")),
        stages=(done("build", 30), done("load", 8), done("apply", 1), done("wait", 20), done("verify", 2)),
        pods=pods,
        proof=Proof((Check("web", Status.DONE),)),
    )


def test_a_success_has_its_durations(history: History, tmp_path: Path) -> None:
    found = {item.criterion.name: item for item in remember(history, succeeded(), "shop", tmp_path, {})}
    assert found["deployment"].value == 21
    assert found["deployment"].stages == {"apply": 1, "wait": 20}
    assert found["pod_ready"].value == 17
    assert list(found["pod_ready"].stages) == ["scheduled", "pulled", "started", "ready"]
    assert found["pipeline"].value == 61
    assert (found["deployment_success"].value, found["deployment_success"].verdict) == (100, Verdict.PASSED)


def test_the_pipeline_is_only_what_was_built_and_verified() -> None:
    names = {item.criterion.name for item in measure(replace(succeeded(), proof=None), {})}
    assert names == {"deployment", "pod_ready"}
    stages = tuple(stage for stage in succeeded().stages if stage.name != "build")
    assert "pipeline" not in {item.criterion.name for item in measure(replace(succeeded(), stages=stages), {})}


def test_a_rolled_back_deployment_counts_as_not_succeeded(history: History, tmp_path: Path) -> None:
    for number in range(3):
        remember(history, succeeded(number), "shop", tmp_path, {})
    failed = replace(succeeded(3), result=Result.ROLLED_BACK, restored="r2", stages=(done("apply", 1),))
    found = {item.criterion.name: item for item in remember(history, failed, "shop", tmp_path, {})}
    assert (found["deployment_success"].value, found["deployment_success"].verdict) == (75, Verdict.FAILED)
    assert found["deployment_success"].why == "of the last 4 deployments"
    assert {"deployment", "pod_ready", "pipeline"}.isdisjoint(found)


def test_an_inconclusive_one_is_kept_and_not_counted(history: History, tmp_path: Path) -> None:
    remember(history, succeeded(), "shop", tmp_path, {})
    unknown = replace(succeeded(1), result=Result.INCONCLUSIVE, reason="the cluster went away", stages=())
    found = {item.criterion.name: item for item in remember(history, unknown, "shop", tmp_path, {})}
    assert found["deployment_success"].value == 100
    points = history.trend(OUTCOME.name, "shop", this_machine().id).points
    assert [(point.value, point.verdict) for point in points] == [(100.0, "passed"), (None, "inconclusive")]


@pytest.mark.parametrize("result", [Result.APPLIED, Result.PLANNED])
def test_what_was_not_waited_for_is_not_kept(history: History, tmp_path: Path, result: Result) -> None:
    assert remember(history, replace(succeeded(), result=result), "shop", tmp_path, {}) == ()
    assert remember(history, replace(succeeded(), result=Result.FAILED, changed=False), "shop", tmp_path, {}) == ()
    nothing_new = (Changed("Deployment", "shop", "web", "unchanged"),)
    assert remember(history, replace(succeeded(), changes=nothing_new), "shop", tmp_path, {}) == ()
    assert history.criteria("shop", this_machine().id) == []


@pytest.mark.parametrize(("failures", "verdict"), [(0, Verdict.PASSED), (1, Verdict.PASSED), (2, Verdict.FAILED)])
def test_95_of_100_deployments_must_succeed(history: History, tmp_path: Path, failures: int, verdict: Verdict) -> None:
    """T121: of twenty, one may fail or be rolled back."""
    for number in range(COUNTED):
        bad = Result.ROLLED_BACK if number % 2 else Result.FAILED
        outcome = succeeded(number) if number >= failures else replace(succeeded(number), result=bad)
        found = {item.criterion.name: item for item in remember(history, outcome, "shop", tmp_path, {})}
    success = found["deployment_success"]
    assert (success.value, success.verdict) == (100 * (COUNTED - failures) / COUNTED, verdict)


@pytest.mark.parametrize(("seconds", "verdict"), [(899.0, Verdict.PASSED), (901.0, Verdict.FAILED)])
def test_a_pipeline_has_15_minutes(history: History, tmp_path: Path, seconds: float, verdict: Verdict) -> None:
    """T122: from the build to the proof."""
    found = {item.criterion.name: item for item in measure(replace(succeeded(), seconds=seconds), {})}
    assert (found["pipeline"].value, found["pipeline"].verdict) == (seconds, verdict)


def test_only_the_newest_are_counted(history: History, tmp_path: Path) -> None:
    remember(history, replace(succeeded(0), result=Result.FAILED), "shop", tmp_path, {})
    for number in range(1, COUNTED + 1):
        found = remember(history, succeeded(number), "shop", tmp_path, {})
    assert found[-1].value == 100


def test_the_audit_takes_the_newest_values(history: History, tmp_path: Path) -> None:
    assert latest(history, "shop", {}) == []
    remember(history, succeeded(), "shop", tmp_path, {})
    found = {item.criterion.name: item for item in latest(history, "shop", {"pod_ready": 10})}
    assert set(found) == {"pod_ready", "deployment", "pipeline", "deployment_success"}
    assert found["pod_ready"].verdict is Verdict.FAILED
    assert "by a deployment" in found["deployment"].why
