"""What is known of some workloads while they roll out: objects go in as the watches tell them, words come out."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from devenv.backends.kube.pod import Pod, read_pod
from devenv.backends.kube.pod_start import Healing, PodStages, Trouble, creation_trouble, pod_trouble, stages_of
from devenv.backends.kube.workload import Workload, old_pods, progress_of, read_workload

Key = tuple[str, str, str]  # kind in lower case, namespace, name
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
    _objects: dict[Key, Workload] = field(default_factory=dict)  # ReplicaSets too
    _pods: dict[Key, Pod] = field(default_factory=dict)
    _before: dict[str, str | int] = field(default_factory=dict)  # by uid: an old deadline, or an old pod's restarts
    _events: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)  # by the involved object's uid

    def put(self, kind: str, item: Mapping[str, Any]) -> None:
        """Take an object that was listed, added or changed; `kind` is in lower case."""
        if kind == "event":
            about = str((item.get("involvedObject") or {}).get("uid", ""))
            self._events.setdefault(about, {})[_key(kind, item)[2]] = item
        elif kind == "pod":
            pod = self._pods[_key(kind, item)] = read_pod(item)
            if self.after_change:
                is_old = pod.created is not None and time.time() - pod.created > OLD
                restarts = max((one.restarts for one in pod.containers), default=0)
                self._before.setdefault(pod.uid, restarts if is_old else 0)
        else:
            workload = self._objects[_key(kind, item)] = read_workload(kind, item)
            if self.after_change and kind == "deployment":
                self._before.setdefault(workload.uid, workload.overdue)

    def remove(self, kind: str, item: Mapping[str, Any]) -> None:
        """Forget an object that was deleted. Events stay: they expire by themselves, and are still true."""
        (self._pods if kind == "pod" else self._objects).pop(_key(kind, item), None)

    def keep_only(self, kind: str, uids: Collection[str]) -> None:
        """Forget what a new list of the kind no longer has."""
        if kind == "pod":
            self._pods = {key: pod for key, pod in self._pods.items() if pod.uid in uids}
        else:
            self._objects = {key: one for key, one in self._objects.items() if key[0] != kind or one.uid in uids}

    def get(self, key: Key) -> Mapping[str, Any] | None:
        """Return a workload's object as it was told last; None where it is not there."""
        workload = self._objects.get(key)
        return workload.raw if workload is not None else None

    def states(self) -> tuple[WorkloadState, ...]:
        """Judge every workload as it is now."""
        return tuple(self._state(key) for key in self.workloads)

    def pods(self) -> tuple[PodStages, ...]:
        """Return the stages of the pods of all new revisions, oldest first."""
        stages = [
            stages_of(pod, self._about(pod), f"{key[0]}/{key[2]}")
            for key in self.workloads
            if (workload := self._objects.get(key)) is not None
            for pod in self._new_pods(workload)
        ]
        return tuple(sorted(stages, key=lambda pod: (pod.created, pod.name)))

    def is_leaving(self, namespace: str) -> bool:
        """Whether a pod of that namespace is on its way out: until it is gone, a quota counts it."""
        return any(pod.is_leaving for key, pod in self._pods.items() if key[1] == namespace)

    def _state(self, key: Key) -> WorkloadState:
        kind, _, name = key
        workload = self._objects.get(key)
        if workload is None:
            return WorkloadState(*key, done=False, waits="it is not there")
        progress = progress_of(workload, str(self._before.get(workload.uid, "")))
        old = self._old_replicas(workload) if kind == "deployment" and progress.observed else 0
        counts = (progress.desired, progress.updated, progress.ready, max(progress.old, old))
        if progress.done and not old:
            return WorkloadState(*key, True, *counts)
        troubles = [*progress.troubles, *(self._troubles(workload) if progress.observed else ())]
        troubles.sort(key=lambda trouble: _ORDER.index(trouble.healing))
        troubles = [_with_cause(trouble, troubles) for trouble in troubles]
        words = [progress.words or (old_pods(old) if old else "")]
        stopping = 0 if troubles else self._stopping(workload)
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

    def _troubles(self, workload: Workload) -> list[Trouble]:
        pods = self._new_pods(workload)
        troubles = [pod_trouble(pod, self._about(pod), int(self._before.get(pod.uid, 0))) for pod in pods]
        return [*self._creation_troubles(workload, pods), *(trouble for trouble in troubles if trouble is not None)]

    def _creation_troubles(self, workload: Workload, pods: Sequence[Pod]) -> list[Trouble]:
        owner = self._owner_of_pods(workload)
        if owner is None:
            return []
        if (
            workload.kind == "deployment"
        ):  # its ReplicaSet's condition says it, and goes when it is over; an event stays
            failure = owner.replica_failure
            return [creation_trouble(owner.name, failure)] if failure is not None else []
        events = [item for item in self._about(owner) if item.get("reason") == "FailedCreate"]
        return [creation_trouble(owner.name, events[-1])] if events and not pods else []

    def _new_pods(self, workload: Workload) -> list[Pod]:
        owner = self._owner_of_pods(workload)
        if owner is None:
            return []
        owned = [pod for pod in self._pods.values() if pod.owner[2] == owner.uid]
        return [pod for pod in owned if not pod.is_leaving and workload.is_new(pod)]

    def _owner_of_pods(self, workload: Workload) -> Workload | None:
        """Return a Deployment's new ReplicaSet, None while there is none; other workloads own their pods."""
        if workload.kind != "deployment":
            return workload
        sets = self._replica_sets(workload)
        same = [item for item in sets if item.template == workload.template]
        if same:
            return min(same, key=lambda item: str(item.meta.get("creationTimestamp")))
        # An API server that defaults more fields than the one that made the ReplicaSet makes the templates differ.
        return next((item for item in sets if workload.revision and item.revision == workload.revision), None)

    def _old_replicas(self, deployment: Workload) -> int:
        new = self._owner_of_pods(deployment)
        return sum(item.replicas for item in self._replica_sets(deployment) if item is not new) if new else 0

    def _stopping(self, workload: Workload) -> int:
        owners = [workload] if workload.kind != "deployment" else self._replica_sets(workload)
        uids = {item.uid for item in owners}
        return sum(pod.is_leaving for pod in self._pods.values() if pod.owner[2] in uids)

    def _replica_sets(self, deployment: Workload) -> list[Workload]:
        items = self._objects.items()
        return [item for key, item in items if key[0] == "replicaset" and item.owner[2] == deployment.uid]

    def _about(self, item: Pod | Workload) -> list[Mapping[str, Any]]:
        return list(self._events.get(item.uid, {}).values())


def _with_cause(trouble: Trouble, every: Sequence[Trouble]) -> Trouble:
    """Add to a deadline that passed what a pod was held back by: the deadline alone says that, and not why."""
    if trouble.reason != "ProgressDeadlineExceeded":
        return trouble
    cause = next((item for item in every if item.subject != trouble.subject), None)
    if cause is None:
        return trouble
    said = f"{cause.reason}, {cause.text}" if cause.text else cause.reason
    return replace(trouble, text=f"{trouble.text}; {cause.subject}: {said}")


def _key(kind: str, item: Mapping[str, Any]) -> Key:
    metadata = item.get("metadata") or {}
    return kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))
