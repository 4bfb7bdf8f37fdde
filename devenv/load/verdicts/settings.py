"""The settings of an autoscaler and its cluster that its reaction times follow from."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.core.quantity import quantity
from devenv.load.series import Recording

# Defaults of kube-controller-manager (--horizontal-pod-autoscaler-sync-period, -tolerance) and of autoscaling/v2
# (behavior.scaleDown.stabilizationWindowSeconds, behavior.scaleUp...).
SYNC: Final = 15.0
TOLERANCE: Final = 0.1
DOWN_WINDOW: Final = 300.0
UP_WINDOW: Final = 0.0
RESOLUTION: Final = 60.0  # of minikube's metrics-server addon: the slowest in common use


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """Seconds, replicas; `target` is the CPU utilization in percent of `request` (cores of one replica, None: none)."""

    minimum: int
    maximum: int
    target: float | None
    request: float | None
    resolution: float = RESOLUTION
    sync: float = SYNC
    tolerance: float = TOLERANCE
    up_window: float = UP_WINDOW
    down_window: float = DOWN_WINDOW
    down_percent: float = 100.0  # of the replicas may go in `down_period` seconds
    down_period: float = 15.0
    start: float = 60.0  # a pod may take so long from its creation until it is ready

    @property
    def sees_load_within(self) -> float:
        """Seconds until a new load is in a metric: a whole window of it, one reading of the kubelet later."""
        return 2 * self.resolution + 15.0

    @property
    def reacts_within(self) -> float:
        """Seconds until the desired number follows: two syncs, of which one may be spent waiting for a window."""
        return self.sees_load_within + 2 * self.sync + self.up_window


def cores(text: object) -> float | None:
    """Read a quantity of CPU ("250m", "0.5", 2); None for what is none."""
    return quantity(text)


def settings_of(recording: Recording) -> ScalingSettings | None:
    """Read them from the recording; None where the target has no autoscaler."""
    found = recording.settings
    spec = found.get("autoscaler")
    if not isinstance(spec, Mapping):
        return None
    behavior = spec.get("behavior") or {}
    up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
    policy = _slowest(down.get("policies") or ())
    containers = found.get("containers") or ()
    requests = [cores(((item.get("resources") or {}).get("requests") or {}).get("cpu")) for item in containers]
    return ScalingSettings(
        minimum=int(spec.get("minReplicas") or 1),
        maximum=int(spec["maxReplicas"]),
        target=_cpu_target(spec),
        request=None if not requests or None in requests else sum(item or 0.0 for item in requests),
        resolution=float(found.get("resolution") or measured_resolution(recording) or RESOLUTION),
        sync=float(found.get("sync") or SYNC),
        tolerance=float(found.get("tolerance") or TOLERANCE),
        up_window=float(up.get("stabilizationWindowSeconds") or UP_WINDOW),
        down_window=float(down["stabilizationWindowSeconds"])
        if down.get("stabilizationWindowSeconds") is not None
        else DOWN_WINDOW,
        down_percent=policy[0],
        down_period=policy[1],
        start=max((_start(item) for item in containers), default=60.0),
    )


def measured_resolution(recording: Recording) -> float | None:
    """Return the usual time between two new metrics of a pod; None with fewer than three of one."""
    steps = []
    for track in recording.tracks.values():
        times = sorted({round(use.t, 1) for use in track.uses})
        steps += [after - before for before, after in itertools.pairwise(times) if after - before > 1]
    return round(statistics.median(steps), 1) if len(steps) >= 2 else None


def _cpu_target(spec: Mapping[str, Any]) -> float | None:
    for metric in spec.get("metrics") or ():
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            value = (resource.get("target") or {}).get("averageUtilization")
            return float(value) if value else None
    return None


def _slowest(policies: Any) -> tuple[float, float]:
    found = [(float(item["value"]), float(item["periodSeconds"])) for item in policies if item.get("type") == "Percent"]
    return min(found) if found else (100.0, 15.0)


def _start(container: Mapping[str, Any]) -> float:
    """Return how long its own probes let it start, at least a minute."""
    startup, readiness = container.get("startupProbe"), container.get("readinessProbe") or {}
    if not startup:
        return max(60.0, _patience(readiness))
    # The readiness probe is asked only after it, once in each of its periods.
    return max(60.0, _patience(startup) + float(readiness.get("periodSeconds") or 10))


def _patience(probe: Mapping[str, Any]) -> float:
    period, failures = float(probe.get("periodSeconds") or 10), float(probe.get("failureThreshold") or 3)
    return float(probe.get("initialDelaySeconds") or 0) + period * failures
