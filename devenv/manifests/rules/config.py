"""Environment and configuration of containers."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import ObjectPath, Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering, Workload

_ALWAYS_THERE = "kube-root-ca.crt"  # the control plane puts it into every namespace


def config_references(workload: Workload) -> Iterator[tuple[ObjectPath, dict[str, object], str, str]]:
    """Yield each reference of a workload to a ConfigMap: path, reference, name and key (empty: all of it)."""
    for container in workload.containers():
        for index, item in access.mappings(container.data, "envFrom"):
            reference = access.mapping(item, "configMapRef")
            if reference:
                yield (*container.path, "envFrom", index, "configMapRef"), reference, access.text(reference, "name"), ""
        for index, item in access.mappings(container.data, "env"):
            reference = access.mapping(item, "valueFrom", "configMapKeyRef")
            if reference:
                path = (*container.path, "env", index, "valueFrom", "configMapKeyRef")
                yield path, reference, access.text(reference, "name"), access.text(reference, "key")
    for index, volume in access.mappings(workload.pod, "volumes"):
        base = (*workload.pod_path, "volumes", index)
        places = [((*base, "configMap"), access.mapping(volume, "configMap"))]
        for place, source in access.mappings(volume, "projected", "sources"):
            places.append(((*base, "projected", "sources", place, "configMap"), access.mapping(source, "configMap")))
        for path, reference in places:
            if reference:
                yield path, reference, access.text(reference, "name"), ""


@rule(
    "env-duplicate",
    source="issue: duplicated env; kube-linter duplicate-env-var",
    fix="Remove one of the two.",
    severity=ERROR,
)
def env_duplicate(rendering: Rendering) -> Iterator[Problem]:
    """Of two variables with one name, the last one counts, and the first one is what people read."""
    for container in rendering.containers:
        seen: set[str] = set()
        for index, item in access.mappings(container.data, "env"):
            name = access.text(item, "name")
            if name in seen:
                message = f"container {container.name} sets {name} twice"
                yield Problem(container.manifest, (*container.path, "env", index, "name"), message)
            seen.add(name)


@rule(
    "config-exists",
    source="Kubernetes: ConfigMaps; a pod whose ConfigMap is missing does not start",
    fix="Add the ConfigMap (by configMapGenerator), or correct the name or the key.",
    severity=ERROR,
)
def config_exists(rendering: Rendering) -> Iterator[Problem]:
    """A container whose ConfigMap or key does not exist waits in CreateContainerConfigError."""
    for workload in rendering.workloads:
        for path, reference, name, key in config_references(workload):
            if reference.get("optional") is True or name == _ALWAYS_THERE:
                continue
            found = rendering.find("", "ConfigMap", workload.manifest.namespace, name)
            if found is None:
                message, doubt = f"ConfigMap {name} is not in this rendering", rendering.absence("ConfigMap", name)
                yield Problem(workload.manifest, (*path, "name"), message, doubt=doubt)
            elif key and key not in access.mapping(found.data, "data") | access.mapping(found.data, "binaryData"):
                yield Problem(
                    workload.manifest, (*path, "key"), f"ConfigMap {name} has no key {key}", doubt=rendering.part
                )


@rule(
    "config-generated",
    source="issue: ConfigMaps by generator; kustomize: configMapGenerator",
    fix="Move it into configMapGenerator: its name then ends in a hash of its content.",
)
def config_generated(rendering: Rendering) -> Iterator[Problem]:
    """A ConfigMap that changes under the same name changes nothing in running pods, until they happen to restart."""
    told: set[int] = set()
    for workload in rendering.workloads:
        for _, _, name, _ in config_references(workload):
            found = rendering.find("", "ConfigMap", workload.manifest.namespace, name)
            if found is None or id(found) in told or access.get(found.data, "immutable") is True:
                continue
            told.add(id(found))
            if rendering.provenance.generated(found) is None:
                yield Problem(found, ("data",), f"{workload.manifest.title} uses it, and no generator makes it")
