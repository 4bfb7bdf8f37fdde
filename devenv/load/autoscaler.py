"""An autoscaler in a recording: the settings that its reaction follows from, and when each stage of it was reached."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devenv.core.text import quantity
from devenv.load.recording import Recording

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
    known = recording.settings
    spec = known.get("autoscaler")
    if not isinstance(spec, Mapping):
        return None
    behavior = spec.get("behavior") or {}
    up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
    policy = _slowest(down.get("policies") or ())
    containers = known.get("containers") or ()
    requests = [cores(((item.get("resources") or {}).get("requests") or {}).get("cpu")) for item in containers]
    return ScalingSettings(
        minimum=int(spec.get("minReplicas") or 1),
        maximum=int(spec["maxReplicas"]),
        target=_cpu_target(spec),
        request=None if not requests or None in requests else sum(item or 0.0 for item in requests),
        resolution=float(known.get("resolution") or measured_resolution(recording) or RESOLUTION),
        sync=float(known.get("sync") or SYNC),
        tolerance=float(known.get("tolerance") or TOLERANCE),
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
    rates = [(float(item["value"]), float(item["periodSeconds"])) for item in policies if item.get("type") == "Percent"]
    return min(rates) if rates else (100.0, 15.0)


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


UP, DOWN = "scale up", "scale down"  # phases of --shape hpa
CALM = ("idle", "calibrate")  # phases before
WINDOW = 10  # ticks over which a latency is looked at
RECOVERED = 1.5  # times the p95 of the calibration
UNNOTICED = 100.0  # ms: a p95 below is as good as any (Nielsen, Usability Engineering, 5.5: it feels instantaneous)


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of the service: times when it was created, first seen ready, and gone (None: not)."""

    key: str
    created: float
    ready: float | None
    gone: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when a phase lasted."""

    since: float
    until: float


def span(recording: Recording, name: str) -> Span | None:
    """Return when a phase began and ended; None where it did not take place."""
    for index, (t, phase) in enumerate(recording.phases):
        if phase == name:
            later = [after for after, _ in recording.phases[index + 1 :]]
            return Span(t, later[0] if later else recording.length)
    return None


def pods(recording: Recording, service: str) -> list[Pod]:
    """Return the service's pods in the order in which they were created."""
    created: dict[str, float] = {}
    ready: dict[str, float] = {}
    gone: dict[str, float] = {}
    for line in recording.resources:
        key, t = line["key"], line["t"]
        if line["type"] == "gone":
            gone.setdefault(key, t)
        elif line["kind"] == "pod" and line["service"] == service:
            made = line["created"]
            created.setdefault(key, t if made is None else min(t, made - (line["at"] - t)))
            if line["health"] == "healthy":
                ready.setdefault(key, t)
            if line["state"] == "removing":
                gone.setdefault(key, t)
    made_pods = [Pod(key, at, ready.get(key), gone.get(key)) for key, at in created.items()]
    return sorted(made_pods, key=lambda pod: pod.created)


def alive(some: Iterable[Pod], t: float) -> int:
    """Count the pods that were there and not on their way out at a time."""
    return sum(pod.created <= t and (pod.gone is None or pod.gone > t) for pod in some)


def ready_count_at(some: list[Pod], least: int, since: float) -> float | None:
    """Return when for the first time that many pods were ready at once."""
    times = sorted({since, *(pod.ready for pod in some if pod.ready is not None and pod.ready >= since)})
    for t in times:
        count = sum(pod.ready is not None and pod.ready <= t and (pod.gone is None or pod.gone > t) for pod in some)
        if count >= least:
            return t
    return None


def unready_words(recording: Recording, service: str, until: float) -> list[str]:
    """Return what the service's pods that were not ready at a time said about it."""
    last: dict[str, dict[str, Any]] = {}
    for line in recording.resources:
        if line["t"] > until:
            break
        if line["type"] == "gone":
            last.pop(line["key"], None)
        elif line["kind"] == "pod" and line["service"] == service:
            last[line["key"]] = line
    return [f"{line['name']}: {line['why']}" for line in last.values() if line["health"] != "healthy" and line["why"]]


def scalings(recording: Recording, service: str) -> list[dict[str, Any]]:
    """Return what the service's autoscaler said, in time order."""
    return [line for line in recording.scalings if line["target"].rpartition("/")[2] == service]


def first(lines: Iterable[dict[str, Any]], matches: Callable[[dict[str, Any]], bool], since: float) -> float | None:
    """Return the time of the first line that matches, after a time."""
    return next((float(line["t"]) for line in lines if line["t"] >= since and matches(line)), None)


def metric_fresh(recording: Recording, service: str, since: float) -> float | None:
    """Return when a pod's metric arrived that was measured after a time, by its own timestamp."""
    times = [
        use.known
        for track in recording.tracks.values()
        if track.service == service
        for use in track.uses
        if use.t >= since and use.known >= since
    ]
    return min(times, default=None)


def cpu_of(line: dict[str, Any]) -> float | None:
    """Return the CPU utilization that the autoscaler acted on, in percent."""
    return next((item["current"] for item in line["metrics"] if item["name"] == "cpu" and item["unit"] == "%"), None)


def asked_until(
    lines: Sequence[dict[str, Any]], some: Iterable[Pod], replicas: int, settings: ScalingSettings, up: Span
) -> float:
    """Return until when under load the metrics surely asked for that many replicas; its begin where they never did.

    Surely, because a metric is the mean of the replicas that count, and new ones do not count for a while.
    """
    every = list(some)

    def counted(t: float) -> int:
        whole = t - settings.sees_load_within
        return sum(pod.ready is not None and pod.ready <= whole and (pod.gone is None or pod.gone > t) for pod in every)

    last = up.since
    for line, end in zip(lines, [*(line["t"] for line in lines[1:]), up.until], strict=True):
        ratios = [item["current"] / item["target"] for item in line["metrics"] if item["current"] and item["target"]]
        near = any(abs(ratio - 1) <= settings.tolerance for ratio in ratios)
        asked = max((math.ceil(counted(line["t"]) * ratio) for ratio in ratios), default=0)
        if max(asked, int(line["current"]) if near else 0) >= replicas:
            last = max(last, min(end, up.until))
    return last


def directions(lines: Iterable[dict[str, Any]]) -> list[int]:
    """Return the changes of the desired number in order: +1 for up, -1 for down."""
    numbers = [int(line["desired"]) for line in lines]
    return [1 if after > before else -1 for before, after in itertools.pairwise(numbers) if after != before]


def latency_recovered(recording: Recording, since: float, until: float) -> tuple[float | None, float]:
    """Return when the p95 of the last WINDOW seconds was good for the first time after `since`, and what good is."""
    calm = [tick for tick in recording.load if tick.phase in CALM]
    usual = recording.figures(calm)["total"].percentile(95) if calm else None
    good = max(UNNOTICED, RECOVERED * usual) if usual is not None else UNNOTICED
    ticks = recording.load_between(since - WINDOW, until)
    for end in range(WINDOW, len(ticks) + 1):
        p95 = recording.figures(ticks[end - WINDOW : end])["total"].percentile(95)
        if ticks[end - 1].t >= since and p95 is not None and p95 <= good:
            return ticks[end - 1].t, good
    return None, good


def expected_replicas(recording: Recording, service: str, when: Span, settings: ScalingSettings) -> float | None:
    """Return how many replicas the measured CPU asks for in the last third of a time, not rounded up."""
    if not settings.target or not settings.request:
        return None
    used = recording.service_cpu(service, when.until - (when.until - when.since) / 3, when.until)
    return None if used is None else used / (settings.request * settings.target / 100)
