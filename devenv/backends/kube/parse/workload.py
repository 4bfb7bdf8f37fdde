"""Workloads: how far their rollout is, and what stops it; jobs and cron jobs; their autoscalers (autoscaling/v2).

Which pods hold them back is said by the cache, which knows the pods. The rules of `kubectl rollout status`
(k8s.io/kubectl, pkg/polymorphichelpers/rollout_status.go).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from devenv.backends.kube.fields import (
    Parsed,
    base,
    conditions,
    facts,
    joined,
    mapping,
    mappings,
    number,
    owner_of,
    quantity,
    selector_text,
    text,
    time_of,
    why_not,
    word,
)
from devenv.backends.kube.pod import HASH
from devenv.backends.kube.workload import Workload, read_workload
from devenv.core.model import AutoscalerFacts, Health, Scaling, ScalingMetric, State, WorkloadFacts

# Written by `kubectl rollout restart` (k8s.io/kubectl, pkg/polymorphichelpers/objectrestarter.go).
RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
# A copy in another namespace has priority classes of its own, and its images may have other names: what runs counts.
_OF_THE_COPY: Final = frozenset({"priorityClassName", "priority"})


def template_hash(raw: Mapping[str, Any]) -> str:
    """Return the hash of the pod template; a restart and the images' names make no difference."""
    template = mapping(mapping(raw.get("spec")).get("template"))
    meta, spec = mapping(template.get("metadata")), mapping(template.get("spec"))
    annotations = {name: value for name, value in mapping(meta.get("annotations")).items() if name != RESTARTED}
    kept = {name: value for name, value in spec.items() if name not in _OF_THE_COPY}
    for group in ("initContainers", "containers"):
        if group in kept:
            kept[group] = [_without_image(item) for item in mappings(kept[group])]
    described = json.dumps([meta.get("labels"), annotations, kept], sort_keys=True)
    return hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _without_image(container: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in container.items() if name != "image"}


_NOT_SEEN: Final = "the controller has not seen the newest change yet"
_CREATION: Final = ("FailedCreate",)


def parse_deployment(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a Deployment."""
    item = read_workload("deployment", raw)
    desired, updated, available = item.desired, item.updated, item.available or 0
    stuck, paused = bool(item.overdue), item.is_paused
    words = ["rollout paused" if paused else ""]
    if not item.is_observed:
        words.append(_NOT_SEEN)
    elif not paused or updated < desired:
        words.append(_rollout(item))
    if stuck:
        seconds = number(item.spec.get("progressDeadlineSeconds")) or 600
        words.append(f"no progress for {seconds} s: {why_not(item.conditions['Progressing'])}")
    words.append(why_not(item.replica_failure))
    done = item.is_observed and updated >= desired and item.replicas <= updated and available >= desired
    bad = stuck or item.replica_failure is not None
    return _parsed(
        item,
        context,
        why=joined(words),
        bad=bad,
        done=done,
        paused=paused and not bad,
        columns=(
            ("up to date", f"{updated}/{desired}"),
            ("available", str(available)),
            ("paused", "yes" if paused else ""),
            ("strategy", word(item.strategy.get("type"))),
            ("revision", item.revision),
        ),
    )


def parse_replica_set(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a ReplicaSet; its service is the Deployment that owns it."""
    item = read_workload("replicaset", raw)
    return _parsed(
        item,
        context,
        why=why_not(item.replica_failure),
        bad=item.replica_failure is not None,
        service=item.owner[1] or item.name.removesuffix(f"-{word(item.labels.get(HASH))}"),
        columns=(("revision", item.revision),),
    )


def parse_stateful_set(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a StatefulSet."""
    item = read_workload("statefulset", raw)
    desired, updated, goal = item.desired, item.updated, item.desired - item.partition
    words = []
    if not item.is_observed:
        words.append(_NOT_SEEN)
    elif item.is_rolling and item.strategy.get("type") == "OnDelete" and updated < desired:
        words.append(f"{desired - updated} of {desired} run the old revision until they are deleted (OnDelete)")
    elif item.is_rolling and updated < goal:
        words.append(f"rollout: {updated} of {goal} updated")
    elif item.partition and updated < desired:
        words.append(f"rollout stops at the partition: {updated} of {desired} updated")
    if item.replicas < desired:
        words.append(f"{item.replicas} of {desired} created")
    elif item.ready < desired and not words:
        words.append(f"{item.ready} of {desired} ready")
    return _parsed(
        item,
        context,
        why=joined(words),
        columns=(
            ("up to date", f"{updated if item.is_rolling else item.replicas}/{desired}"),
            ("available", str(item.available or 0)),
            ("strategy", word(item.strategy.get("type"))),
            ("revision", word(item.status.get("updateRevision"))),
        ),
    )


def parse_daemon_set(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a DaemonSet: a pod on each node that it is for."""
    item = read_workload("daemonset", raw)
    desired, updated, misplaced = item.desired, item.updated, number(item.status.get("numberMisscheduled"))
    words = []
    if not item.is_observed:
        words.append(_NOT_SEEN)
    elif updated < desired:
        words.append(f"rollout: {updated} of {desired} nodes updated")
    elif item.ready < desired:
        words.append(f"{item.ready} of {desired} nodes ready")
    if misplaced:
        words.append(f"{misplaced} on nodes that it is not meant for")
    return _parsed(
        item,
        context,
        why=joined(words) or ("no node is meant for it" if not desired else ""),
        done=updated >= desired,
        columns=(
            ("up to date", f"{updated}/{desired}"),
            ("available", str(item.available or 0)),
            ("strategy", word(item.strategy.get("type"))),
        ),
    )


def _rollout(item: Workload) -> str:
    if item.updated < item.desired:
        return f"rollout: {item.updated} of {item.desired} updated"
    if item.replicas > item.updated:
        return f"rollout: {item.replicas - item.updated} of the old revision still to end"
    if (item.available or 0) < min(item.updated, item.desired):
        return f"{item.available or 0} of {item.desired} available"
    return ""


def _parsed(
    item: Workload,
    context: str,
    *,
    why: str,
    columns: tuple[tuple[str, str], ...],
    bad: bool = False,
    done: bool = True,
    service: str = "",
    paused: bool = False,
) -> Parsed:
    """Make the resource; `done`: nothing is missing but what the counts of ready pods say."""
    desired, ready = item.desired, item.ready
    health = Health.UNHEALTHY if bad else Health.HEALTHY if done and ready >= desired else Health.STARTING
    template = mapping(mapping(item.spec.get("template")).get("spec"))
    resource = base(
        item.raw,
        item.kind,
        context,
        State.PAUSED if paused else State.RUNNING if desired or ready else State.EXITED,
        service=service or item.name,
        health=health if bad or desired else Health.NONE,
        image=word(next((one.get("image") for one in mappings(template.get("containers"))), "")),
        status=text(f"{ready}/{desired} ready") if desired or ready else "scaled to 0",
        why=why,
        ready=(ready, desired),
        config_hash="" if item.kind == "replicaset" else template_hash(item.raw),
        kind_facts=WorkloadFacts(item.is_paused, int(item.revision) if item.revision.isdigit() else 0),
        facts=facts(*columns, ("selector", selector_text(mapping(item.spec.get("selector")).get("matchLabels")))),
    )
    # Where the object itself says that pods cannot be created, the event says nothing new.
    return Parsed(resource, _CREATION if ready < desired and item.replica_failure is None else ())


def parse_job(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a Job: EXITED with code 0 when complete, with 1 when failed (the pods know the real code)."""
    spec, status, meta = mapping(raw.get("spec")), mapping(raw.get("status")), mapping(raw.get("metadata"))
    states = conditions(status)
    complete, failed = _holds(states, "Complete"), _holds(states, "Failed")
    printed = _status(states, leaving=bool(meta.get("deletionTimestamp")))
    desired = 1 if spec.get("completions") is None else number(spec.get("completions"))
    done, bad, active = (number(status.get(name)) for name in ("succeeded", "failed", "active"))
    suspended = spec.get("suspend") is True
    words = [
        why_not(states.get("Failed")) if failed else "",
        "suspended" if suspended and not (complete or failed) else "",
        f"{bad} of its pods failed" if bad else "",
    ]
    state = State.EXITED if complete or failed else State.PAUSED if suspended else State.RUNNING
    _, owner, _ = owner_of(meta)
    resource = base(
        raw,
        "job",
        context,
        state,
        service=owner or word(meta.get("name")),
        health=Health.UNHEALTHY if failed else Health.STARTING if state is State.RUNNING else Health.NONE,
        image=_image(spec),
        status=printed,
        leaving_status=printed,
        started_at=time_of(status.get("startTime")),
        finished_at=time_of(status.get("completionTime") or mapping(states.get("Failed")).get("lastTransitionTime")),
        exit_code=0 if complete else 1 if failed else None,
        why=joined(words),
        ready=(done, desired),
        facts=facts(
            ("active", str(active)),
            ("succeeded", str(done)),
            ("failed", str(bad)),
            ("backoff limit", str(spec.get("backoffLimit", ""))),
        ),
    )
    return Parsed(resource, () if complete or failed else ("FailedCreate",))


def parse_cron_job(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a CronJob."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    active = len(mappings(status.get("active")))
    suspended = spec.get("suspend") is True
    template = mapping(mapping(spec.get("jobTemplate")).get("spec"))
    resource = base(
        raw,
        "cronjob",
        context,
        State.PAUSED if suspended else State.RUNNING,
        service=word(mapping(raw.get("metadata")).get("name")),
        image=_image(template),
        status="Suspended" if suspended else f"{active} active",
        started_at=time_of(status.get("lastScheduleTime")),
        finished_at=time_of(status.get("lastSuccessfulTime")),
        why="suspended: makes no jobs" if suspended else "",
        facts=facts(
            ("schedule", word(spec.get("schedule"))),
            ("time zone", word(spec.get("timeZone"))),
            ("last schedule", word(status.get("lastScheduleTime"))),
            ("last success", word(status.get("lastSuccessfulTime"))),
            ("active", str(active)),
        ),
    )
    return Parsed(resource, ("FailedCreate", "UnparseableSchedule", "FailedNeedsStart", "TooManyMissedTimes"))


def _status(states: Mapping[str, Mapping[str, Any]], *, leaving: bool) -> str:
    """Return kubectl's word (printJob): how it ended, else what the controller does with it."""
    words = (
        *(("Complete", "Complete"), ("Failed", "Failed")),
        *((("", "Terminating"),) if leaving else ()),
        *(("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet")),
    )
    return next((word for condition, word in words if not condition or _holds(states, condition)), "Running")


def _holds(states: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return mapping(states.get(name)).get("status") == "True"


def _image(spec: Mapping[str, Any]) -> str:
    template = mapping(mapping(spec.get("template")).get("spec"))
    return word(next((item.get("image") for item in mappings(template.get("containers"))), ""))


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
