"""What is known of some workloads while they roll out: objects go in as the watches tell them, words come out.

How far one is by its own status are the rules of `kubectl rollout status`, and a Job's end (kubernetes/kubernetes,
staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from devenv.control.kube.pod_stages import PodStages, stages_of, time_of
from devenv.control.kube.pod_trouble import Healing, Trouble, creation_trouble, pod_trouble, restarts_of, words_of
from devenv.core.text import sanitize

WAITED_FOR = ("deployment", "statefulset", "daemonset", "job")
_HASH = "pod-template-hash"


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


def progress_of(kind: str, workload: Mapping[str, Any], overdue_since: str = "") -> Progress:
    """Judge a workload by its spec and status. Kinds that nothing rolls out are done at once.

    `overdue_since`: the exceeded progress deadline of that time is of an earlier rollout, and judges this one not.
    """
    metadata, status = workload.get("metadata") or {}, workload.get("status") or {}
    generation = int(metadata.get("generation") or 0)
    if kind == "job":
        return _job(workload, status)
    if kind not in WAITED_FOR:
        return Progress(True)
    if int(status.get("observedGeneration") or 0) < generation:
        return Progress(False, observed=False, words="its controller has not seen the change yet")
    if kind == "deployment":
        return _deployment(workload, status, overdue_since)
    return _stateful_set(workload, status) if kind == "statefulset" else _daemon_set(workload, status)


def old_pods(number: int, what: str = "still there") -> str:
    """Tell how many pods of an old revision are in some state."""
    return f"1 old pod is {what}" if number == 1 else f"{number} old pods are {what}"


def overdue(deployment: Mapping[str, Any]) -> str:
    """Return since when a Deployment's progress deadline is exceeded; "" where it is not."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition.get("lastTransitionTime") or "unknown")
    return ""


def template_matches(replica_set: Mapping[str, Any], deployment: Mapping[str, Any]) -> bool:
    """Whether the ReplicaSet was made from the Deployment's present template, as its controller compares them."""
    return _template(replica_set) == _template(deployment)


def _template(owner: Mapping[str, Any]) -> tuple[Any, ...]:
    template = (owner.get("spec") or {}).get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != _HASH}
    return labels, metadata.get("annotations") or {}, template.get("spec") or {}


def _deployment(workload: Mapping[str, Any], status: Mapping[str, Any], overdue_since: str) -> Progress:
    spec, name = workload.get("spec") or {}, str((workload.get("metadata") or {}).get("name", ""))
    desired = _count(spec, "replicas", 1)
    replicas, updated, available = (_count(status, key) for key in ("replicas", "updatedReplicas", "availableReplicas"))
    troubles = []
    if spec.get("paused"):
        troubles.append(Trouble(name, "Paused", "its rollout is paused: kubectl rollout resume", Healing.NEVER))
    if overdue(workload) not in ("", overdue_since):
        text = f"nothing moved within its progressDeadlineSeconds ({spec.get('progressDeadlineSeconds', 600)} s)"
        troubles.append(Trouble(name, "ProgressDeadlineExceeded", text, Healing.NEVER))
    words = ""
    if updated < desired:
        words = f"{updated} of {desired} new pods are there"
    elif replicas > updated:
        words = old_pods(replicas - updated)
    elif available < updated:
        words = f"{available} of {updated} new pods are available"
        settles = _count(spec, "minReadySeconds")
        if settles and _count(status, "readyReplicas") >= updated:
            words += f", once they were ready for {settles} s (minReadySeconds)"
    ready = min(updated, _count(status, "readyReplicas"))
    old = max(0, replicas - updated)
    return Progress(not words and not spec.get("paused"), True, desired, updated, ready, old, words, tuple(troubles))


def _stateful_set(workload: Mapping[str, Any], status: Mapping[str, Any]) -> Progress:
    spec = workload.get("spec") or {}
    strategy = spec.get("updateStrategy") or {}
    desired, ready = _count(spec, "replicas", 1), _count(status, "readyReplicas")
    updated = _count(status, "updatedReplicas")
    partition = _count(strategy.get("rollingUpdate") or {}, "partition")
    is_rolling = strategy.get("type", "RollingUpdate") == "RollingUpdate"
    same = status.get("updateRevision") == status.get("currentRevision")
    goal = max(0, desired - partition)
    words = ""
    if ready < desired:
        words = f"{ready} of {desired} pods are ready"
    elif is_rolling and updated < goal and not same:
        words = f"{updated} of {goal} pods are updated"
    elif is_rolling and not partition and not same:
        words = "the last pod is being updated"
    elif _count(status, "availableReplicas", ready) < desired:
        words = f"{_count(status, 'availableReplicas')} of {desired} pods are available"
    return Progress(not words, True, desired, updated, ready, 0 if same else max(0, desired - updated), words)


def _daemon_set(workload: Mapping[str, Any], status: Mapping[str, Any]) -> Progress:
    strategy = ((workload.get("spec") or {}).get("updateStrategy") or {}).get("type", "RollingUpdate")
    desired, updated = _count(status, "desiredNumberScheduled"), _count(status, "updatedNumberScheduled")
    ready, available = _count(status, "numberReady"), _count(status, "numberAvailable")
    words = ""
    if strategy == "RollingUpdate" and updated < desired:
        words = f"{updated} of {desired} pods are updated"
    elif available < desired:
        words = f"{available} of {desired} pods are available"
    return Progress(not words, True, desired, updated, ready, max(0, desired - updated), words)


def _job(workload: Mapping[str, Any], status: Mapping[str, Any]) -> Progress:
    spec, name = workload.get("spec") or {}, str((workload.get("metadata") or {}).get("name", ""))
    wanted = _count(spec, "completions", 1)
    succeeded, active = _count(status, "succeeded"), _count(status, "active")
    conditions = {item.get("type"): item for item in status.get("conditions") or () if item.get("status") == "True"}
    if "Complete" in conditions:
        return Progress(True, True, wanted, succeeded, succeeded)
    words = f"{succeeded} of {wanted} have completed"
    failed = conditions.get("Failed")
    if failed:
        text = words_of(failed.get("message"))
        trouble = Trouble(name, sanitize(str(failed.get("reason") or "Failed")), text, Healing.NEVER)
        return Progress(False, True, wanted, succeeded, active, words=words, troubles=(trouble,))
    if spec.get("suspend"):
        trouble = Trouble(name, "Suspended", "it is suspended, so it never runs", Healing.NEVER)
        return Progress(False, True, wanted, succeeded, active, words=words, troubles=(trouble,))
    return Progress(False, True, wanted, succeeded, active, words=words)


def _count(table: Mapping[str, Any], key: str, default: int = 0) -> int:
    value = table.get(key)
    return default if value is None else int(value)


Key = tuple[str, str, str]  # kind in lower case, namespace, name
_REVISION = "deployment.kubernetes.io/revision"
OLD: Final = 30.0  # seconds: a pod that is older when it is seen first was not made by the change that is waited for
_ORDER = list(Healing)


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """One workload at a moment. `waits` says what it waits for, in words; "" when it is rolled out."""

    kind: str
    namespace: str
    name: str
    done: bool
    desired: int = 0
    updated: int = 0
    ready: int = 0
    old: int = 0
    waits: str = ""
    troubles: tuple[Trouble, ...] = ()

    @property
    def title(self) -> str:
        """Kind and name, as kubectl writes them."""
        return f"{self.kind}/{self.name}"


@dataclass(slots=True)
class RolloutView:
    """The objects that matter to the rollout of `workloads`; not thread-safe.

    Only pods of a workload's new revision are judged: an old one may crash, the new one may be what repairs it.
    `after_change`: the caller changed something just now, so what went wrong before the view saw an object first,
    restarts and a deadline, is not of this rollout: an unchanged workload may have suffered from what another one's
    change repairs. Without a change of the caller's own it is what is to be told.
    """

    workloads: tuple[Key, ...]
    after_change: bool = True
    _objects: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    _before: dict[str, str | int] = field(default_factory=dict)  # by uid: an old deadline, or an old pod's restarts
    _events: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)  # by the involved object's uid

    def put(self, kind: str, item: Mapping[str, Any]) -> None:
        """Take an object that was listed, added or changed; `kind` is in lower case."""
        if kind == "event":
            about = str((item.get("involvedObject") or {}).get("uid", ""))
            self._events.setdefault(about, {})[_key(kind, item)[2]] = item
        else:
            self._objects[_key(kind, item)] = item
            if not self.after_change:
                return
            if kind == "deployment":
                self._before.setdefault(_uid(item), overdue(item))
            elif kind == "pod":
                self._before.setdefault(_uid(item), restarts_of(item) if _is_old(item) else 0)

    def remove(self, kind: str, item: Mapping[str, Any]) -> None:
        """Forget an object that was deleted. Events stay: they expire by themselves, and are still true."""
        self._objects.pop(_key(kind, item), None)

    def keep_only(self, kind: str, uids: Collection[str]) -> None:
        """Forget what a new list of the kind no longer has."""
        for key in [key for key, item in self._objects.items() if key[0] == kind and _uid(item) not in uids]:
            del self._objects[key]

    def get(self, key: Key) -> Mapping[str, Any] | None:
        """Return an object as it was told last; None where it is not there."""
        return self._objects.get(key)

    def states(self) -> tuple[WorkloadState, ...]:
        """Judge every workload as it is now."""
        return tuple(self._state(key) for key in self.workloads)

    def pods(self) -> tuple[PodStages, ...]:
        """Return the stages of the pods of all new revisions, oldest first."""
        found = [
            stages_of(pod, self._about(pod), f"{key[0]}/{key[2]}")
            for key in self.workloads
            if (workload := self._objects.get(key)) is not None
            for pod in self._new_pods(key[0], workload)
        ]
        return tuple(sorted(found, key=lambda pod: (pod.created, pod.name)))

    def is_leaving(self, namespace: str) -> bool:
        """Whether a pod of that namespace is on its way out: until it is gone, a quota counts it."""
        return any(key[0] == "pod" and key[1] == namespace and _is_leaving(item) for key, item in self._objects.items())

    def _state(self, key: Key) -> WorkloadState:
        kind, _, name = key
        workload = self._objects.get(key)
        if workload is None:
            return WorkloadState(*key, done=False, waits="it is not there")
        progress = progress_of(kind, workload, str(self._before.get(_uid(workload), "")))
        old = self._old_replicas(workload) if kind == "deployment" and progress.observed else 0
        counts = (progress.desired, progress.updated, progress.ready, max(progress.old, old))
        if progress.done and not old:
            return WorkloadState(*key, True, *counts)
        troubles = [*progress.troubles, *(self._troubles(kind, workload) if progress.observed else ())]
        troubles.sort(key=lambda trouble: _ORDER.index(trouble.healing))
        troubles = [_with_cause(trouble, troubles) for trouble in troubles]
        words = [progress.words or (old_pods(old) if old else "")]
        stopping = 0 if troubles else self._stopping(kind, workload)
        if stopping:
            words.append(old_pods(stopping, "stopping"))
        if troubles:
            worst = troubles[0]
            subject = "" if worst.subject == name else worst.subject
            if words[0] and counts[3] and subject:  # the words before are about old pods, and this is a new one
                words = [f"{words[0]}; the new {subject}"]
            else:
                words.append(subject)
            words.append(f"{worst.reason}, {worst.text}" if worst.text else worst.reason)
        return WorkloadState(*key, False, *counts, ": ".join(filter(None, words)), tuple(troubles))

    def _troubles(self, kind: str, workload: Mapping[str, Any]) -> list[Trouble]:
        found = [
            pod_trouble(pod, self._about(pod), int(self._before.get(_uid(pod), 0)))
            for pod in self._new_pods(kind, workload)
        ]
        return [*self._creation_troubles(kind, workload), *(trouble for trouble in found if trouble is not None)]

    def _creation_troubles(self, kind: str, workload: Mapping[str, Any]) -> list[Trouble]:
        owner = self._owner_of_pods(kind, workload)
        if owner is None:
            return []
        name = _key(kind, owner)[2]
        if kind == "deployment":  # its ReplicaSet's condition says it, and goes when it is over; an event stays
            conditions = (owner.get("status") or {}).get("conditions") or ()
            failures = [item for item in conditions if item.get("type") == "ReplicaFailure"]
            return [creation_trouble(name, item) for item in failures if item.get("status") == "True"]
        told = [item for item in self._about(owner) if item.get("reason") == "FailedCreate"]
        return [creation_trouble(name, told[-1])] if told and not self._new_pods(kind, workload) else []

    def _new_pods(self, kind: str, workload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        owner = self._owner_of_pods(kind, workload)
        if owner is None:
            return []
        found = [item for key, item in self._objects.items() if key[0] == "pod" and owner_uid(item) == _uid(owner)]
        return [pod for pod in found if not _is_leaving(pod) and _is_new(kind, workload, pod)]

    def _owner_of_pods(self, kind: str, workload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return a Deployment's new ReplicaSet, None while there is none; other workloads own their pods."""
        if kind != "deployment":
            return workload
        sets = self._replica_sets(workload)
        same = [item for item in sets if template_matches(item, workload)]
        if same:
            return min(same, key=lambda item: str((item.get("metadata") or {}).get("creationTimestamp")))
        # An API server that defaults more fields than the one that made the ReplicaSet makes the templates differ.
        wanted = _annotation(workload)
        return next((item for item in sets if wanted and _annotation(item) == wanted), None)

    def _old_replicas(self, deployment: Mapping[str, Any]) -> int:
        new = self._owner_of_pods("deployment", deployment)
        old = [item for item in self._replica_sets(deployment) if item is not new] if new is not None else []
        return sum(int((item.get("status") or {}).get("replicas") or 0) for item in old)

    def _stopping(self, kind: str, workload: Mapping[str, Any]) -> int:
        owners = {_uid(item) for item in self._replica_sets(workload)} if kind == "deployment" else {_uid(workload)}
        pods = [item for key, item in self._objects.items() if key[0] == "pod" and owner_uid(item) in owners]
        return sum(_is_leaving(pod) for pod in pods)

    def _replica_sets(self, deployment: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        uid = _uid(deployment)
        return [item for key, item in self._objects.items() if key[0] == "replicaset" and owner_uid(item) == uid]

    def _about(self, item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return list(self._events.get(_uid(item), {}).values())


def _with_cause(trouble: Trouble, every: Sequence[Trouble]) -> Trouble:
    """Add to a deadline that passed what a pod was held back by: the deadline alone says that, and not why."""
    if trouble.reason != "ProgressDeadlineExceeded":
        return trouble
    cause = next((item for item in every if item.subject != trouble.subject), None)
    if cause is None:
        return trouble
    said = f"{cause.reason}, {cause.text}" if cause.text else cause.reason
    return replace(trouble, text=f"{trouble.text}; {cause.subject}: {said}")


def owner_uid(item: Mapping[str, Any]) -> str:
    """Return the uid of the controller that owns an object; "" where there is none."""
    owners = (item.get("metadata") or {}).get("ownerReferences") or ()
    return next((str(owner.get("uid")) for owner in owners if owner.get("controller")), "")


def _is_new(kind: str, workload: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    labels = (pod.get("metadata") or {}).get("labels") or {}
    if kind == "statefulset":
        revision = (workload.get("status") or {}).get("updateRevision")
        return not revision or labels.get("controller-revision-hash") == revision
    if kind == "daemonset":
        # The only link that needs no ControllerRevisions; "deprecated" since 1.9, and still written (1.36).
        annotations = (workload.get("metadata") or {}).get("annotations") or {}
        generation = annotations.get("deprecated.daemonset.template.generation")
        return not generation or labels.get("pod-template-generation") == generation
    return True


def _is_old(pod: Mapping[str, Any]) -> bool:
    created = time_of((pod.get("metadata") or {}).get("creationTimestamp"))
    return created is not None and time.time() - created > OLD


def _annotation(item: Mapping[str, Any]) -> str:
    return str(((item.get("metadata") or {}).get("annotations") or {}).get(_REVISION, ""))


def _is_leaving(item: Mapping[str, Any]) -> bool:
    return bool((item.get("metadata") or {}).get("deletionTimestamp"))


def _uid(item: Mapping[str, Any]) -> str:
    return str((item.get("metadata") or {}).get("uid", ""))


def _key(kind: str, item: Mapping[str, Any]) -> Key:
    metadata = item.get("metadata") or {}
    return kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))
