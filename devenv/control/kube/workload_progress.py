"""How far a workload's rollout is by its own status: the rules of `kubectl rollout status`, and a Job's end.

Source: staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go in kubernetes/kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devenv.control.kube.pod_trouble import Healing, Trouble, words_of
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
