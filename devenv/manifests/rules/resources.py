"""How much runs, and what is left of it: requests and limits, autoscaling, numbers of pods, drains and lost nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from devenv.backends.kube.fields import labels_match
from devenv.manifests.access import get, mapping, mappings, quantity, sequence, text, whole
from devenv.manifests.model import Environment, Manifest, ObjectPath, Problem
from devenv.manifests.registry import SERVED, containers, error, warning, workloads
from devenv.manifests.rendering import Container, Rendering, Workload, same_namespace

_WINDOW: ObjectPath = ("spec", "behavior", "scaleDown", "stabilizationWindowSeconds")
_UNHEALTHY = "unhealthyPodEvictionPolicy"
_DEFAULT_WINDOW = 300  # seconds; kube-controller-manager --horizontal-pod-autoscaler-downscale-stabilization
_PRODUCTION = frozenset({Environment.PRODUCTION})

# Requests and limits.


def _lacks(kind: str, resource: str) -> Callable[[Container], str | bool]:
    message = f"has no {resource} {kind.removesuffix('s')}"
    return lambda container: quantity(get(container.data, "resources", kind, resource)) is None and message


for _kind, _resource, _why in (
    ("requests", "cpu", "Without a CPU request the scheduler packs the node until everybody on it is slow."),
    ("requests", "memory", "Without a memory request the pod is the first to be evicted when the node runs short."),
    ("limits", "cpu", "Without a CPU limit one busy pod takes the time that its neighbours were promised."),
    ("limits", "memory", "Without a memory limit a leak takes the node down instead of the one container."),
):
    warning.each(
        f"{_resource}-{_kind.removesuffix('s')}",
        _why,
        containers,
        _lacks(_kind, _resource),
        at=("resources", _kind),
        source=f"issue: requests and limits on everything; kube-linter unset-{_resource}-requirements; "
        f"Polaris {_resource}{_kind.capitalize()}Missing",
        fix=f"resources: {_kind}: {_resource}, from what it uses under load.",
    )


@error(
    "resource-order",
    source="Kubernetes: resource management; the API server refuses a request above its limit",
    fix="Raise the limit or lower the request.",
)
def resource_order(rendering: Rendering) -> Iterator[Problem]:
    """A request above its limit is refused by the API server; the rollout stops half-way."""
    for container in rendering.containers:
        limits = mapping(container.data, "resources", "limits")
        for resource, amount in mapping(container.data, "resources", "requests").items():
            requested, most = quantity(amount), quantity(limits.get(resource))
            if requested is not None and most is not None and requested > most:
                message = f"requests {resource} {amount}, its limit is {limits[resource]}"
                yield container.problem(message, "resources", "requests", resource)


# Autoscaling.


def _scalers(rendering: Rendering) -> list[Manifest]:
    return rendering.of("autoscaling", "HorizontalPodAutoscaler")


def _detailed(rendering: Rendering) -> list[Manifest]:
    """Return the autoscalers that can say how they scale; hpa-version tells of the others."""
    return [scaler for scaler in _scalers(rendering) if scaler.api_version != "autoscaling/v1"]


def _target(rendering: Rendering, scaler: Manifest) -> Workload | None:
    name = text(scaler.data, "spec", "scaleTargetRef", "name")
    for workload in rendering.workloads_of(text(scaler.data, "spec", "scaleTargetRef", "kind")):
        target = workload.manifest
        if target.name == name and same_namespace(target.namespace, scaler.namespace):
            return workload
    return None


def _least(scaler: Manifest) -> int:
    least = whole(scaler.data, "spec", "minReplicas")
    return 1 if least is None else least


def _no_range(scaler: Manifest) -> str | bool:
    least, most = _least(scaler), whole(scaler.data, "spec", "maxReplicas")
    return most is not None and most <= least and f"minReplicas is {least} and maxReplicas {most}"


def _window(scaler: Manifest) -> int:
    stated = whole(scaler.data, *_WINDOW)
    return _DEFAULT_WINDOW if stated is None else stated


warning.each(
    "hpa-version",
    "autoscaling/v1 knows CPU alone and no behavior, so that what is not said is the controller's default.",
    _scalers,
    lambda scaler: scaler.api_version == "autoscaling/v1" and "the autoscaler is of autoscaling/v1",
    at=("apiVersion",),
    source="issue: HPA autoscaling/v2",
    fix="apiVersion: autoscaling/v2.",
)
warning.each(
    "hpa-range",
    "An autoscaler whose maximum is its minimum cannot scale.",
    _scalers,
    _no_range,
    at=("spec", "maxReplicas"),
    source="Polaris hpaMaxAvailability",
    fix="Make maxReplicas larger than minReplicas, or remove the autoscaler.",
)
warning.each(
    "hpa-minimum",
    "With a minimum of one, a quiet night leaves a single pod, and its node's reboot is an outage.",
    _scalers,
    lambda scaler: _least(scaler) < 2 and f"may scale down to {_least(scaler)}",
    at=("spec", "minReplicas"),
    source="Polaris hpaMinAvailability",
    fix="Set minReplicas to 2 or more.",
    environments=SERVED,
)
warning.each(
    "hpa-window",
    "A short window scales down in every pause between two waves, and the next wave meets too few pods.",
    _scalers,
    lambda scaler: _window(scaler) < 300 and f"scales down after {_window(scaler)} s",
    at=_WINDOW,
    source="issue: scale-down window >= 300 s in production",
    fix="behavior.scaleDown.stabilizationWindowSeconds: 300 or more.",
    environments=_PRODUCTION,
)
warning.each(
    "hpa-window-test",
    "In development the way down has to be seen too, and a test does not wait five minutes for it.",
    _scalers,
    lambda scaler: _window(scaler) > 60 and f"scales down after {_window(scaler)} s",
    at=_WINDOW,
    source="issue: HPA scale-down window 60 s or less in dev, for testing",
    fix="behavior.scaleDown.stabilizationWindowSeconds: 60 or less in the development overlay.",
    environments=frozenset({Environment.DEVELOPMENT}),
)


@error(
    "hpa-target",
    source="kube-linter dangling-horizontalpodautoscaler",
    fix="Correct scaleTargetRef: kind and name of a workload of this rendering.",
)
def hpa_target(rendering: Rendering) -> Iterator[Problem]:
    """An autoscaler whose target is not there scales nothing, and only its status says so."""
    for scaler in _scalers(rendering):
        reference = mapping(scaler.data, "spec", "scaleTargetRef")
        builtin = text(reference, "apiVersion").partition("/")[0] in ("apps", "v1")
        if builtin and _target(rendering, scaler) is None:
            message = f"scales {reference.get('kind')}/{reference.get('name')}, which is not in this rendering"
            elsewhere = rendering.absence(text(reference, "kind"), text(reference, "name"))
            yield scaler.problem(message, "spec", "scaleTargetRef", inconclusive=elsewhere)


@error(
    "hpa-requests",
    source="issue: HPA without CPU request; Kubernetes: HPA algorithm details",
    fix="Give every container of the target a request for that resource.",
)
def hpa_requests(rendering: Rendering) -> Iterator[Problem]:
    """Utilization is a share of the request: one container without it, and the autoscaler does nothing at all."""
    for scaler in _scalers(rendering):
        workload = _target(rendering, scaler)
        measured = {
            text(metric, "resource", "name")
            for _, metric in mappings(scaler.data, "spec", "metrics")
            if text(metric, "resource", "target", "type") == "Utilization"
        }
        if get(scaler.data, "spec", "targetCPUUtilizationPercentage") is not None:
            measured.add("cpu")
        for container in workload.containers(main=True) if workload else ():
            requests = mapping(container.data, "resources", "limits")  # a limit alone is the request too
            requests |= mapping(container.data, "resources", "requests")
            for resource in sorted(measured - requests.keys()):
                message = f"HPA {scaler.name} aims at {resource} utilization, container {container.name} requests none"
                yield Problem(container.manifest, (*container.path, "resources", "requests"), message)


@error(
    "hpa-owns-replicas",
    source="issue: no replicas where an HPA owns them; Kubernetes: HPA, migrating Deployments",
    fix="Remove spec.replicas from the workload.",
)
def hpa_owns_replicas(rendering: Rendering) -> Iterator[Problem]:
    """Every apply sets stated replicas back, in the middle of the load that the autoscaler had grown for."""
    for workload in rendering.workloads:
        stated = get(workload.manifest.data, "spec", "replicas")
        scaler = rendering.autoscaler(workload)
        if stated is not None and scaler is not None:
            message = f"states replicas: {stated}, which HPA {scaler.name} owns"
            yield workload.manifest.problem(message, "spec", "replicas")


@warning("hpa-behavior", source="issue: HPA with explicit behavior", fix="State behavior with scaleUp and scaleDown.")
def hpa_behavior(rendering: Rendering) -> Iterator[Problem]:
    """How fast it grows and shrinks is a decision; left out, it is whatever the cluster's version does."""
    for scaler in _detailed(rendering):
        for direction in ("scaleUp", "scaleDown"):
            if not mapping(scaler.data, "spec", "behavior", direction):
                yield scaler.problem(f"says nothing about {direction}", "spec", "behavior")


@warning(
    "hpa-settings",
    source="issue: HPA for the frontend, CPU 70 %, memory 80 %",
    fix="Correct the metric, or [manifests.autoscaling] in devenv.toml if the team's agreement has changed.",
)
def hpa_settings(rendering: Rendering) -> Iterator[Problem]:
    """The team has agreed in devenv.toml on how full a pod may get before there are more."""
    for scaler in _detailed(rendering):
        targets = {
            text(metric, "resource", "name"): whole(metric, "resource", "target", "averageUtilization")
            for _, metric in mappings(scaler.data, "spec", "metrics")
        }
        for resource, declared in rendering.settings.autoscaling.items():
            if targets.get(resource) != declared:
                message = f"aims at {targets.get(resource, 'no')} % {resource}, declared are {declared:g} %"
                yield scaler.problem(message, "spec", "metrics")


# Numbers of pods.


@warning(
    "replicas",
    source="issue: 2 replicas in staging, 3 in production; Polaris deploymentMissingReplicas",
    fix="Set replicas to 2 or more in the overlay.",
    environments=SERVED,
)
def replicas(rendering: Rendering) -> Iterator[Problem]:
    """One replica means that every drain, crash and rollout of its node is an outage."""
    for workload in rendering.workloads_of("Deployment"):
        if rendering.autoscaler(workload) is None and workload.replicas < 2:
            yield workload.manifest.problem(f"has {workload.replicas} replica", "spec", "replicas")


@warning(
    "single-instance",
    source="issue: components/postgres is a single instance, clearly not production's",
    fix="Use a store with replicas or a managed one in production.",
    environments=_PRODUCTION,
)
def single_instance(rendering: Rendering) -> Iterator[Problem]:
    """A store with one instance is down whenever its node is, and has no copy of what it lost."""
    for workload in rendering.workloads_of("StatefulSet"):
        if rendering.least_replicas(workload) < 2:
            yield workload.manifest.problem("is a single instance", "spec", "replicas")


# Drains and lost nodes: budgets that protect without blocking, pods that do not share one node, priority.


def _budgets(rendering: Rendering) -> list[Manifest]:
    return rendering.of("policy", "PodDisruptionBudget")


def _covered(rendering: Rendering, budget: Manifest) -> list[Workload]:
    return rendering.selected(get(budget.data, "spec", "selector"), budget.namespace)


def _replicated(rendering: Rendering) -> list[Workload]:
    scalable = rendering.workloads_of("Deployment", "StatefulSet")
    return [workload for workload in scalable if rendering.least_replicas(workload) > 1]


@warning(
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
            yield workload.manifest.problem("no PodDisruptionBudget selects its pods", "spec")


@error(
    "pdb-drain",
    source="issue: PDBs that never block a drain for ever; kube-linter pdb-max-unavailable, pdb-min-available; "
    "Polaris pdbDisruptionsIsZero, pdbMinAvailableGreaterThanHPAMinReplicas",
    fix="Use maxUnavailable: 1; it also holds when the number of replicas changes.",
)
def pdb_drain(rendering: Rendering) -> Iterator[Problem]:
    """A budget that allows no eviction blocks every drain, and with it every upgrade of the nodes, for ever."""
    for budget in _budgets(rendering):
        most, least = get(budget.data, "spec", "maxUnavailable"), get(budget.data, "spec", "minAvailable")
        if most in (0, "0", "0%") and most is not False:
            yield budget.problem("allows no eviction at all", "spec", "maxUnavailable")
        elif least == "100%":
            yield budget.problem("allows no eviction at all", "spec", "minAvailable")
        for workload in _covered(rendering, budget) if least is not None and least != "100%" else ():
            count = rendering.least_replicas(workload)
            needed = _amount(least, count)
            if needed is not None and needed >= count:
                message = f"needs {least} of {workload.manifest.title}, which may have {count}: no eviction is allowed"
                yield budget.problem(message, "spec", "minAvailable")


def _amount(value: object, count: int) -> int | None:
    """Resolve minAvailable; per cents round up, as the disruption controller does."""
    if isinstance(value, str) and value.removesuffix("%").isdigit() and value.endswith("%"):
        return math.ceil(int(value[:-1]) * count / 100)
    return value if isinstance(value, int) else None


warning.each(
    "pdb-unhealthy",
    "By default a pod that is not healthy may not be evicted: a broken deployment then blocks a drain for ever.",
    _budgets,
    lambda budget: text(budget.data, "spec", _UNHEALTHY) != "AlwaysAllow" and "unhealthy pods may block a drain",
    at=("spec", _UNHEALTHY),
    source="kube-linter pdb-unhealthy-pod-eviction-policy",
    fix="unhealthyPodEvictionPolicy: AlwaysAllow.",
)


@error(
    "pdb-selector",
    source="Kubernetes: PodDisruptionBudget, one budget a pod",
    fix="Select the pods of exactly one workload.",
)
def pdb_selector(rendering: Rendering) -> Iterator[Problem]:
    """A budget for no pods protects nothing; two budgets for one pod make every eviction of it fail."""
    seen: dict[int, Manifest] = {}
    for budget in _budgets(rendering):
        covered = _covered(rendering, budget)
        if not covered:
            yield rendering.selects_nothing(budget, "spec", "selector")
        for workload in covered:
            first = seen.setdefault(id(workload.manifest), budget)
            if first is not budget:
                message = f"selects the pods of {workload.manifest.title}, and so does {first.title}"
                yield budget.problem(message, "spec", "selector")


@warning(
    "spread-missing",
    source="issue: topology spread; kube-linter no-anti-affinity; Polaris topologySpreadConstraint",
    fix="Add topologySpreadConstraints over kubernetes.io/hostname and topology.kubernetes.io/zone.",
    environments=SERVED,
)
def spread_missing(rendering: Rendering) -> Iterator[Problem]:
    """Replicas that may all be placed on one node are lost together with it."""
    for workload in _replicated(rendering):
        affinity = mapping(workload.pod, "affinity", "podAntiAffinity")
        if not sequence(workload.pod, "topologySpreadConstraints") and not affinity:
            yield workload.problem("nothing spreads its pods over nodes")


@error(
    "spread-selector",
    source="Kubernetes: pod topology spread constraints, labelSelector",
    fix="Let labelSelector match the pod template's own labels.",
)
def spread_selector(rendering: Rendering) -> Iterator[Problem]:
    """A constraint that does not select the workload's own pods counts others, and spreads nothing."""
    field = "topologySpreadConstraints"
    for workload in rendering.workloads:
        for index, constraint in mappings(workload.pod, field):
            if not labels_match(get(constraint, "labelSelector"), workload.labels):
                yield workload.problem(
                    "does not select the pods that it is meant to spread", field, index, "labelSelector"
                )


warning.each(
    "priority-missing",
    "Without a priority, pods that users wait for are evicted as soon as a batch job is.",
    workloads,
    lambda work: work.long_running and not text(work.pod, "priorityClassName") and "has no priorityClassName",
    source="issue: priority; Polaris priorityClassNotSet",
    fix="Set priorityClassName.",
    environments=SERVED,
)


@error(
    "priority-class",
    source="Kubernetes: pod priority; a pod of an unknown class is rejected",
    fix="Add the PriorityClass, or use one that every cluster has (system-cluster-critical is not for applications).",
)
def priority_class(rendering: Rendering) -> Iterator[Problem]:
    """A pod whose priority class does not exist is rejected; the Deployment then has no pods and says so only there."""
    for workload in rendering.workloads:
        name = text(workload.pod, "priorityClassName")
        if name and not name.startswith("system-"):
            path, target = (*workload.pod_path, "priorityClassName"), ("scheduling.k8s.io", "PriorityClass", name)
            yield from rendering.dangling(workload.manifest, path, target, f"the priority class {name}", "")
