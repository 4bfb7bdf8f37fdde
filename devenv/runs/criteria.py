"""What is measured, against which budget, and the verdict on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

import msgspec

from devenv.core.decode import convert


class Better(StrEnum):
    """Which side of the budget is good."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Criterion:
    """A metric. `budget` None: it is recorded and judged by nobody. `source`: what it means, for whoever reads it."""

    name: str
    unit: str = "s"
    budget: float | None = None
    source: str = ""
    better: Better = Better.LOWER


def _known(*criteria: Criterion) -> dict[str, Criterion]:
    return {criterion.name: criterion for criterion in criteria}


# Names are stable: history compares by them. `hot_reload.frontend` has the budget of `hot_reload`.
CRITERIA = _known(
    Criterion("cold_start", "s", 120.0, "success metric: from nothing built to a served page in less than 2 min"),
    Criterion("warm_start", "s", 120.0, "from built images to a served page, no slower than a cold start may be"),
    Criterion("hot_reload", "s", 3.0, "success metric: a changed source is served in less than 3 s"),
    Criterion("reload_recovery", "s", 10.0, "after a syntax error, the next change is served"),
    Criterion("cached_build", "s", 120.0, "success metric: a build after a change in less than 2 min"),
    Criterion("noop_build", "s", 30.0, "a build where nothing changed"),
    Criterion("build_improvement", "%", 50.0, "success metric: the cache saves half or more", Better.HIGHER),
    Criterion("crash_recovery", "s", 30.0, "from a process's end until its service is healthy again"),
    Criterion("oom_recovery", "s", 60.0, "from the kill at the memory limit until the service is healthy again"),
    Criterion("hang_detection", "s", 60.0, "from a hang until the health check says unhealthy"),
    Criterion("engine_recovery", "s", 120.0, "from the engine's restart until every service is healthy again"),
    Criterion("lost_writes", "writes", 0.0, "no acknowledged write is lost"),
    Criterion("restart", "s", 60.0, "restarted, and healthy again"),
    Criterion("store_detection", "s", 30.0, "unhealthy without its store: 3 checks, one each 5 s"),
    Criterion("store_recovery", "s", 60.0, "from the store's return until its service is healthy again"),
    Criterion("graceful_stop", "s", 10.0, "ends by itself within the grace period"),
    Criterion("start_order", "s", 0.0, "starts after what it needs was healthy", Better.HIGHER),
    Criterion("search", "s", 1.0, "a search is answered"),
    Criterion("services_start", "s", source="the start of a suite's services"),
    Criterion("pod_ready", "s", 30.0, "success metric: a new pod is ready in less than 30 s"),
    Criterion("deployment", "s", 60.0, "success metric: rolled out in less than 60 s"),
    Criterion("noop_deployment", "s", 30.0, "deployed again: what is as it should be is not touched"),
    Criterion("scale_up", "s", 60.0, "all replicas are ready after scaling"),
    Criterion(
        "load_share", "%", 25.0, "the share of the replica with the least requests, of an even one", Better.HIGHER
    ),
    Criterion("readiness_detection", "s", 30.0, "not ready, and out of the endpoints: 3 checks, one each 5 s"),
    Criterion("readiness_recovery", "s", 30.0, "ready again, and back in the endpoints"),
    Criterion("liveness_detection", "s", 75.0, "not alive, and restarted: 30 s, then 3 checks, one each 10 s"),
    Criterion("pod_replacement", "s", 60.0, "from a pod's end until another one is ready"),
    Criterion("failed_requests", "requests", 0.0, "a rolling restart fails no request"),
    Criterion("update_gap", "s", 60.0, "SQLite has one process, so that an update is a gap"),
    Criterion("rollback", "s", 120.0, "a failed update is undone"),
    Criterion("configuration_rollout", "s", 60.0, "a changed configuration is rolled out, as a deployment"),
    Criterion("ingress", "s", 1.0, "answered through the ingress controller"),
    Criterion("refused_connections", "connections", 2.0, "what no policy allows is refused", Better.HIGHER),
    Criterion("pipeline", "s", 900.0, "success metric: all gates, or build to proof, in less than 15 min"),
    Criterion("deployment_success", "%", 95.0, "success metric: 95 % of deployments succeed", Better.HIGHER),
)

# The table of `devenv audit`: every success metric, measured or not, by the target that measures it, with the task of
# the project's list that asks for it.
METRICS_OF: Final[Mapping[str, Mapping[str, str]]] = {
    "compose": {
        "cold_start": "T020",
        "hot_reload": "T021",
        "cached_build": "T045",
        "build_improvement": "T049",
        "pipeline": "T122",
    },
    "kubernetes": {"pod_ready": "T079", "deployment": "T079", "deployment_success": "over time"},
}
SUCCESS_METRICS: Final = {name: task for metrics in METRICS_OF.values() for name, task in metrics.items()}


def criterion(
    name: str,
    budgets: Mapping[str, float],
    *,
    unit: str = "",
    budget: float | None = None,
    source: str = "",
    better: Better | str = "",
) -> Criterion:
    """Return the criterion of that name: what is given here, over devenv.toml's budgets, over what is known above."""
    family = name.partition(".")[0]
    known = CRITERIA.get(name) or replace(CRITERIA.get(family, Criterion(family)), name=name)
    given = budgets.get(name, budgets.get(family))
    if given is not None:
        known = replace(known, budget=given, source=known.source or "devenv.toml")
    return Criterion(
        name=name,
        unit=unit or known.unit,
        budget=known.budget if budget is None else budget,
        source=source or known.source,
        better=Better(better) if better else known.better,
    )


class Verdict(StrEnum):
    """How a criterion or a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"  # could not be measured; `why` says why. Never the same as passed
    ERROR = "error"  # the test itself broke


WORST_FIRST: Final = (Verdict.ERROR, Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts; inconclusive where there is none."""
    return min(verdicts, key=WORST_FIRST.index, default=Verdict.INCONCLUSIVE)


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
        return convert(data, cls)


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
