"""Volumes: that what is mounted is there."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering


@rule(
    "volume-claim",
    source="Kubernetes: persistent volumes, claims as volumes",
    fix="Add the PersistentVolumeClaim, or correct claimName.",
    severity=ERROR,
)
def volume_claim(rendering: Rendering) -> Iterator[Problem]:
    """A pod whose claim does not exist stays Pending for ever."""
    for workload in rendering.workloads:
        for index, volume in access.mappings(workload.pod, "volumes"):
            name = access.text(volume, "persistentVolumeClaim", "claimName")
            namespace = workload.manifest.namespace
            if access.text(volume, "name") in workload.claim_templates:
                continue  # the controller puts each pod's own claim in its place
            if name and rendering.find("", "PersistentVolumeClaim", namespace, name) is None:
                path = (*workload.pod_path, "volumes", index, "persistentVolumeClaim", "claimName")
                doubt = rendering.absence("PersistentVolumeClaim", name)
                yield Problem(workload.manifest, path, f"the claim {name} is not in this rendering", doubt=doubt)


@rule(
    "volume-mount",
    source="Kubernetes: volumes; the API server refuses a mount of a volume that the pod does not have",
    fix="Add the volume to the pod, or correct the mount's name.",
    severity=ERROR,
)
def volume_mount(rendering: Rendering) -> Iterator[Problem]:
    """A mount without its volume is refused by the API server."""
    for container in rendering.containers:
        workload = container.workload
        names = {access.text(volume, "name") for _, volume in access.mappings(workload.pod, "volumes")}
        names |= workload.claim_templates
        for index, mount in access.mappings(container.data, "volumeMounts"):
            if access.text(mount, "name") not in names:
                path = (*container.path, "volumeMounts", index, "name")
                message = f"container {container.name} mounts {mount.get('name')}, which the pod does not have"
                yield Problem(container.manifest, path, message, doubt=rendering.part)


@rule(
    "stateful-service",
    source="Kubernetes: StatefulSet, stable network identity",
    fix="Add a headless Service (clusterIP: None) of that name that selects its pods.",
    severity=ERROR,
)
def stateful_service(rendering: Rendering) -> Iterator[Problem]:
    """The pods of a StatefulSet have names in DNS only through a headless Service of its serviceName."""
    for workload in rendering.workloads:
        if workload.kind != "StatefulSet":
            continue
        name = access.text(workload.manifest.data, "spec", "serviceName")
        service = rendering.find("", "Service", workload.manifest.namespace, name)
        headless = service is not None and access.text(service.data, "spec", "clusterIP") == "None"
        if name and not headless:
            message = f"serviceName {name} is no headless Service of this rendering"
            doubt = "its pods work, without names in DNS" if service else rendering.absence("Service", name)
            yield Problem(workload.manifest, ("spec", "serviceName"), message, doubt=doubt)
