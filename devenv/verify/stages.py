"""How far a start or a build got, and when: by the engine's own timestamps where it has one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from devenv.backends.kube.pod_start import STAGES as POD_STAGES
from devenv.backends.kube.pod_start import PodStages
from devenv.control.readiness import UpVerdict
from devenv.control.stream import Remark
from devenv.core.model import Progress

if TYPE_CHECKING:
    from devenv.verify.engine import Engine

SETTLING = 2.0  # seconds that an event may be later than the reading which shows the same
_STEP = re.compile(r"^Step .*\[[^\]]*\d+/\d+\]")
# To find the base image is a step that nothing saves: whether its word is Built or Cached says nothing about a build.
_FROM = re.compile(r"\d+/\d+\] FROM\s")


@dataclass(frozen=True, slots=True)
class BuildReport:
    """One build: image ids by service, and the steps (without FROM) that came from the cache or really ran."""

    seconds: float
    images: Mapping[str, str]
    cached: tuple[str, ...] = ()
    built: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpReport:
    """One start: seconds from its beginning until each stage was reached by the slowest service, and by each."""

    seconds: float
    stages: Mapping[str, float]
    services: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    verdict: UpVerdict | None = None


class BuildWatch:
    """Follows the progress of a build."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def take(self, record: Progress | Remark) -> None:
        """Take one record of the job."""
        if isinstance(record, Progress) and _STEP.match(record.id):
            self._words[record.id.removeprefix("Step ")] = record.text

    def report(self, seconds: float, images: Mapping[str, str]) -> BuildReport:
        """Sum up."""
        cached = tuple(name for name, word in self._words.items() if word == "Cached" and not _FROM.search(name))
        built = tuple(name for name, word in self._words.items() if word == "Built" and not _FROM.search(name))
        return BuildReport(seconds, images, cached, built)


def stages_of(engine: Engine, began: float, seconds: float, built: BuildReport | None, verdict: UpVerdict) -> UpReport:
    """Return when each container was created, started and healthy; what was there before `began` counts as 0."""
    reached: list[tuple[str, Mapping[str, float | None]]] = []
    for container in engine.containers():
        times = {"create": container.created_at, "start": container.started_at}
        if container.health == "healthy":
            since = container.started_at or began
            event = next(iter(engine.events(since, container.service, "health_status")), None)
            if event is None and since >= began:
                event = engine.wait_event("health_status", container.service, since=since, timeout=SETTLING)
            times["healthy"] = event.at if event is not None else began
        reached.append((container.service, times))
    first = {"build": built.seconds} if built is not None else {}
    return _report(reached, ("create", "start", "healthy"), began, first, seconds, verdict)


def of_pods(pods: Iterable[PodStages], began: float, applied: float, seconds: float) -> UpReport:
    """Return when the pods of each workload were created, scheduled, pulled, started and ready, by the cluster's clock.

    Kubernetes tells whole seconds: a stage is exact to one.
    """
    reached = [(pod.workload.partition("/")[2], {stage: getattr(pod, stage) for stage in POD_STAGES}) for pod in pods]
    return _report(reached, POD_STAGES, began, {"applied": applied}, seconds)


def _report(
    reached: Iterable[tuple[str, Mapping[str, float | None]]],
    order: Sequence[str],
    began: float,
    first: Mapping[str, float],
    seconds: float,
    verdict: UpVerdict | None = None,
) -> UpReport:
    """Return the report of a start; `reached` has a service and when one of its containers or pods was how far."""
    services: dict[str, dict[str, float]] = {}
    for service, times in reached:
        stages_reached = services.setdefault(service, {})
        for stage, at in times.items():
            if at is not None:
                stages_reached[stage] = max(stages_reached.get(stage, 0.0), at - began, 0.0)
    slowest = {
        stage: [stages_reached[stage] for stages_reached in services.values() if stage in stages_reached]
        for stage in order
    }
    stages = {**first, **{stage: max(values) for stage, values in slowest.items() if values}, "served": seconds}
    return UpReport(seconds, stages, services, verdict)
