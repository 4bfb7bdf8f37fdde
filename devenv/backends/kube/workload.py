"""A workload, read once for everybody: its counts of pods, and how far its rollout is by its own status.

The rules are those of `kubectl rollout status` (kubernetes/kubernetes, staging/src/k8s.io/kubectl/pkg/
polymorphichelpers/rollout_status.go), and a Job's end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from devenv.backends.kube.fields import conditions, mapping, number, owner_of, word
from devenv.backends.kube.pod import HASH, Pod
from devenv.backends.kube.pod_start import Healing, Trouble, words_of
from devenv.core.text import sanitize

WAITED_FOR: Final = ("deployment", "statefulset", "daemonset", "job")
REVISION: Final = "deployment.kubernetes.io/revision"


class Workload(msgspec.Struct, frozen=True):
    """One workload; `kind` is in lower case. Of a Job `updated` have succeeded and `ready` are active.

    `available` is None where the status does not say. `raw` is the whole object, and its three parts, for what a single
    view needs of it.
    """

    raw: Mapping[str, Any]
    meta: Mapping[str, Any]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    kind: str
    namespace: str
    name: str
    uid: str
    owner: tuple[str, str, str]  # as a pod's
    is_observed: bool  # its controller has seen the newest change
    desired: int
    replicas: int
    updated: int
    ready: int
    available: int | None
    conditions: Mapping[str, Mapping[str, Any]]

    @property
    def labels(self) -> Mapping[str, Any]:
        """Its labels."""
        return mapping(self.meta.get("labels"))

    @property
    def annotations(self) -> Mapping[str, Any]:
        """Its annotations."""
        return mapping(self.meta.get("annotations"))

    @property
    def revision(self) -> str:
        """The number of a Deployment's or ReplicaSet's revision."""
        return word(self.annotations.get(REVISION))

    @property
    def strategy(self) -> Mapping[str, Any]:
        """How its pods are replaced."""
        return mapping(self.spec.get("strategy") or self.spec.get("updateStrategy"))

    @property
    def partition(self) -> int:
        """Below which ordinal a StatefulSet's pods keep the old revision."""
        return number(mapping(self.strategy.get("rollingUpdate")).get("partition"))

    @property
    def is_paused(self) -> bool:
        """Whether a Deployment's rollout is paused."""
        return self.spec.get("paused") is True

    @property
    def is_rolling(self) -> bool:
        """Whether a StatefulSet has pods of two revisions, or had until just now."""
        return self.status.get("updateRevision") != self.status.get("currentRevision")

    @property
    def replica_failure(self) -> Mapping[str, Any] | None:
        """The condition that says why pods cannot be created, None where they can."""
        return self.conditions["ReplicaFailure"] if self.holds("ReplicaFailure") else None

    @property
    def overdue(self) -> str:
        """Since when a Deployment's progress deadline is exceeded; "" where it is not."""
        condition = mapping(self.conditions.get("Progressing"))
        is_over = condition.get("reason") == "ProgressDeadlineExceeded"
        return str(condition.get("lastTransitionTime") or "unknown") if is_over else ""

    @property
    def template(self) -> tuple[Any, ...]:
        """What its pods are made of, as a Deployment's controller compares it: labels, annotations, spec."""
        template = mapping(self.spec.get("template"))
        meta = mapping(template.get("metadata"))
        labels = {key: value for key, value in mapping(meta.get("labels")).items() if key != HASH}
        return labels, dict(mapping(meta.get("annotations"))), template.get("spec") or {}

    def holds(self, condition: str) -> bool:
        """Whether a condition is true."""
        return mapping(self.conditions.get(condition)).get("status") == "True"

    def is_new(self, pod: Pod) -> bool:
        """Whether a pod that it owns is of its newest revision."""
        if self.kind == "statefulset":
            revision = self.status.get("updateRevision")
            return not revision or pod.labels.get("controller-revision-hash") == revision
        if self.kind == "daemonset":
            # The only link that needs no ControllerRevisions; "deprecated" since 1.9, and still written (1.36).
            generation = self.annotations.get("deprecated.daemonset.template.generation")
            return not generation or pod.labels.get("pod-template-generation") == generation
        return True


def read_workload(kind: str, raw: Mapping[str, Any]) -> Workload:
    """Read an object of that kind in lower case; what is missing or of another type reads as empty."""
    meta, spec, status = mapping(raw.get("metadata")), mapping(raw.get("spec")), mapping(raw.get("status"))
    desired, updated, ready, available = "replicas", "updatedReplicas", "readyReplicas", "availableReplicas"
    source, default, uid = spec, 1, meta.get("uid")
    if kind == "daemonset":
        updated, ready, available = "updatedNumberScheduled", "numberReady", "numberAvailable"
        desired, source, default = "desiredNumberScheduled", status, 0
    elif kind == "job":
        desired, updated, ready = "completions", "succeeded", "active"
    return Workload(
        raw=raw,
        meta=meta,
        spec=spec,
        status=status,
        kind=kind,
        namespace=word(meta.get("namespace")),
        name=word(meta.get("name")),
        uid=uid if isinstance(uid, str) else "",
        owner=owner_of(meta),
        is_observed=number(status.get("observedGeneration")) >= number(meta.get("generation")),
        desired=default if source.get(desired) is None else number(source.get(desired)),
        replicas=number(status.get("replicas")),
        updated=number(status.get(updated)),
        ready=number(status.get(ready)),
        available=None if status.get(available) is None else number(status.get(available)),
        conditions=conditions(status),
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of pods, whether it is rolled out, and what is missing in words; `observed`: the status is not stale."""

    done: bool
    observed: bool = True
    desired: int = 0
    updated: int = 0
    ready: int = 0
    old: int = 0
    words: str = ""
    troubles: tuple[Trouble, ...] = ()


def progress_of(workload: Workload, overdue_since: str = "") -> Progress:
    """Judge a workload by its spec and status. Kinds that nothing rolls out are done at once.

    `overdue_since`: the exceeded progress deadline of that time is of an earlier rollout, and judges this one not.
    """
    if workload.kind == "job":
        return _job(workload)
    if workload.kind not in WAITED_FOR:
        return Progress(True)
    if not workload.is_observed:
        return Progress(False, observed=False, words="its controller has not seen the change yet")
    if workload.kind == "deployment":
        return _deployment(workload, overdue_since)
    return _stateful_set(workload) if workload.kind == "statefulset" else _daemon_set(workload)


def old_pods(count: int, what: str = "still there") -> str:
    """Say how many pods of an old revision are in some state."""
    return f"1 old pod is {what}" if count == 1 else f"{count} old pods are {what}"


def _deployment(workload: Workload, overdue_since: str) -> Progress:
    spec, name, desired, updated = workload.spec, workload.name, workload.desired, workload.updated
    available, old = workload.available or 0, workload.replicas - workload.updated
    troubles = []
    if workload.is_paused:
        troubles.append(Trouble(name, "Paused", "its rollout is paused: kubectl rollout resume", Healing.NEVER))
    if workload.overdue not in ("", overdue_since):
        text = f"nothing moved within its progressDeadlineSeconds ({spec.get('progressDeadlineSeconds', 600)} s)"
        troubles.append(Trouble(name, "ProgressDeadlineExceeded", text, Healing.NEVER))
    words = ""
    if updated < desired:
        words = f"{updated} of {desired} new pods are there"
    elif old > 0:
        words = old_pods(old)
    elif available < updated:
        words = f"{available} of {updated} new pods are available"
        settles = number(spec.get("minReadySeconds"))
        if settles and workload.ready >= updated:
            words += f", once they were ready for {settles} s (minReadySeconds)"
    done = not words and not workload.is_paused
    return Progress(done, True, desired, updated, min(updated, workload.ready), max(0, old), words, tuple(troubles))


def _stateful_set(workload: Workload) -> Progress:
    desired, ready, updated = workload.desired, workload.ready, workload.updated
    by_itself = workload.strategy.get("type", "RollingUpdate") == "RollingUpdate" and workload.is_rolling
    goal = max(0, desired - workload.partition)
    words = ""
    if ready < desired:
        words = f"{ready} of {desired} pods are ready"
    elif by_itself and updated < goal:
        words = f"{updated} of {goal} pods are updated"
    elif by_itself and not workload.partition:
        words = "the last pod is being updated"
    elif (ready if workload.available is None else workload.available) < desired:
        words = f"{workload.available or 0} of {desired} pods are available"
    old = max(0, desired - updated) if workload.is_rolling else 0
    return Progress(not words, True, desired, updated, ready, old, words)


def _daemon_set(workload: Workload) -> Progress:
    desired, updated, available = workload.desired, workload.updated, workload.available or 0
    words = ""
    if workload.strategy.get("type", "RollingUpdate") == "RollingUpdate" and updated < desired:
        words = f"{updated} of {desired} pods are updated"
    elif available < desired:
        words = f"{available} of {desired} pods are available"
    return Progress(not words, True, desired, updated, workload.ready, max(0, desired - updated), words)


def _job(workload: Workload) -> Progress:
    desired, succeeded, active = workload.desired, workload.updated, workload.ready
    if workload.holds("Complete"):
        return Progress(True, True, desired, succeeded, succeeded)
    troubles: tuple[Trouble, ...] = ()
    if workload.holds("Failed"):
        failed = workload.conditions["Failed"]
        reason = sanitize(str(failed.get("reason") or "Failed"))
        troubles = (Trouble(workload.name, reason, words_of(failed.get("message")), Healing.NEVER),)
    elif workload.spec.get("suspend"):
        troubles = (Trouble(workload.name, "Suspended", "it is suspended, so it never runs", Healing.NEVER),)
    words = f"{succeeded} of {desired} have completed"
    return Progress(False, True, desired, succeeded, active, words=words, troubles=troubles)
