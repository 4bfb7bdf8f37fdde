"""Why nothing can be concluded about an autoscaler: what hinders it, what it says itself, what the recording lacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from devenv.load.series import Recording
from devenv.load.verdicts.reaction import Span, cpu_of, scalings
from devenv.load.verdicts.settings import ScalingSettings

# Events of the HPA controller (pkg/controller/podautoscaler): while another metric works, a lost one is told only so.
_COMPLAINTS: Final = (
    "FailedGetResourceMetric",
    "FailedGetContainerResourceMetric",
    "FailedComputeMetricsReplicas",
    "FailedGetScale",
    "FailedRescale",
    "InvalidSelector",
)
# Why a pod that is wanted is not there: the scheduler's event on the pod, the quota's on its ReplicaSet.
_NO_PLACE: Final = {"FailedScheduling": "the node is too small", "FailedCreate": "a pod could not be made"}


def no_room(settings: ScalingSettings, wanted: int) -> str:
    """Say why an autoscaler cannot reach `wanted` replicas from its minimum; "" where it can."""
    if settings.maximum <= settings.minimum:
        return f"the autoscaler has no room: minimum {settings.minimum}, maximum {settings.maximum}"
    if wanted > settings.maximum:
        return f"{wanted} replicas are above the autoscaler's maximum of {settings.maximum}"
    if wanted <= settings.minimum:
        return f"{wanted} replicas are no more than the autoscaler's minimum of {settings.minimum}"
    return ""


def complaint(recording: Recording, service: str, since: float = -math.inf) -> str:
    """Return why the autoscaler does nothing, in its own words: its newest condition or event; "" for none."""
    said = [line for line in scalings(recording, service) if line["t"] >= since]
    refused = [text for line in said[-1:] for text in _refusals(line)]
    if refused:
        return refused[0]
    keys = {line["key"] for line in scalings(recording, service)}
    told = [
        (line.get("t_of", line["t"]), f"{line['action']}: {line['text']}")
        for line in recording.events
        if line["key"] in keys and line["action"] in _COMPLAINTS
    ]
    return max((item for item in told if item[0] >= since), default=(since, ""))[1]


def doubts_of(recording: Recording, service: str, settings: ScalingSettings | None, wanted: int, up: Span) -> list[str]:
    """Say why nothing can be concluded; empty where it can."""
    said = scalings(recording, service)
    if settings is None or not said:
        lost = [f"{line['what']}: {line['why']}" for line in recording.missing]
        return [f"the autoscaler of {service} could not be read", *lost]
    found = [no_room(settings, wanted)]
    before = [int(line["desired"]) for line in said if line["t"] <= up.since][-1:]
    if before and before[0] >= wanted:
        found.append(f"{before[0]} replicas were there before the load, and {wanted} were to be reached")
    start = before[0] if before else settings.minimum
    # Where it had done already what was to be done, it is no matter that it could not do more for a while.
    due = [line for line in said if line["t"] >= up.since and _has_to_act(line, start, wanted, up)]
    found += [text for line in due for text in _refusals(line)]
    found += _without_metric(recording, service, settings, up, said)
    found += [
        f"{_NO_PLACE[line['action']]}: {line['text']}"
        for line in recording.events
        if line["action"] in _NO_PLACE and line["service"] in (service, "") and line.get("t_of", line["t"]) >= up.since
    ]
    found += [
        f"{gap.what} for {gap.until - gap.since:.0f} s"
        for gap in recording.gaps
        if gap.until > up.since and gap.until - gap.since > settings.sync
    ]
    found += [f"the clock was set by {by:+g} s at {t:g} s" for t, by in recording.steps if t >= up.since]
    found += [f"the worker {note['worker']} was lost" for note in recording.notes if note["type"] == "lost"]
    return list(dict.fromkeys(filter(None, found)))


def _has_to_act(line: dict[str, Any], start: int, wanted: int, up: Span) -> bool:
    desired = int(line["desired"])
    return desired < wanted if line["t"] < up.until else desired > start


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
