"""What is measured, against which budget, and where the budget comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Better(StrEnum):
    """Which side of the budget is good."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Criterion:
    """A metric. `budget` None: it is recorded and judged by nobody. `source`: a task or a service level objective."""

    name: str
    unit: str = "s"
    budget: float | None = None
    source: str = ""
    better: Better = Better.LOWER


def _known(*criteria: Criterion) -> dict[str, Criterion]:
    return {criterion.name: criterion for criterion in criteria}


# Names are stable: history compares by them. `hot_reload.frontend` has the budget of `hot_reload`.
CRITERIA = _known(
    Criterion("cold_start", "s", 120.0, "success metric: local start < 2 min"),
    Criterion("warm_start", "s", 120.0, "success metric: local start < 2 min"),
    Criterion("hot_reload", "s", 3.0, "success metric: hot reload < 3 s"),
    Criterion("reload_recovery", "s", 10.0, "T021"),
    Criterion("cached_build", "s", 120.0, "success metric: cached build < 2 min"),
    Criterion("noop_build", "s", 30.0, "T129"),
    Criterion("build_improvement", "%", 50.0, "success metric: build improvement >= 50 %", Better.HIGHER),
    Criterion("crash_recovery", "s", 30.0, "T022"),
    Criterion("oom_recovery", "s", 60.0, "T022"),
    Criterion("hang_detection", "s", 60.0, "T022"),
    Criterion("engine_recovery", "s", 120.0, "T022"),
    Criterion("lost_writes", "writes", 0.0, "T023: no acknowledged write is lost"),
    Criterion("restart", "s", 60.0, "T023"),
    Criterion("store_recovery", "s", 60.0, "T020"),
    Criterion("graceful_stop", "s", 10.0, "T022: within the grace period"),
    Criterion("search", "s", 1.0, "T020"),
    Criterion("pod_ready", "s", 30.0, "success metric: pod ready < 30 s"),
    Criterion("deployment", "s", 60.0, "success metric: deployment < 60 s"),
    Criterion("noop_deployment", "s", 30.0, "T078: what is as it should be is not touched"),
    Criterion("scale_up", "s", 60.0, "T080"),
    Criterion("load_share", "%", 25.0, "T080: of an even share, the least of the replicas", Better.HIGHER),
    Criterion("readiness_detection", "s", 30.0, "T072: 3 checks, one each 5 s (T070)"),
    Criterion("readiness_recovery", "s", 30.0, "T072"),
    Criterion("liveness_detection", "s", 75.0, "T072: 30 s, then 3 checks, one each 10 s (T069)"),
    Criterion("pod_replacement", "s", 60.0, "T082"),
    Criterion("failed_requests", "requests", 0.0, "a rolling restart fails no request"),
    Criterion("update_gap", "s", 60.0, "SQLite has one process, so that an update is a gap"),
    Criterion("rollback", "s", 120.0, "a failed update is undone"),
    Criterion("configuration_rollout", "s", 60.0, "as a deployment"),
    Criterion("ingress", "s", 1.0, "T083"),
    Criterion("refused_connections", "connections", 2.0, "what no policy allows is refused", Better.HIGHER),
    Criterion("pipeline", "s", 900.0, "success metric: pipeline < 15 min"),
    Criterion("deployment_success", "%", 95.0, "success metric: deployment success >= 95 %", Better.HIGHER),
)

# The table of `devenv audit`: every success metric, measured or not.
SUCCESS_METRICS = (
    *("cold_start", "hot_reload", "cached_build", "build_improvement"),
    *("pod_ready", "deployment", "pipeline", "deployment_success"),
)


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
    wished = budgets.get(name, budgets.get(family))
    if wished is not None:
        known = replace(known, budget=wished, source=known.source or "devenv.toml")
    return Criterion(
        name=name,
        unit=unit or known.unit,
        budget=known.budget if budget is None else budget,
        source=source or known.source,
        better=Better(better) if better else known.better,
    )
