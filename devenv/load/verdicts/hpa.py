"""The verdict on an autoscaler under --shape hpa: every stage of its reaction, and what must not happen meanwhile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from devenv.load.series import Recording
from devenv.load.verdicts.judgement import Judgement, Stage
from devenv.load.verdicts.reaction import (
    DOWN,
    UP,
    Pod,
    Span,
    alive,
    cpu_of,
    directions,
    expected_replicas,
    first,
    latency_recovered,
    metric_fresh,
    pods,
    ready_count_at,
    scalings,
    span,
)
from devenv.load.verdicts.settings import ScalingSettings, settings_of
from devenv.verify.verdict import Verdict

NAME: Final = "autoscaling"
LOOK: Final = 3.0  # seconds by which a recording of one tick a second may be late
SERVED_WITHIN: Final = 15.0  # seconds from Ready until the endpoints are told and connections spread
RECOVERED_WITHIN: Final = 60.0


def judge_scaling(recording: Recording, reasons: Sequence[str] = ()) -> Judgement | None:
    """Judge it; `reasons` make the whole run inconclusive. None for a recording without the phases of --shape hpa."""
    up, down = span(recording, UP), span(recording, DOWN)
    service = str(recording.run["target"].get("service", ""))
    if up is None:
        return None
    settings = settings_of(recording)
    doubts = [*reasons, *doubts_of(recording, service, settings, up)]
    said, found = scalings(recording, service), pods(recording, service)
    if settings is None or not said:
        return Judgement(NAME, Verdict.INCONCLUSIVE, tuple(doubts))
    wanted = int((recording.run.get("options") or {}).get("replicas") or settings.maximum)
    before = [int(line["desired"]) for line in said if line["t"] <= up.since]
    start = before[-1] if before else settings.minimum
    stages = _up_stages(recording, service, settings, up, wanted, start, said, found)
    if down is not None:
        stages += _down_stages(settings, up, down, start, wanted, said, found)
    problems = [stage.problem for stage in stages if stage.problem]
    problems += _breaches(recording, settings, up, down, said, found)
    load = expected_replicas(recording, service, up, settings)
    facts = [f"the load asked for {load:.2f} replicas, measured in the last third of it"] if load is not None else []
    facts.append(
        f"metrics every {settings.resolution:g} s, sync {settings.sync:g} s, tolerance {settings.tolerance:g}, "
        f"windows {settings.up_window:g} s up and {settings.down_window:g} s down"
    )
    held = [int(line["desired"]) for line in said if line["t"] <= up.until][-1:]
    if load is not None and held:
        # Within the tolerance the controller does nothing, on either side of a whole number.
        least, most = math.ceil(load * (1 - settings.tolerance)), math.ceil(load * (1 + settings.tolerance))
        if not least <= held[0] <= most and held[0] != settings.maximum:
            problems.append(f"{held[0]} replicas were held for a load of {load:.2f}")
        facts.append(f"{held[0]} replicas were held, {wanted} were planned")
    if doubts:
        return Judgement(NAME, Verdict.INCONCLUSIVE, tuple(doubts), tuple(stages), tuple(facts))
    if load is not None and math.ceil(load - settings.tolerance) != wanted and problems:
        doubt = f"the load was sized for {wanted} replicas, and what was measured asks for {load:.2f}"
        return Judgement(NAME, Verdict.INCONCLUSIVE, (doubt, *problems), tuple(stages), tuple(facts))
    values = {stage.name: stage.seconds for stage in stages if stage.seconds is not None}
    verdict = Verdict.FAILED if problems else Verdict.PASSED
    return Judgement(NAME, verdict, tuple(problems), tuple(stages), tuple(facts), values)


def doubts_of(recording: Recording, service: str, settings: ScalingSettings | None, up: Span) -> list[str]:
    """Say why nothing can be concluded; empty where it can."""
    said = scalings(recording, service)
    if settings is None or not said:
        lost = [f"{line['what']}: {line['why']}" for line in recording.missing]
        return [f"the autoscaler of {service} could not be read", *lost]
    found = []
    if settings.maximum <= settings.minimum:
        found.append(f"the autoscaler has no room: minimum {settings.minimum}, maximum {settings.maximum}")
    for line in said:
        for kind, status, reason, message in line["conditions"]:
            if kind in ("ScalingActive", "AbleToScale") and status == "False" and line["t"] >= up.since:
                found.append(f"{kind} is False: {reason}: {message}")
    due = up.since + settings.sees_load_within
    # It speaks when something changes: what it said last before then still holds.
    under_load = [*[line for line in said if line["t"] < due][-1:], *[line for line in said if line["t"] >= due]]
    if due < up.until and all(cpu_of(line) is None for line in under_load):
        found.append("the autoscaler never got a CPU metric")
    found += [
        f"the node is too small: {line['text']}"
        for line in recording.events
        if line["action"] == "FailedScheduling" and line.get("t_of", line["t"]) >= up.since
    ]
    reach = settings.sync
    found += [
        f"{gap.what} for {gap.until - gap.since:.0f} s"
        for gap in recording.gaps
        if gap.until > up.since and gap.until - gap.since > reach
    ]
    found += [f"the clock was set by {by:+g} s at {t:g} s" for t, by in recording.steps if t >= up.since]
    found += [f"the worker {note['worker']} was lost" for note in recording.notes if note["type"] == "lost"]
    return list(dict.fromkeys(found))


def _up_stages(
    recording: Recording,
    service: str,
    settings: ScalingSettings,
    up: Span,
    wanted: int,
    start: int,
    said: Sequence[dict[str, Any]],
    found: list[Pod],
) -> list[Stage]:
    begin = up.since
    fresh = metric_fresh(recording, service, begin)
    raised = first(said, lambda line: int(line["desired"]) > start, begin)
    # The controller doubles at most, or adds a few, in each period of its policy: the last step may take several.
    reached = first(said, lambda line: int(line["desired"]) >= wanted, begin)
    made = next((t for t in sorted(pod.created for pod in found) if t >= begin and alive(found, t) >= wanted), None)
    ready = ready_count_at(found, wanted, begin) if made is not None else None
    serving = next((t for t, count in recording.endpoints if t >= begin and count >= wanted), None)
    calm, good = latency_recovered(recording, ready if ready is not None else begin, up.until)
    more = 30.0 * max(0, math.ceil(math.log2(max(wanted, 1) / max(start, 1))) - 1) + settings.sync
    return [
        _stage("metric fresh", begin, fresh, 0.0, settings.sees_load_within),
        _stage("desired raised", begin, raised, 0.0, settings.reacts_within),
        _stage(f"{wanted} desired", begin, reached, 0.0, settings.reacts_within + more),
        _stage("pods created", reached, made, -settings.sync, LOOK + 5.0),
        _stage("Ready", made, ready, -LOOK, settings.start),
        _stage("endpoints serve", ready, serving, -2 * LOOK, SERVED_WITHIN),
        _stage(f"p95 below {good:.0f} ms", ready, calm, -LOOK, RECOVERED_WITHIN),
    ]


def _down_stages(
    settings: ScalingSettings,
    up: Span,
    down: Span,
    start: int,
    wanted: int,
    said: Sequence[dict[str, Any]],
    found: list[Pod],
) -> list[Stage]:
    begin = down.since
    at_end = [int(line["desired"]) for line in said if line["t"] <= begin]
    lowered = first(said, lambda line: int(line["desired"]) < (at_end[-1] if at_end else wanted), begin)
    reached = first(said, lambda line: int(line["desired"]) <= start, begin)
    gone = next(
        (
            t
            for t in sorted(pod.gone for pod in found if pod.gone is not None)
            if t >= begin and alive(found, t) <= start
        ),
        None,
    )
    # The highest recommendation of the window counts; the last high one falls within a sync of the load's end.
    low = max(0.0, settings.down_window - settings.sync - LOOK)
    high = settings.down_window + settings.reacts_within - settings.up_window
    steps = _policy_steps(wanted, start, settings.down_percent)
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


def _breaches(
    recording: Recording,
    settings: ScalingSettings,
    up: Span,
    down: Span | None,
    said: Sequence[dict[str, Any]],
    found: list[Pod],
) -> list[str]:
    """Say what happened that must not."""
    told: list[str] = []
    end = down.until if down is not None else up.until
    desired = [int(line["desired"]) for line in said if line["t"] >= up.since]
    if any(number > settings.maximum for number in desired):
        told.append(f"{max(desired)} replicas were desired, above the maximum of {settings.maximum}")
    if any(number < settings.minimum for number in desired):
        told.append(f"{min(desired)} replicas were desired, below the minimum of {settings.minimum}")
    # A Deployment's surge is for rollouts: scaling makes exactly as many as are desired.
    counts = [alive(found, pod.created) for pod in found if pod.created >= up.since]
    if counts and max(counts) > settings.maximum:
        told.append(f"{max(counts)} pods ran at once, above the maximum of {settings.maximum}")
    before = [line for line in said if line["t"] < up.since][-1:]
    rising = [line for line in said if up.since <= line["t"] < up.until]
    falls = directions([*before, *rising]).count(-1)
    rises = directions([line for line in said if down is not None and down.since <= line["t"] <= end]).count(1)
    if falls or rises:
        told.append(f"flapping: the desired number fell {falls} times under load and rose {rises} times after it")
    failed = sum(tick.total.failures for tick in recording.load_between(up.since, end))
    if failed:
        told.append(f"{failed} requests failed while it scaled")
    return told
