"""Drains and lost nodes: budgets that protect without blocking, pods that do not share one node, priority."""

from __future__ import annotations

import math
from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Manifest, Problem
from devenv.manifests.registry import ERROR, SERVED, rule
from devenv.manifests.rendering import Rendering, Workload

_REPLICATED = ("Deployment", "StatefulSet")


def _budgets(rendering: Rendering) -> list[Manifest]:
    return rendering.of("policy", "PodDisruptionBudget")


def _covered(rendering: Rendering, budget: Manifest) -> list[Workload]:
    return rendering.selected(access.get(budget.data, "spec", "selector"), budget.namespace)


def _replicated(rendering: Rendering) -> Iterator[Workload]:
    return (
        workload
        for workload in rendering.workloads
        if workload.kind in _REPLICATED and rendering.least_replicas(workload) > 1
    )


@rule(
    "pdb-missing",
    source="issue: PDBs; Polaris missingPodDisruptionBudget",
    fix="Add a PodDisruptionBudget with maxUnavailable: 1 that selects its pods.",
    environments=SERVED,
)
def pdb_missing(rendering: Rendering) -> Iterator[Problem]:
    """Without a budget, one drain may take every replica at once."""
    covered = {id(work.manifest) for budget in _budgets(rendering) for work in _covered(rendering, budget)}
    for workload in _replicated(rendering):
        if id(workload.manifest) not in covered:
            yield Problem(workload.manifest, ("spec",), "no PodDisruptionBudget selects its pods")


@rule(
    "pdb-drain",
    source="issue: PDBs that never block a drain for ever; kube-linter pdb-max-unavailable, pdb-min-available; "
    "Polaris pdbDisruptionsIsZero, pdbMinAvailableGreaterThanHPAMinReplicas",
    fix="Use maxUnavailable: 1; it also holds when the number of replicas changes.",
    severity=ERROR,
)
def pdb_drain(rendering: Rendering) -> Iterator[Problem]:
    """A budget that allows no eviction blocks every drain, and with it every upgrade of the nodes, for ever."""
    for budget in _budgets(rendering):
        most, least = access.get(budget.data, "spec", "maxUnavailable"), access.get(budget.data, "spec", "minAvailable")
        if most in (0, "0", "0%") and most is not False:
            yield Problem(budget, ("spec", "maxUnavailable"), "allows no eviction at all")
        elif least == "100%":
            yield Problem(budget, ("spec", "minAvailable"), "allows no eviction at all")
        for workload in _covered(rendering, budget) if least is not None and least != "100%" else ():
            replicas = rendering.least_replicas(workload)
            needed = _amount(least, replicas)
            if needed is not None and needed >= replicas:
                message = (
                    f"needs {least} of {workload.manifest.title}, which may have {replicas}: no eviction is allowed"
                )
                yield Problem(budget, ("spec", "minAvailable"), message)


@rule(
    "pdb-unhealthy",
    source="kube-linter pdb-unhealthy-pod-eviction-policy",
    fix="unhealthyPodEvictionPolicy: AlwaysAllow.",
)
def pdb_unhealthy(rendering: Rendering) -> Iterator[Problem]:
    """By default a pod that is not healthy may not be evicted: a broken deployment then blocks a drain for ever."""
    for budget in _budgets(rendering):
        if access.text(budget.data, "spec", "unhealthyPodEvictionPolicy") != "AlwaysAllow":
            message = "unhealthy pods may block a drain"
            yield Problem(budget, ("spec", "unhealthyPodEvictionPolicy"), message)


@rule(
    "pdb-selector",
    source="Kubernetes: PodDisruptionBudget, one budget a pod",
    fix="Select the pods of exactly one workload.",
    severity=ERROR,
)
def pdb_selector(rendering: Rendering) -> Iterator[Problem]:
    """A budget for no pods protects nothing; two budgets for one pod make every eviction of it fail."""
    seen: dict[int, Manifest] = {}
    for budget in _budgets(rendering):
        covered = _covered(rendering, budget)
        if not covered:
            yield Problem(
                budget, ("spec", "selector"), "selects no pods of this rendering", doubt=rendering.absence("")
            )
        for workload in covered:
            first = seen.setdefault(id(workload.manifest), budget)
            if first is not budget:
                message = f"selects the pods of {workload.manifest.title}, and so does {first.title}"
                yield Problem(budget, ("spec", "selector"), message)


@rule(
    "spread-missing",
    source="issue: topology spread; kube-linter no-anti-affinity; Polaris topologySpreadConstraint",
    fix="Add topologySpreadConstraints over kubernetes.io/hostname and topology.kubernetes.io/zone.",
    environments=SERVED,
)
def spread_missing(rendering: Rendering) -> Iterator[Problem]:
    """Replicas that may all be placed on one node are lost together with it."""
    for workload in _replicated(rendering):
        affinity = access.mapping(workload.pod, "affinity", "podAntiAffinity")
        if not access.sequence(workload.pod, "topologySpreadConstraints") and not affinity:
            yield Problem(workload.manifest, workload.pod_path, "nothing spreads its pods over nodes")


@rule(
    "spread-selector",
    source="Kubernetes: pod topology spread constraints, labelSelector",
    fix="Let labelSelector match the pod template's own labels.",
    severity=ERROR,
)
def spread_selector(rendering: Rendering) -> Iterator[Problem]:
    """A constraint that does not select the workload's own pods counts others, and spreads nothing."""
    for workload in rendering.workloads:
        for index, constraint in access.mappings(workload.pod, "topologySpreadConstraints"):
            if not access.labels_match(access.get(constraint, "labelSelector"), workload.labels):
                path = (*workload.pod_path, "topologySpreadConstraints", index, "labelSelector")
                yield Problem(workload.manifest, path, "does not select the pods that it is meant to spread")


@rule(
    "priority-missing",
    source="issue: priority; Polaris priorityClassNotSet",
    fix="Set priorityClassName.",
    environments=SERVED,
)
def priority_missing(rendering: Rendering) -> Iterator[Problem]:
    """Without a priority, pods that users wait for are evicted as soon as a batch job is."""
    for workload in rendering.workloads:
        if workload.long_running and not access.text(workload.pod, "priorityClassName"):
            yield Problem(workload.manifest, workload.pod_path, "has no priorityClassName")


@rule(
    "priority-class",
    source="Kubernetes: pod priority; a pod of an unknown class is rejected",
    fix="Add the PriorityClass, or use one that every cluster has (system-cluster-critical is not for applications).",
    severity=ERROR,
)
def priority_class(rendering: Rendering) -> Iterator[Problem]:
    """A pod whose priority class does not exist is rejected; the Deployment then has no pods and says so only there."""
    known = {manifest.name for manifest in rendering.of("scheduling.k8s.io", "PriorityClass")}
    for workload in rendering.workloads:
        name = access.text(workload.pod, "priorityClassName")
        if name and name not in known and not name.startswith("system-"):
            message = f"the priority class {name} is not in this rendering"
            doubt = rendering.absence("PriorityClass", name)
            yield Problem(workload.manifest, (*workload.pod_path, "priorityClassName"), message, doubt=doubt)


def _amount(value: object, replicas: int) -> int | None:
    """Resolve minAvailable; per cents round up, as the disruption controller does."""
    if isinstance(value, str) and value.removesuffix("%").isdigit() and value.endswith("%"):
        return math.ceil(int(value[:-1]) * replicas / 100)
    return value if isinstance(value, int) else None
