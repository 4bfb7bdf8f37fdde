"""What a recording says of a cluster under load: the verdict on its autoscaler, and the one on its probes.

Of the autoscaler under --shape hpa: every stage of its reaction, and what must not happen meanwhile. Where something
hinders it, it says so itself, or the recording lacks what is needed, the verdict is inconclusive. Of the probes: which
failed, whether pods flapped, whether load alone caused a restart.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devenv.load.autoscaler import (
    DOWN,
    UP,
    Pod,
    ScalingSettings,
    Span,
    alive,
    asked_until,
    cpu_of,
    directions,
    expected_replicas,
    first,
    latency_recovered,
    metric_fresh,
    pods,
    ready_count_at,
    scalings,
    settings_of,
    span,
    unready_words,
)
from devenv.load.outcome import Judgement, Stage
from devenv.load.recording import Recording
from devenv.runs.criteria import Verdict

AUTOSCALING: Final = "autoscaling"
LOOK: Final = 3.0  # seconds by which a recording of one tick a second may be late
SERVED_WITHIN: Final = 15.0  # seconds from Ready until the endpoints are known and connections spread
RECOVERED_WITHIN: Final = 60.0
UNLOADED: Final = "the run ended before its load began"
# Events of the HPA controller (pkg/controller/podautoscaler): while another metric works, only they tell of a lost one.
_COMPLAINTS: Final = (
    "FailedGetResourceMetric",
    "FailedGetContainerResourceMetric",
    "FailedComputeMetricsReplicas",
    "FailedGetScale",
    "FailedRescale",
    "InvalidSelector",
)
# Why a pod that is desired is not there: the scheduler's event on the pod, the quota's on its ReplicaSet.
_NO_PLACE: Final = {"FailedScheduling": "the node is too small", "FailedCreate": "a pod could not be made"}


def no_room(settings: ScalingSettings, replicas: int) -> str:
    """Say why an autoscaler cannot reach that many replicas from its minimum; "" where it can."""
    if settings.maximum <= settings.minimum:
        return f"the autoscaler has no room: minimum {settings.minimum}, maximum {settings.maximum}"
    if replicas > settings.maximum:
        return f"{replicas} replicas are above the autoscaler's maximum of {settings.maximum}"
    if replicas <= settings.minimum:
        return f"{replicas} replicas are no more than the autoscaler's minimum of {settings.minimum}"
    return ""


def complaint(recording: Recording, service: str, since: float = -math.inf) -> str:
    """Return why the autoscaler does nothing, in its own words: its newest condition or event; "" for none."""
    said = [line for line in scalings(recording, service) if line["t"] >= since]
    refused = [text for line in said[-1:] for text in _refusals(line)]
    if refused:
        return refused[0]
    keys = {line["key"] for line in scalings(recording, service)}
    complaints = [
        (line.get("t_of", line["t"]), f"{line['action']}: {line['text']}")
        for line in recording.events
        if line["key"] in keys and line["action"] in _COMPLAINTS
    ]
    return max((item for item in complaints if item[0] >= since), default=(since, ""))[1]


def why_inconclusive(
    recording: Recording, service: str, settings: ScalingSettings | None, replicas: int, up: Span
) -> list[str]:
    """Say why nothing can be concluded; empty where it can."""
    said = scalings(recording, service)
    if settings is None or not said:
        lost = [f"{line['what']}: {line['why']}" for line in recording.missing]
        return [f"the autoscaler of {service} could not be read", *lost]
    reasons = [no_room(settings, replicas)]
    before = [int(line["desired"]) for line in said if line["t"] <= up.since][-1:]
    if before and before[0] >= replicas:
        reasons.append(f"{before[0]} replicas were there before the load, and {replicas} were to be reached")
    start = before[0] if before else settings.minimum
    # Where it had done already what was to be done, it is no matter that it could not do more for a while.
    due = [line for line in said if line["t"] >= up.since and _has_to_act(line, start, replicas, up)]
    reasons += [text for line in due for text in _refusals(line)]
    reasons += _without_metric(recording, service, settings, up, said)
    reasons += [
        f"{_NO_PLACE[line['action']]}: {line['text']}"
        for line in recording.events
        if line["action"] in _NO_PLACE and line["service"] in (service, "") and line.get("t_of", line["t"]) >= up.since
    ]
    reasons += [
        f"{gap.what} for {gap.until - gap.since:.0f} s"
        for gap in recording.gaps
        if gap.until > up.since and gap.until - gap.since > settings.sync
    ]
    reasons += [f"the clock was set by {by:+g} s at {t:g} s" for t, by in recording.steps if t >= up.since]
    reasons += [f"the worker {note['worker']} was lost" for note in recording.notes if note["type"] == "lost"]
    return list(dict.fromkeys(filter(None, reasons)))


def _has_to_act(line: dict[str, Any], start: int, replicas: int, up: Span) -> bool:
    desired = int(line["desired"])
    return desired < replicas if line["t"] < up.until else desired > start


def _refusals(line: dict[str, Any]) -> list[str]:
    return [
        f"{kind} is False: {reason}: {message}"
        for kind, status, reason, message in line["conditions"]
        if kind in ("ScalingActive", "AbleToScale") and status == "False"
    ]


def _without_metric(
    recording: Recording, service: str, settings: ScalingSettings, up: Span, said: Sequence[dict[str, Any]]
) -> list[str]:
    due = up.since + settings.sees_load_within
    # It speaks when something changes: what it said last before then still holds.
    under_load = [*[line for line in said if line["t"] < due][-1:], *[line for line in said if line["t"] >= due]]
    if due >= up.until or any(cpu_of(line) is not None for line in under_load):
        return []
    return ["the autoscaler never got a CPU metric", complaint(recording, service, up.since)]


@dataclass(frozen=True, slots=True)
class _Test:
    """A test of an autoscaler: how many `replicas` were to be reached, and what it and its pods did when."""

    recording: Recording
    service: str
    settings: ScalingSettings
    replicas: int
    up: Span
    down: Span | None
    said: Sequence[dict[str, Any]]  # by the autoscaler
    pods: list[Pod]

    @property
    def start(self) -> int:
        """The replicas that were desired before the load."""
        return self.desired_at(self.up.since, self.settings.minimum)

    def desired_at(self, t: float, otherwise: int) -> int:
        """Return the replicas that were desired at a time."""
        before = [int(line["desired"]) for line in self.said if line["t"] <= t]
        return before[-1] if before else otherwise

    def first(self, reached: Callable[[int], bool], since: float) -> float | None:
        """Return when the desired number was so for the first time, after a time."""
        return first(self.said, lambda line: reached(int(line["desired"])), since)


def judge_scaling(recording: Recording, reasons: Sequence[str] = ()) -> Judgement | None:
    """Judge it; `reasons` make the whole run inconclusive. None for a run of another shape."""
    up = span(recording, UP)
    service = str(recording.run["target"].get("service", ""))
    options = recording.run.get("options") or {}
    settings = settings_of(recording)
    replicas = int(options.get("replicas") or (settings.maximum if settings else 0))
    if up is None:
        if options.get("shape") != "hpa":
            return None
        # Whoever ended it before its load said why, else the recording does.
        seen = why_inconclusive(recording, service, settings, replicas, Span(0.0, recording.length))
        return Judgement(AUTOSCALING, Verdict.INCONCLUSIVE, tuple(reasons or seen or (UNLOADED,)))
    inconclusive = list(dict.fromkeys([*reasons, *why_inconclusive(recording, service, settings, replicas, up)]))
    said = scalings(recording, service)
    if settings is None or not said:
        return Judgement(AUTOSCALING, Verdict.INCONCLUSIVE, tuple(inconclusive))
    return _judge(
        _Test(recording, service, settings, replicas, up, span(recording, DOWN), said, pods(recording, service)),
        inconclusive,
    )


def _judge(test: _Test, inconclusive: list[str]) -> Judgement:
    stages, cut_short = _stages(test)
    inconclusive += [cut_short] if cut_short else []
    problems = [stage.problem for stage in stages if stage.problem] + _breaches(test)
    load = expected_replicas(test.recording, test.service, test.up, test.settings)
    facts = tuple(_facts(test, load, failed=bool(problems)))
    if load is not None:
        # Within the tolerance the controller does nothing, on either side of a whole number.
        least, most = (math.ceil(load * (1 + side * test.settings.tolerance)) for side in (-1, 1))
        held = test.desired_at(test.up.until, -1)
        if held >= 0 and not least <= held <= most and held != test.settings.maximum:
            problems.append(f"{held} replicas were held for a load of {load:.2f}")
        if problems and not inconclusive and not least <= test.replicas <= most:
            sized = f"the load was sized for {test.replicas} replicas, and what was measured asks for {load:.2f}"
            inconclusive = [sized, *problems]
    if inconclusive:
        return Judgement(AUTOSCALING, Verdict.INCONCLUSIVE, tuple(inconclusive), stages, facts)
    values = {stage.name: stage.seconds for stage in stages if stage.seconds is not None}
    return Judgement(
        AUTOSCALING, Verdict.FAILED if problems else Verdict.PASSED, tuple(problems), stages, facts, values
    )


def _stages(test: _Test) -> tuple[tuple[Stage, ...], str]:
    """Return all stages, and why they say nothing where the run ended too early, else ""."""
    rising, down = _up_stages(test), test.down
    if down is None:
        return tuple(rising), "the run ended during its load"
    falling = _down_stages(test, down)
    is_short = down.until - down.since < falling[1].high and falling[1].seconds is None
    return (*rising, *falling), "the run ended before the autoscaler had to be down again" if is_short else ""


def _facts(test: _Test, load: float | None, *, failed: bool) -> Iterator[str]:
    settings = test.settings
    if load is not None:
        yield f"the load asked for {load:.2f} replicas, measured in the last third of it"
    yield (
        f"metrics every {settings.resolution:g} s, sync {settings.sync:g} s, tolerance {settings.tolerance:g}, "
        f"windows {settings.up_window:g} s up and {settings.down_window:g} s down"
    )
    if failed:
        yield from unready_words(test.recording, test.service, test.up.until)
    held = test.desired_at(test.up.until, -1)
    if held >= 0:
        yield f"{held} replicas were held, {test.replicas} were planned"


def _up_stages(test: _Test) -> list[Stage]:
    recording, settings, begin, replicas = test.recording, test.settings, test.up.since, test.replicas
    fresh = metric_fresh(recording, test.service, begin)
    raised = test.first(lambda desired: desired > test.start, begin)
    # The controller doubles at most, or adds a few, in each period of its policy: the last step may take several.
    reached = test.first(lambda desired: desired >= replicas, begin)
    times = sorted(pod.created for pod in test.pods)
    made = next((t for t in times if t >= begin and alive(test.pods, t) >= replicas), None)
    ready = ready_count_at(test.pods, replicas, begin) if made is not None else None
    serving = next((t for t, count in recording.endpoints if t >= begin and count >= replicas), None)
    calm, good = latency_recovered(recording, ready if ready is not None else begin, test.up.until)
    more = 30.0 * max(0, math.ceil(math.log2(max(replicas, 1) / max(test.start, 1))) - 1) + settings.sync
    return [
        _stage("metric fresh", begin, fresh, 0.0, settings.sees_load_within),
        _stage("desired raised", begin, raised, 0.0, settings.reacts_within),
        _stage(f"{replicas} desired", begin, reached, 0.0, settings.reacts_within + more),
        _stage("pods created", reached, made, -settings.sync, LOOK + 5.0),
        _stage("Ready", made, ready, -LOOK, settings.start),
        _stage("endpoints serve", ready, serving, -2 * LOOK, SERVED_WITHIN),
        _stage(f"p95 below {good:.0f} ms", ready, calm, -LOOK, RECOVERED_WITHIN),
    ]


def _down_stages(test: _Test, down: Span) -> list[Stage]:
    settings, begin, start = test.settings, down.since, test.start
    held = test.desired_at(begin, test.replicas)
    lowered = test.first(lambda desired: desired < held, begin)
    reached = test.first(lambda desired: desired <= start, begin)
    times = sorted(pod.gone for pod in test.pods if pod.gone is not None)
    gone = next((t for t in times if t >= begin and alive(test.pods, t) <= start), None)
    # The highest recommendation of the window counts. The last high one falls within a sync of the load's end, or
    # before it, where the metrics of a whole number of replicas ask for one less.
    asked = asked_until([line for line in test.said if line["t"] <= begin], test.pods, held, settings, test.up)
    low = max(0.0, asked - begin + settings.down_window - settings.sync - LOOK)
    high = settings.down_window + settings.reacts_within - settings.up_window
    steps = _policy_steps(held, start, settings.down_percent)
    return [
        _stage("desired lowered", begin, lowered, low, high),
        _stage(f"{start} desired", begin, reached, low, high + steps * (settings.down_period + settings.sync)),
        _stage("pods gone", reached, gone, -settings.sync - LOOK, settings.sync + LOOK),
    ]


def _stage(name: str, since: float | None, at: float | None, low: float, high: float) -> Stage:
    return Stage(name, at, None if at is None or since is None else round(at - since, 1), low, high)


def _policy_steps(high: int, low: int, percent: float) -> int:
    steps, replicas = 0, high
    while replicas > low and steps < 20:
        replicas -= max(1, math.floor(replicas * percent / 100))
        steps += 1
    return max(0, steps - 1)


def _breaches(test: _Test) -> list[str]:
    """Say what happened that must not."""
    settings, up, down = test.settings, test.up, test.down
    breaches: list[str] = []
    desired = [int(line["desired"]) for line in test.said if line["t"] >= up.since]
    if any(number > settings.maximum for number in desired):
        breaches.append(f"{max(desired)} replicas were desired, above the maximum of {settings.maximum}")
    if any(number < settings.minimum for number in desired):
        breaches.append(f"{min(desired)} replicas were desired, below the minimum of {settings.minimum}")
    # A Deployment's surge is for rollouts: scaling makes exactly as many as are desired.
    counts = [alive(test.pods, pod.created) for pod in test.pods if pod.created >= up.since]
    if counts and max(counts) > settings.maximum:
        breaches.append(f"{max(counts)} pods ran at once, above the maximum of {settings.maximum}")
    breaches += _flapping(test)
    end = down.until if down is not None else up.until
    failed = sum(tick.total.failures for tick in test.recording.load_between(up.since, end))
    return [*breaches, f"{failed} requests failed while it scaled"] if failed else breaches


def _flapping(test: _Test) -> Iterator[str]:
    settings, up, down = test.settings, test.up, test.down
    before = [line for line in test.said if line["t"] < up.since][-1:]
    rising = [line for line in test.said if up.since <= line["t"] < up.until]
    falls = directions([*before, *rising]).count(-1)
    falling = [line for line in test.said if down is not None and down.since <= line["t"] <= down.until]
    rises = directions(falling).count(1)
    if falls or rises:
        yield f"flapping: the desired number fell {falls} times under load and rose {rises} times after it"
    if falls and settings.down_window < settings.sees_load_within:
        # ReplicaCalculator.GetResourceReplicas leaves a replica out until a metric's whole window lies after it got
        # Ready, and without the new ones the old ones' relief asks for fewer than there are.
        yield (
            f"a window down of {settings.down_window:g} s is shorter than the {settings.sees_load_within:g} s after "
            f"which a new replica counts, with metrics every {settings.resolution:g} s"
        )


PROBES: Final = "probes"
BUSY: Final = 0.9  # of all cores: from there on everything waits for everything
_KILLED: Final = "liveness"


def judge_probes(recording: Recording, reasons: Sequence[str] = ()) -> Judgement | None:
    """Judge them; None for a target without a kubelet."""
    if recording.run["target"]["kind"] != "kubernetes" or not recording.load:
        return None
    since, until = recording.load[0].t, recording.load[-1].t
    lost = [f"{line['what']}: {line['why']}" for line in recording.missing if line["what"].startswith("probe counters")]
    failures = count_failures(recording.probes, since)
    flaps = readiness_flaps(recording, since, until)
    restarts = liveness_restarts(recording, since, until)
    facts = [
        f"{service}/{container}: {count} {kind} probes failed"
        for (service, container, kind), count in sorted(failures.items())
    ]
    facts += [f"{pod} became unready {count} times" for pod, count in sorted(flaps.items())]
    problems = [f"the liveness probe made {pod} restart under load" for pod in restarts]
    problems += [f"{pod} became unready under load" for pod in sorted(flaps)]
    killing = sum(count for (_, _, kind), count in failures.items() if kind == _KILLED)
    problems += [f"{killing} liveness probes failed under load"] if killing else []
    values = {"failures": float(sum(failures.values())), "flaps": float(sum(flaps.values()))}
    values["restarts"] = float(len(restarts))
    if problems:
        # The load is what this run changed; with another cause at hand (a node, a rollout) nobody can tell.
        causes = _other_causes(recording, since, until)
        verdict = Verdict.INCONCLUSIVE if causes else Verdict.FAILED
        return Judgement(PROBES, verdict, (*causes, *problems), facts=tuple(facts), values=values)
    if not recording.probes or lost or reasons:
        why = (*reasons, *(lost or (["no probe counter was read"] if not recording.probes else [])))
        return Judgement(PROBES, Verdict.INCONCLUSIVE, why, facts=tuple(facts), values=values)
    return Judgement(PROBES, Verdict.PASSED, facts=tuple(facts), values=values)


def count_failures(lines: Sequence[dict[str, Any]], since: float) -> Counter[tuple[str, str, str]]:
    """Return the failed probes under load by (pod, container, type); startup probes may fail, that is their work.

    Counters of a container that is new begin at 0; one that went back was made anew.
    """
    failures: Counter[tuple[str, str, str]] = Counter()
    before: dict[str, int] = {}
    for index, line in enumerate(lines):
        for key, value in line["counters"].items():
            pod, container, kind, result = key.split("/")
            known = before.get(key, 0 if index else value)
            grown = value - known if value >= known else value
            before[key] = value
            if result == "failed" and kind != "startup" and line["t"] >= since and grown > 0:
                failures[(pod, container, kind)] += grown
    return failures


def readiness_flaps(recording: Recording, since: float, until: float) -> Counter[str]:
    """Return how often each pod went from ready to unready while it was to stay."""
    flaps: Counter[str] = Counter()
    ready: dict[str, bool] = {}
    for line in recording.resources:
        if line["type"] == "gone" or line["kind"] != "pod":
            continue
        now = line["health"] == "healthy"
        leaves = line["state"] in ("removing", "exited")
        if ready.get(line["key"]) and not now and not leaves and since <= line["t"] <= until:
            flaps[line["name"]] += 1
        ready[line["key"]] = now
    return flaps


def liveness_restarts(recording: Recording, since: float, until: float) -> list[str]:
    """Return the pods whose container the kubelet killed for its liveness probe."""
    return [
        line["name"]
        for line in recording.events
        if line["action"] == "Killing"
        and _KILLED in line["text"].lower()
        and since <= line.get("t_of", line["t"]) <= until
    ]


def _other_causes(recording: Recording, since: float, until: float) -> list[str]:
    others = ("NodeNotReady", "Evicted", "Preempted")
    causes = [line for line in recording.events if line["action"] in others and since <= line["t"] <= until]
    return [*dict.fromkeys(f"{line['action']}: {line['text']}" for line in causes), *_busy_machine(recording)]


def _busy_machine(recording: Recording) -> list[str]:
    """Say so where other programs than the generator and the target took most of this machine."""
    used = [value for _, value in recording.machine]
    if not used or not recording.cores:
        return []
    ours = sum(
        sum(use.cpu or 0.0 for use in track.uses) / len(track.uses) for track in recording.tracks.values() if track.uses
    )
    ours += sum(sum(tick.cpu) / 100 for tick in recording.load) / len(recording.load)
    mean = sum(used) / len(used)
    if mean < BUSY * recording.cores or ours > mean / 2:
        return []
    return [f"other programs used {mean - ours:.1f} of this machine's {recording.cores} cores"]
