"""Rolling updates and shutdown: whether a new version costs a request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Problem
from devenv.manifests.registry import ERROR, SERVED, rule
from devenv.manifests.rendering import Container, Rendering, Workload

_STRATEGY = ("spec", "strategy")
_DEFAULT_GRACE = 30  # seconds, k8s.io/api/core/v1: PodSpec.terminationGracePeriodSeconds
_SINGLE_NODE = {"ReadWriteOnce", "ReadWriteOncePod"}


def _deployments(rendering: Rendering) -> Iterator[Workload]:
    return (workload for workload in rendering.workloads if workload.kind == "Deployment")


def _none(value: object) -> bool:
    return value in (0, "0", "0%") and value is not False


@rule(
    "rollout-unavailable",
    source="issue: staging and production roll with maxUnavailable 0",
    fix="strategy: RollingUpdate with maxUnavailable: 0 and maxSurge: 1.",
    environments=SERVED,
)
def rollout_unavailable(rendering: Rendering) -> Iterator[Problem]:
    """A rollout that first takes a pod away serves with fewer, or with none, until the new one is ready."""
    for workload in _deployments(rendering):
        strategy = access.mapping(workload.manifest.data, *_STRATEGY)
        if access.text(strategy, "type") == "Recreate":
            yield Problem(workload.manifest, (*_STRATEGY, "type"), "Recreate stops every pod before a new one starts")
        elif not _none(access.get(strategy, "rollingUpdate", "maxUnavailable")):
            path = (*_STRATEGY, "rollingUpdate", "maxUnavailable")
            yield Problem(workload.manifest, path, "pods may be taken away before their successors are ready")


@rule(
    "rollout-possible",
    source="k8s.io/api/apps/v1, RollingUpdateDeployment: maxSurge and maxUnavailable cannot both be 0",
    fix="Set maxSurge to 1.",
    severity=ERROR,
)
def rollout_possible(rendering: Rendering) -> Iterator[Problem]:
    """A rollout that may neither add a pod nor take one away cannot begin; the API server refuses it."""
    for workload in _deployments(rendering):
        rolling = access.mapping(workload.manifest.data, *_STRATEGY, "rollingUpdate")
        if _none(rolling.get("maxSurge")) and _none(rolling.get("maxUnavailable")):
            yield Problem(workload.manifest, (*_STRATEGY, "rollingUpdate"), "maxSurge and maxUnavailable are both 0")


@rule(
    "rollout-exclusive-volume",
    source="issue: SQLite on the PVC with strategy Recreate; Kubernetes: persistent volumes, access modes",
    fix="Use strategy Recreate with one replica, or a store that several pods share.",
    severity=ERROR,
)
def rollout_exclusive_volume(rendering: Rendering) -> Iterator[Problem]:
    """A volume for one node, under two pods at once: the second waits for ever, or both write the same file."""
    for workload in _deployments(rendering):
        for index, volume in access.mappings(workload.pod, "volumes"):
            name = access.text(volume, "persistentVolumeClaim", "claimName")
            claim = rendering.find("", "PersistentVolumeClaim", workload.manifest.namespace, name) if name else None
            if claim is None or not set(map(str, access.sequence(claim.data, "spec", "accessModes"))) <= _SINGLE_NODE:
                continue
            recreated = access.text(workload.manifest.data, *_STRATEGY, "type") == "Recreate"
            if not recreated or workload.replicas > 1 or rendering.autoscaler(workload):
                message = f"the volume claim {name} is for one node, and two pods would use it at the same time"
                yield Problem(workload.manifest, (*workload.pod_path, "volumes", index), message)


@rule(
    "shutdown-prestop",
    source="issue: preStop sleep (native); Kubernetes: pod termination flow",
    fix="lifecycle: preStop: sleep: seconds: 5 (native since Kubernetes 1.30).",
)
def shutdown_prestop(rendering: Rendering) -> Iterator[Problem]:
    """Proxies hear of a removed pod a moment after it is told to stop: without a pause, their requests are refused."""
    for workload in _deployments(rendering):
        if id(workload.manifest) not in rendering.served:
            continue
        for container in workload.containers(main=True):
            if access.sequence(container.data, "ports") and not access.mapping(container.data, "lifecycle", "preStop"):
                message = f"container {container.name} takes requests and has no preStop pause"
                yield Problem(container.manifest, container.path, message)


@rule(
    "shutdown-grace",
    source="issue: terminationGracePeriod that fits the preStop sleep; Kubernetes: container lifecycle hooks",
    fix="Set terminationGracePeriodSeconds well above the sleep and the program's own shutdown time.",
    severity=ERROR,
)
def shutdown_grace(rendering: Rendering) -> Iterator[Problem]:
    """The grace period counts from before preStop: a sleep as long as it leaves the process no time to end."""
    for workload in rendering.workloads:
        grace = access.whole(workload.pod, "terminationGracePeriodSeconds")
        grace = _DEFAULT_GRACE if grace is None else grace
        for container in workload.containers():
            pause = _pause(container)
            if pause and pause >= grace:
                message = (
                    f"container {container.name} sleeps {pause:g} s before it stops, and is killed after {grace} s"
                )
                yield Problem(container.manifest, (*workload.pod_path, "terminationGracePeriodSeconds"), message)


def _pause(container: Container) -> float:
    hook = access.mapping(container.data, "lifecycle", "preStop")
    seconds = access.whole(hook, "sleep", "seconds")
    if seconds is not None:
        return seconds
    words = " ".join(word for word in access.sequence(hook, "exec", "command") if isinstance(word, str))
    found = re.search(r"\bsleep\s+(\d{1,6})\b", words)
    return int(found[1]) if found else 0
