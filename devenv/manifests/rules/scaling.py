"""Autoscaling and numbers of replicas."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Environment, Manifest, ObjectPath, Problem
from devenv.manifests.registry import ERROR, SERVED, rule
from devenv.manifests.rendering import Rendering, Workload, same_namespace

_WINDOW: ObjectPath = ("spec", "behavior", "scaleDown", "stabilizationWindowSeconds")
_DEFAULT_WINDOW = 300  # seconds; kube-controller-manager --horizontal-pod-autoscaler-downscale-stabilization


def _scalers(rendering: Rendering) -> list[Manifest]:
    return rendering.of("autoscaling", "HorizontalPodAutoscaler")


def _detailed(rendering: Rendering) -> list[Manifest]:
    """Return the autoscalers that can say how they scale; hpa-version tells of the others."""
    return [scaler for scaler in _scalers(rendering) if scaler.api_version != "autoscaling/v1"]


def _target(rendering: Rendering, scaler: Manifest) -> Workload | None:
    kind = access.text(scaler.data, "spec", "scaleTargetRef", "kind")
    name = access.text(scaler.data, "spec", "scaleTargetRef", "name")
    for workload in rendering.workloads:
        found = workload.manifest
        if (workload.kind, found.name) == (kind, name) and same_namespace(found.namespace, scaler.namespace):
            return workload
    return None


@rule(
    "hpa-version",
    source="issue: HPA autoscaling/v2",
    fix="apiVersion: autoscaling/v2.",
)
def hpa_version(rendering: Rendering) -> Iterator[Problem]:
    """autoscaling/v1 knows CPU alone and no behavior, so that what is not said is the controller's default."""
    for scaler in _scalers(rendering):
        if scaler.api_version == "autoscaling/v1":
            yield Problem(scaler, ("apiVersion",), "the autoscaler is of autoscaling/v1")


@rule(
    "hpa-target",
    source="kube-linter dangling-horizontalpodautoscaler",
    fix="Correct scaleTargetRef: kind and name of a workload of this rendering.",
    severity=ERROR,
)
def hpa_target(rendering: Rendering) -> Iterator[Problem]:
    """An autoscaler whose target is not there scales nothing, and only its status says so."""
    for scaler in _scalers(rendering):
        reference = access.mapping(scaler.data, "spec", "scaleTargetRef")
        builtin = access.text(reference, "apiVersion").partition("/")[0] in ("apps", "v1")
        if builtin and _target(rendering, scaler) is None:
            shown = f"{reference.get('kind')}/{reference.get('name')}"
            doubt = rendering.absence(access.text(reference, "kind"), access.text(reference, "name"))
            message = f"scales {shown}, which is not in this rendering"
            yield Problem(scaler, ("spec", "scaleTargetRef"), message, doubt=doubt)


@rule(
    "hpa-requests",
    source="issue: HPA without CPU request; Kubernetes: HPA algorithm details",
    fix="Give every container of the target a request for that resource.",
    severity=ERROR,
)
def hpa_requests(rendering: Rendering) -> Iterator[Problem]:
    """Utilization is a share of the request: one container without it, and the autoscaler does nothing at all."""
    for scaler in _scalers(rendering):
        workload = _target(rendering, scaler)
        wanted = {
            access.text(metric, "resource", "name")
            for _, metric in access.mappings(scaler.data, "spec", "metrics")
            if access.text(metric, "resource", "target", "type") == "Utilization"
        }
        if access.get(scaler.data, "spec", "targetCPUUtilizationPercentage") is not None:
            wanted.add("cpu")
        for container in workload.containers(main=True) if workload else ():
            requests = {**access.mapping(container.data, "resources", "limits")}  # a limit alone is the request too
            requests |= access.mapping(container.data, "resources", "requests")
            for resource in sorted(wanted - requests.keys()):
                message = f"HPA {scaler.name} aims at {resource} utilization, container {container.name} requests none"
                yield Problem(container.manifest, (*container.path, "resources", "requests"), message)


@rule(
    "hpa-range",
    source="Polaris hpaMaxAvailability",
    fix="Make maxReplicas larger than minReplicas, or remove the autoscaler.",
)
def hpa_range(rendering: Rendering) -> Iterator[Problem]:
    """An autoscaler whose maximum is its minimum cannot scale."""
    for scaler in _scalers(rendering):
        least, most = _range(scaler)
        if most is not None and most <= least:
            yield Problem(scaler, ("spec", "maxReplicas"), f"minReplicas is {least} and maxReplicas {most}")


@rule(
    "hpa-minimum",
    source="Polaris hpaMinAvailability",
    fix="Set minReplicas to 2 or more.",
    environments=SERVED,
)
def hpa_minimum(rendering: Rendering) -> Iterator[Problem]:
    """With a minimum of one, a quiet night leaves a single pod, and its node's reboot is an outage."""
    for scaler in _scalers(rendering):
        least, _ = _range(scaler)
        if least < 2:
            yield Problem(scaler, ("spec", "minReplicas"), f"may scale down to {least}")


@rule(
    "hpa-owns-replicas",
    source="issue: no replicas where an HPA owns them; Kubernetes: HPA, migrating Deployments",
    fix="Remove spec.replicas from the workload.",
    severity=ERROR,
)
def hpa_owns_replicas(rendering: Rendering) -> Iterator[Problem]:
    """Every apply sets stated replicas back, in the middle of the load that the autoscaler had grown for."""
    for workload in rendering.workloads:
        stated = access.get(workload.manifest.data, "spec", "replicas")
        scaler = rendering.autoscaler(workload)
        if stated is not None and scaler is not None:
            message = f"states replicas: {stated}, which HPA {scaler.name} owns"
            yield Problem(workload.manifest, ("spec", "replicas"), message)


@rule(
    "hpa-behavior",
    source="issue: HPA with explicit behavior",
    fix="State behavior with scaleUp and scaleDown.",
)
def hpa_behavior(rendering: Rendering) -> Iterator[Problem]:
    """How fast it grows and shrinks is a decision; left out, it is whatever the cluster's version does."""
    for scaler in _detailed(rendering):
        for direction in ("scaleUp", "scaleDown"):
            if not access.mapping(scaler.data, "spec", "behavior", direction):
                yield Problem(scaler, ("spec", "behavior"), f"says nothing about {direction}")


@rule(
    "hpa-window",
    source="issue: scale-down window >= 300 s in production",
    fix="behavior.scaleDown.stabilizationWindowSeconds: 300 or more.",
    environments=frozenset({Environment.PRODUCTION}),
)
def hpa_window(rendering: Rendering) -> Iterator[Problem]:
    """A short window scales down in every pause between two waves, and the next wave meets too few pods."""
    for scaler in _scalers(rendering):
        window = _window(scaler)
        if window < 300:
            yield Problem(scaler, _WINDOW, f"scales down after {window} s")


@rule(
    "hpa-window-test",
    source="issue: HPA scale-down window 60 s or less in dev, for testing",
    fix="behavior.scaleDown.stabilizationWindowSeconds: 60 or less in the development overlay.",
    environments=frozenset({Environment.DEVELOPMENT}),
)
def hpa_window_test(rendering: Rendering) -> Iterator[Problem]:
    """In development the way down has to be seen too, and a test does not wait five minutes for it."""
    for scaler in _scalers(rendering):
        window = _window(scaler)
        if window > 60:
            yield Problem(scaler, _WINDOW, f"scales down after {window} s")


@rule(
    "hpa-settings",
    source="issue: HPA for the frontend, CPU 70 %, memory 80 %",
    fix="Correct the metric, or [manifests.autoscaling] in devenv.toml if the team's agreement has changed.",
)
def hpa_settings(rendering: Rendering) -> Iterator[Problem]:
    """The team has agreed in devenv.toml on how full a pod may get before there are more."""
    for scaler in _detailed(rendering):
        found = {
            access.text(metric, "resource", "name"): access.whole(metric, "resource", "target", "averageUtilization")
            for _, metric in access.mappings(scaler.data, "spec", "metrics")
        }
        for resource, wanted in rendering.settings.autoscaling.items():
            if found.get(resource) != wanted:
                message = f"aims at {found.get(resource, 'no')} % {resource}, declared are {wanted:g} %"
                yield Problem(scaler, ("spec", "metrics"), message)


@rule(
    "replicas",
    source="issue: 2 replicas in staging, 3 in production; Polaris deploymentMissingReplicas",
    fix="Set replicas to 2 or more in the overlay.",
    environments=SERVED,
)
def replicas(rendering: Rendering) -> Iterator[Problem]:
    """One replica means that every drain, crash and rollout of its node is an outage."""
    for workload in rendering.workloads:
        if workload.kind == "Deployment" and rendering.autoscaler(workload) is None and workload.replicas < 2:
            yield Problem(workload.manifest, ("spec", "replicas"), f"has {workload.replicas} replica")


@rule(
    "single-instance",
    source="issue: components/postgres is a single instance, clearly not production's",
    fix="Use a store with replicas or a managed one in production.",
    environments=frozenset({Environment.PRODUCTION}),
)
def single_instance(rendering: Rendering) -> Iterator[Problem]:
    """A store with one instance is down whenever its node is, and has no copy of what it lost."""
    for workload in rendering.workloads:
        if workload.kind == "StatefulSet" and rendering.least_replicas(workload) < 2:
            yield Problem(workload.manifest, ("spec", "replicas"), "is a single instance")


def _range(scaler: Manifest) -> tuple[int, int | None]:
    least = access.whole(scaler.data, "spec", "minReplicas")
    return 1 if least is None else least, access.whole(scaler.data, "spec", "maxReplicas")


def _window(scaler: Manifest) -> int:
    stated = access.whole(scaler.data, *_WINDOW)
    return _DEFAULT_WINDOW if stated is None else stated
