"""The table of all success metrics: what was measured, against which budget; what nothing measured is inconclusive."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from devenv.runs.criteria import SUCCESS_METRICS, WORST_FIRST, Measurement, Verdict, criterion, judge
from devenv.verify.environment import Environments


def audit(measured: Sequence[Measurement], budgets: Mapping[str, float]) -> list[Measurement]:
    """Return one measurement for each success metric: the worst of its family, or an inconclusive one."""
    return [_worst(name, measured, budgets) for name in SUCCESS_METRICS]


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


def _worst(name: str, measured: Sequence[Measurement], budgets: Mapping[str, float]) -> Measurement:
    family = [item for item in measured if item.criterion.name.partition(".")[0] == name]
    if not family:
        return _unmeasured(name, budgets, "nothing measured it")
    return min(family, key=lambda item: (WORST_FIRST.index(item.verdict), item.margin if item.margin else 0.0))


def _unmeasured(name: str, budgets: Mapping[str, float], why: str) -> Measurement:
    return Measurement(criterion(name, budgets), Verdict.INCONCLUSIVE, why=why, at=time.time(), test="audit")
