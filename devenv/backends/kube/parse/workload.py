"""Workloads: how far their rollout is, and what stops it; jobs and cron jobs.

Which pods hold them back is said by the cache, which knows the pods. The rules of `kubectl rollout status`
(k8s.io/kubectl, pkg/polymorphichelpers/rollout_status.go).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from devenv.backends.kube.fields import (
    conditions,
    mapping,
    mappings,
    number,
    owner_of,
    selector_text,
    text,
    time_of,
    why_not,
    word,
)
from devenv.backends.kube.parse.common import Parsed, base, facts, joined
from devenv.backends.kube.pod import HASH
from devenv.backends.kube.workload import Workload, read_workload
from devenv.core.model import Health, State, WorkloadFacts

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
    """Make a resource of a DaemonSet: a pod a node that it is meant for."""
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
