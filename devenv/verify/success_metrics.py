"""The success metrics: the table of all of them against their budgets, and what real deployments measured.

What each criterion means is in docs/VERIFY.md, Deployments. What nothing measured is inconclusive.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from devenv.backends.kube.pod_start import PodStages
from devenv.control.deploy.outcome import Outcome, Result, Status
from devenv.core.text import human_age
from devenv.runs.criteria import (
    METRICS_OF,
    SUCCESS_METRICS,
    WORST_FIRST,
    Better,
    Criterion,
    Measurement,
    Verdict,
    criterion,
    judge,
)
from devenv.runs.history import History
from devenv.runs.identity import commit_of, this_machine
from devenv.runs.report import Report

if TYPE_CHECKING:
    from devenv.verify.environment import Environments


def audit(
    measured: Sequence[Measurement], budgets: Mapping[str, float], reasons: Mapping[str, str] | None = None
) -> list[Measurement]:
    """Return one measurement for each success metric: the worst of its family, or an inconclusive one.

    `reasons` says of a metric why nothing measured it.
    """
    return [_worst(name, measured, budgets, (reasons or {}).get(name, "")) for name in SUCCESS_METRICS]


_BEHAVIOURS: Final = {
    "cold_start": ("cold start",),
    "hot_reload": ("hot reload",),
    "cached_build": ("build cache",),
    "build_improvement": ("cold start", "build cache"),
    "pod_ready": ("deployment",),
    "deployment": ("deployment",),
}


def reasons_of(report: Mapping[str, Any] | None, target: str) -> dict[str, str]:
    """Return why smoke tests measured a metric of the target not: by the test that would have, or since none does."""
    reasons = {}
    for name in METRICS_OF[target]:
        behaviours = _BEHAVIOURS.get(name, ())
        tests = [test for test in (report or {}).get("tests", ()) if test["behaviour"] in behaviours]
        failed = [test for test in tests if test["verdict"] != Verdict.PASSED.value]
        if failed:
            why = str(failed[0]["why"]).strip().splitlines()[:1]
            reasons[name] = (
                f"{str(failed[0]['id']).rpartition('::')[2]}: {failed[0]['verdict']}{f', {why[0]}' if why else ''}"
            )
        elif behaviours and report is not None:
            reasons[name] = f"no smoke test of {' or '.join(behaviours)} measured {name} (docs/VERIFY.md)"
    return reasons


def gates(data: Mapping[str, Any], budgets: Mapping[str, float]) -> Measurement:
    """Judge what `devenv ci pr --json` said: the seconds of all gates, and a stage for each of them."""
    stages = {str(job["name"]): float(job["seconds"]) for job in data["jobs"]}
    name = criterion("pipeline.pull_request", budgets)
    judged = judge(name, float(data["seconds"]), stages, time.time(), "devenv ci pr --no-cache")
    bad = [f"{job['name']} {job['result']}" for job in data["jobs"] if job["result"] != "passed"]
    if not bad:
        return judged
    failed = any(job["result"] != "inconclusive" for job in data["jobs"] if job["result"] != "passed")
    return replace(judged, verdict=Verdict.FAILED if failed else Verdict.INCONCLUSIVE, why=f"gates: {', '.join(bad)}")


def time_builds(environments: Environments, budgets: Mapping[str, float]) -> list[Measurement]:
    """Build an isolated copy without the layer cache and then with it; the second is the cached build.

    The improvement is what the cache saves, in percent. Raises what a failed build becomes.
    """
    if not any(service.builds for service in environments.source.project.services):
        why = "no service of the project is built"
        return [_unmeasured(name, budgets, why) for name in ("cached_build", "build_improvement")]
    stack = environments.isolated()
    try:
        cold = stack.build(no_cache=True).seconds
        cached = stack.build().seconds
    finally:
        environments.remove(stack)
    stages = {"uncached": cold, "cached": cached}
    improvement = 100.0 * (cold - cached) / cold
    values = {"cached_build": cached, "build_improvement": improvement}
    return [judge(criterion(name, budgets), value, stages, time.time(), "audit") for name, value in values.items()]


def _worst(name: str, measured: Sequence[Measurement], budgets: Mapping[str, float], reason: str) -> Measurement:
    family = [item for item in measured if item.criterion.name.partition(".")[0] == name]
    if not family:
        return _unmeasured(name, budgets, reason or "nothing measured it")
    return min(family, key=lambda item: (WORST_FIRST.index(item.verdict), item.margin if item.margin else 0.0))


def _unmeasured(name: str, budgets: Mapping[str, float], why: str) -> Measurement:
    return Measurement(criterion(name, budgets), Verdict.INCONCLUSIVE, why=why, at=time.time(), test="audit")


COUNTED: Final = 20  # the newest deployments that the share of success is made of
OUTCOME: Final = Criterion("deployment_outcome", "%", None, "100: succeeded, 0: failed or rolled back", Better.HIGHER)
METRICS: Final = ("pod_ready", "deployment", "pipeline", "deployment_success")
_CLOCKS = 2.0  # seconds that a cluster's clock may be behind ours when pods are compared by age


def remember(
    history: History, outcome: Outcome, project: str, root: Path, budgets: Mapping[str, float]
) -> tuple[Measurement, ...]:
    """Put a deployment into the history and return what was measured; nothing for one that had nothing to change.

    Raises DevenvError where the history cannot be used.
    """
    differs = any(item.action != "unchanged" for item in outcome.changes)
    if not outcome.changed or not differs or outcome.result in (Result.APPLIED, Result.PLANNED):
        return ()
    machine = this_machine()
    measured = [*measure(outcome, budgets), _outcome(outcome)]
    before = history.trend(OUTCOME.name, project, machine.id, COUNTED).points
    decided = [point.value for point in before if point.value is not None]
    decided += [item.value for item in measured if item.criterion is OUTCOME and item.value is not None]
    if decided:
        counted = decided[-COUNTED:]
        share = sum(counted) / len(counted)
        success = judge(criterion("deployment_success", budgets), share, {}, time.time(), _title(outcome))
        measured.append(replace(success, why=f"of the last {len(counted)} deployments"))
    history.add(
        Report(
            run=f"deploy-{outcome.revision}",
            began=outcome.began,
            seconds=outcome.seconds,
            project=project,
            target="kubernetes",
            isolated=False,
            machine=machine,
            commit=commit_of(root),
            measurements=tuple(measured),
            tests=(),
        )
    )
    return tuple(measured)


def measure(outcome: Outcome, budgets: Mapping[str, float]) -> list[Measurement]:
    """Return the durations of one deployment: what did not come to its end has none."""
    seconds = {stage.name: stage.seconds for stage in outcome.stages if stage.status is Status.DONE}
    measured: list[Measurement] = []

    def add(name: str, value: float, stages: Mapping[str, float]) -> None:
        measured.append(judge(criterion(name, budgets), value, stages, time.time(), _title(outcome)))

    if {"apply", "wait"} <= seconds.keys():
        stages = {name: seconds[name] for name in ("apply", "wait")}
        add("deployment", sum(stages.values()), stages)
        slowest = max(new_pods(outcome), key=lambda pod: pod.seconds["ready"], default=None)
        if slowest is not None:
            add("pod_ready", slowest.seconds["ready"], slowest.seconds)
    if outcome.result is Result.SUCCEEDED and outcome.proof is not None and "build" in seconds:
        add("pipeline", outcome.seconds, seconds)
    return measured


def new_pods(outcome: Outcome) -> list[PodStages]:
    """Return the pods that this deployment started and that got ready; after a rollback, none of them is there."""
    if outcome.restored:
        return []
    return [pod for pod in outcome.pods if "ready" in pod.seconds and pod.created >= outcome.began - _CLOCKS]


def latest(history: History, project: str, budgets: Mapping[str, float]) -> list[Measurement]:
    """Return the newest value of each metric that only a deployment measures, judged by today's budgets."""
    measured = []
    machine = this_machine().id
    for name in METRICS:
        points = [point for point in history.trend(name, project, machine).points if point.value is not None]
        if points and points[-1].value is not None:
            at = points[-1].at
            judged = judge(criterion(name, budgets), points[-1].value, {}, at, "devenv deploy")
            age = f"by a deployment {human_age(time.time() - at)} ago"
            measured.append(replace(judged, why=f"{judged.why}; {age}" if judged.why else age))
    return measured


def _outcome(outcome: Outcome) -> Measurement:
    title, at = _title(outcome), time.time()
    if outcome.result is Result.INCONCLUSIVE:
        return Measurement(OUTCOME, Verdict.INCONCLUSIVE, None, why=outcome.reason, at=at, test=title)
    succeeded = outcome.result is Result.SUCCEEDED
    verdict = Verdict.PASSED if succeeded else Verdict.FAILED
    value = 100.0 if succeeded else 0.0
    return Measurement(OUTCOME, verdict, value, why=outcome.reason, at=at, test=title)


def _title(outcome: Outcome) -> str:
    return f"deploy {outcome.overlay} to {outcome.namespace} in {outcome.context}"
