"""Horizontal pod autoscalers (autoscaling/v2): the resource, and the Scaling record with metrics and conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devenv.backends.kube.fields import conditions, mapping, mappings, number, text, time_of, why_not, word
from devenv.backends.kube.parse.common import Parsed, base, facts, joined, quantity
from devenv.core.model import AutoscalerFacts, Health, Scaling, ScalingMetric, State

_TOLERANCE: Final = 0.1  # of the controller: --horizontal-pod-autoscaler-tolerance
# Where each type of metric source keeps its name and its target (autoscaling/v2 MetricSpec).
_SOURCES: Final = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}


def parse_autoscaler(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of an autoscaler; its service is the workload that it scales."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    scaling = scaling_of(raw, "", 0.0)
    states = conditions(status)
    target = mapping(spec.get("scaleTargetRef"))
    blind = [
        states[name] for name in ("AbleToScale", "ScalingActive") if mapping(states.get(name)).get("status") == "False"
    ]
    off = mapping(states.get("ScalingActive")).get("reason") == "ScalingDisabled"
    beyond = _beyond(scaling)
    resource = base(
        raw,
        "horizontalpodautoscaler",
        context,
        State.PAUSED if off else State.RUNNING,
        service=word(target.get("name")),
        health=_health(off, bool(blind or beyond), bool(states)),
        status=f"{scaling.current} of {scaling.minimum}-{scaling.maximum} replicas",
        why=joined((condition_words(status), beyond)) if states else "its controller has not looked at it yet",
        ready=(scaling.current, scaling.desired),
        kind_facts=AutoscalerFacts(*scaling.target.split("/", 1)),
        facts=facts(
            ("reference", scaling.target),
            ("targets", ", ".join(map(metric_text, scaling.metrics))),
            ("min", str(scaling.minimum)),
            ("max", str(scaling.maximum)),
            ("replicas", str(scaling.current)),
        ),
    )
    return Parsed(resource)


def _health(off: bool, bad: bool, looked_at: bool) -> Health:
    if off:
        return Health.NONE
    return Health.UNHEALTHY if bad else Health.HEALTHY if looked_at else Health.STARTING


def _beyond(scaling: Scaling) -> str:
    """Say which metrics stay above their targets although there are as many replicas as there may be."""
    if scaling.current < scaling.maximum:
        return ""
    above = (
        metric
        for metric in scaling.metrics
        if metric.current is not None and metric.current > metric.target * (1 + _TOLERANCE)
    )
    return joined(
        f"{metric.name} is at {metric.current:g}{metric.unit}, wanted is {metric.target:g}{metric.unit}"
        for metric in above
    )


def scaling_of(raw: Mapping[str, Any], key: str, at: float) -> Scaling:
    """Make the Scaling record of an autoscaler's object."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    target = mapping(spec.get("scaleTargetRef"))
    current = {_name(item): item for item in mappings(status.get("currentMetrics"))}
    return Scaling(
        key=key,
        at=at,
        target=f"{word(target.get('kind'))}/{word(target.get('name'))}",
        minimum=1 if spec.get("minReplicas") is None else number(spec.get("minReplicas")),
        maximum=number(spec.get("maxReplicas")),
        current=number(status.get("currentReplicas")),
        desired=number(status.get("desiredReplicas")),
        metrics=tuple(_metric(item, current.get(_name(item))) for item in mappings(spec.get("metrics"))),
        conditions=tuple(
            (word(item.get("type")), word(item.get("status")), word(item.get("reason")), text(item.get("message")))
            for item in mappings(status.get("conditions"))
        ),
        last_scaled_at=time_of(status.get("lastScaleTime")),
    )


def condition_words(status: Mapping[str, Any]) -> str:
    """Say what hinders the autoscaler: it cannot scale, sees no metric, or is at a limit."""
    states = conditions(status)
    words = []
    if mapping(states.get("AbleToScale")).get("status") == "False":
        words.append(f"cannot scale: {why_not(states.get('AbleToScale'))}")
    active = mapping(states.get("ScalingActive"))
    if active.get("status") == "False":
        words.append(f"scales by nothing: {why_not(active)}")
    limited = mapping(states.get("ScalingLimited"))
    if limited.get("status") == "True":
        reason = limited.get("reason")
        known = {"TooFewReplicas": "held at its minimum", "TooManyReplicas": "held at its maximum"}
        words.append(known.get(str(reason), f"limited: {why_not(limited)}"))
    return joined(words)


def metric_text(metric: ScalingMetric) -> str:
    """Write a metric as kubectl does: cpu: 10%/70%, cpu: <unknown>/70%."""
    current = "<unknown>" if metric.current is None else f"{metric.current:g}{metric.unit}"
    return f"{metric.name}: {current}/{metric.target:g}{metric.unit}"


def _source(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(metric.get(_SOURCES.get(str(metric.get("type")), "")))


def _name(metric: Mapping[str, Any]) -> str:
    source = _source(metric)
    name = word(source.get("name") or mapping(source.get("metric")).get("name"))
    container = word(source.get("container"))
    return f"{name} ({container})" if container else name


def _metric(metric: Mapping[str, Any], status: Mapping[str, Any] | None) -> ScalingMetric:
    target = mapping(_source(metric).get("target"))
    current = mapping(_source(status).get("current")) if status is not None else {}
    kind = target.get("type")
    if kind == "Utilization":
        value = current.get("averageUtilization")
        now = float(value) if isinstance(value, int) else None
        return ScalingMetric(_name(metric), "%", now, float(number(target.get("averageUtilization"))))
    field = "averageValue" if kind == "AverageValue" else "value"
    return ScalingMetric(_name(metric), "", quantity(current.get(field)), quantity(target.get(field)) or 0.0)
