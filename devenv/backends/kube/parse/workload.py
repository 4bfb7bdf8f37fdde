"""Workloads: how far their rollout is, and what stops it; jobs and cron jobs.

Which pods hold them back is said by the cache, which knows the pods. The rules of `kubectl rollout status`
(k8s.io/kubectl, pkg/polymorphichelpers/rollout_status.go).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from devenv.backends.kube.parse.common import (
    Parsed,
    base,
    conditions,
    facts,
    joined,
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
from devenv.backends.kube.parse.pod import HASH
from devenv.core.model import Health, State

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


REVISION: Final = "deployment.kubernetes.io/revision"
_CREATION: Final = ("FailedCreate",)


def parse_deployment(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a Deployment."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    told = conditions(status)
    wanted, updated = wanted_of(spec), number(status.get("updatedReplicas"))
    have, ready = number(status.get("replicas")), number(status.get("readyReplicas"))
    available = number(status.get("availableReplicas"))
    progress = mapping(told.get("Progressing"))
    stuck = progress.get("reason") == "ProgressDeadlineExceeded"
    paused = spec.get("paused") is True
    observed = _is_observed(raw, status)
    words = ["rollout paused" if paused else ""]
    if not observed:
        words.append("the controller has not seen the newest change yet")
    elif not paused or updated < wanted:
        words.append(_rollout(wanted, updated, have, available))
    if stuck:
        seconds = number(spec.get("progressDeadlineSeconds")) or 600
        words.append(f"no progress for {seconds} s: {why_not(progress)}")
    failure = mapping(told.get("ReplicaFailure"))
    if failing := _replica_failure(raw):
        words.append(why_not(failure))
    done = observed and updated >= wanted and have <= updated and available >= wanted
    bad = stuck or failing
    return _parsed(
        raw,
        "deployment",
        context,
        wanted=wanted,
        ready=ready,
        why=joined(words),
        health=_health(wanted, ready, bad=bad, done=done),
        paused=paused and not bad,
        columns=(
            ("up to date", f"{updated}/{wanted}"),
            ("available", str(available)),
            ("paused", "yes" if paused else ""),
            ("strategy", word(mapping(spec.get("strategy")).get("type"))),
            ("revision", word(mapping(mapping(raw.get("metadata")).get("annotations")).get(REVISION))),
        ),
    )


def parse_replica_set(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a ReplicaSet; its service is the Deployment that owns it."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    meta = mapping(raw.get("metadata"))
    wanted, ready = wanted_of(spec), number(status.get("readyReplicas"))
    failure = mapping(conditions(status).get("ReplicaFailure"))
    bad = _replica_failure(raw)
    _, owner, _ = owner_of(meta)
    label = word(mapping(meta.get("labels")).get(HASH))
    return _parsed(
        raw,
        "replicaset",
        context,
        wanted=wanted,
        ready=ready,
        why=why_not(failure) if bad else "",
        health=_health(wanted, ready, bad=bad, done=ready >= wanted),
        service=owner or word(str(meta.get("name") or "")).removesuffix(f"-{label}"),
        columns=(("revision", word(mapping(meta.get("annotations")).get(REVISION))),),
    )


def parse_stateful_set(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a StatefulSet."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    wanted, ready = wanted_of(spec), number(status.get("readyReplicas"))
    updated, have = number(status.get("updatedReplicas")), number(status.get("replicas"))
    available = number(status.get("availableReplicas"))
    strategy = mapping(spec.get("updateStrategy"))
    partition = number(mapping(strategy.get("rollingUpdate")).get("partition"))
    on_delete = strategy.get("type") == "OnDelete"
    rolls = status.get("updateRevision") != status.get("currentRevision")
    words = []
    if not _is_observed(raw, status):
        words.append("the controller has not seen the newest change yet")
    elif rolls and on_delete and updated < wanted:
        words.append(f"{wanted - updated} of {wanted} run the old revision until they are deleted (OnDelete)")
    elif rolls and updated < wanted - partition:
        words.append(f"rollout: {updated} of {wanted - partition} updated")
    elif partition and updated < wanted:
        words.append(f"rollout stops at the partition: {updated} of {wanted} updated")
    if have < wanted:
        words.append(f"{have} of {wanted} created")
    elif ready < wanted and not words:
        words.append(f"{ready} of {wanted} ready")
    return _parsed(
        raw,
        "statefulset",
        context,
        wanted=wanted,
        ready=ready,
        why=joined(words),
        health=_health(wanted, ready, bad=False, done=ready >= wanted),
        columns=(
            ("up to date", f"{updated if rolls else have}/{wanted}"),
            ("available", str(available)),
            ("strategy", word(strategy.get("type"))),
            ("revision", word(status.get("updateRevision"))),
        ),
    )


def parse_daemon_set(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a DaemonSet: a pod a node that it is meant for."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    wanted, ready = number(status.get("desiredNumberScheduled")), number(status.get("numberReady"))
    updated, misplaced = number(status.get("updatedNumberScheduled")), number(status.get("numberMisscheduled"))
    words = []
    if not _is_observed(raw, status):
        words.append("the controller has not seen the newest change yet")
    elif updated < wanted:
        words.append(f"rollout: {updated} of {wanted} nodes updated")
    elif ready < wanted:
        words.append(f"{ready} of {wanted} nodes ready")
    if misplaced:
        words.append(f"{misplaced} on nodes that it is not meant for")
    return _parsed(
        raw,
        "daemonset",
        context,
        wanted=wanted,
        ready=ready,
        why=joined(words) or ("no node is meant for it" if not wanted else ""),
        health=_health(wanted, ready, bad=False, done=ready >= wanted and updated >= wanted),
        columns=(
            ("up to date", f"{updated}/{wanted}"),
            ("available", str(number(status.get("numberAvailable")))),
            ("strategy", word(mapping(spec.get("updateStrategy")).get("type"))),
        ),
    )


def wanted_of(spec: Mapping[str, Any]) -> int:
    """Return the wanted replicas; the API's default is 1."""
    return 1 if spec.get("replicas") is None else number(spec.get("replicas"))


def _rollout(wanted: int, updated: int, have: int, available: int) -> str:
    if updated < wanted:
        return f"rollout: {updated} of {wanted} updated"
    if have > updated:
        return f"rollout: {have - updated} of the old revision still to end"
    if available < min(updated, wanted):
        return f"{available} of {wanted} available"
    return ""


def _is_observed(raw: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    return number(status.get("observedGeneration")) >= number(mapping(raw.get("metadata")).get("generation"))


def _health(wanted: int, ready: int, *, bad: bool, done: bool) -> Health:
    if bad:
        return Health.UNHEALTHY
    if not wanted:
        return Health.NONE
    return Health.HEALTHY if done and ready >= wanted else Health.STARTING


def _parsed(
    raw: Mapping[str, Any],
    kind: str,
    context: str,
    *,
    wanted: int,
    ready: int,
    why: str,
    health: Health,
    columns: tuple[tuple[str, str], ...],
    service: str = "",
    paused: bool = False,
) -> Parsed:
    spec = mapping(raw.get("spec"))
    template = mapping(mapping(spec.get("template")).get("spec"))
    state = State.PAUSED if paused else State.RUNNING if wanted or ready else State.EXITED
    resource = base(
        raw,
        kind,
        context,
        state,
        service=service or word(mapping(raw.get("metadata")).get("name")),
        health=health,
        image=word(next((item.get("image") for item in mappings(template.get("containers"))), "")),
        status=text(f"{ready}/{wanted} ready") if wanted or ready else "scaled to 0",
        why=why,
        ready=(ready, wanted),
        config_hash="" if kind == "replicaset" else template_hash(raw),
        facts=facts(*columns, ("selector", selector_text(mapping(spec.get("selector")).get("matchLabels")))),
    )
    return Parsed(resource, _CREATION if ready < wanted and not _replica_failure(raw) else ())


def _replica_failure(raw: Mapping[str, Any]) -> bool:
    """Whether the object itself says that pods cannot be created: then the event says nothing new."""
    return mapping(conditions(mapping(raw.get("status"))).get("ReplicaFailure")).get("status") == "True"


def parse_job(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a Job: EXITED with code 0 when complete, with 1 when failed (the pods know the real code)."""
    spec, status, meta = mapping(raw.get("spec")), mapping(raw.get("status")), mapping(raw.get("metadata"))
    told = conditions(status)
    complete, failed = _holds(told, "Complete"), _holds(told, "Failed")
    printed = _status(told, leaving=bool(meta.get("deletionTimestamp")))
    wanted = 1 if spec.get("completions") is None else number(spec.get("completions"))
    done, bad, active = (number(status.get(name)) for name in ("succeeded", "failed", "active"))
    suspended = spec.get("suspend") is True
    words = [
        why_not(told.get("Failed")) if failed else "",
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
        finished_at=time_of(status.get("completionTime") or mapping(told.get("Failed")).get("lastTransitionTime")),
        exit_code=0 if complete else 1 if failed else None,
        why=joined(words),
        ready=(done, wanted),
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


def _status(told: Mapping[str, Mapping[str, Any]], *, leaving: bool) -> str:
    """Return kubectl's word (printJob): how it ended, else what the controller does with it."""
    words = (
        *(("Complete", "Complete"), ("Failed", "Failed")),
        *((("", "Terminating"),) if leaving else ()),
        *(("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet")),
    )
    return next((word for condition, word in words if not condition or _holds(told, condition)), "Running")


def _holds(told: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return mapping(told.get(name)).get("status") == "True"


def _image(spec: Mapping[str, Any]) -> str:
    template = mapping(mapping(spec.get("template")).get("spec"))
    return word(next((item.get("image") for item in mappings(template.get("containers"))), ""))
