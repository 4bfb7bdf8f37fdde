"""What an overlay becomes so that a copy of it runs beside others: another namespace, and nothing that is shared."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from devenv.core.errors import ProjectError
from devenv.verify.kube.images import exchanged
from devenv.verify.kube.overlay import Object

WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod")
CLUSTER_WIDE: Final = ("Namespace", "PriorityClass")  # those that a copy has of its own


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What is different about the copy. `images`: names without tag and digest, and what is used instead.

    `priorities`: whether the copy has its own PriorityClasses; they are cluster-scoped, and not everybody may make one.
    """

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    priorities: bool = True


def make_copy(objects: Iterable[Object], plan: CopyPlan) -> list[Object]:
    """Return the objects of the copy; raises ProjectError with the reason for what cannot be there twice."""
    found = [copy.deepcopy(item) for item in objects]
    original = _namespace_of(found)
    classes = {
        item["metadata"]["name"]: f"{plan.namespace}-{item['metadata']['name']}"
        for item in found
        if item.get("kind") == "PriorityClass"
    }
    if not any(item.get("kind") == "Namespace" for item in found):
        found.insert(0, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": original}})
    kept = [item for item in found if plan.priorities or item.get("kind") != "PriorityClass"]
    for item in kept:
        _refuse(item, original)
        _move(item, original, plan, classes)
    return kept


def pod_specs(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pod specs that an object has: its own, or its template's."""
    spec = item.get("spec") or {}
    if item.get("kind") == "Pod":
        yield spec
    if item.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    if item.get("kind") in WORKLOADS and isinstance(spec.get("template"), dict):
        yield spec["template"].get("spec") or {}


def containers_of(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all containers of a pod spec."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _namespace_of(objects: list[Object]) -> str:
    names = {item["metadata"]["namespace"] for item in objects if (item.get("metadata") or {}).get("namespace")}
    names |= {item["metadata"]["name"] for item in objects if item.get("kind") == "Namespace"}
    if len(names) != 1:
        seen = ", ".join(sorted(names)) or "none"
        raise _impossible(f"its objects are in one namespace in no case, but in: {seen}", "Write `namespace: NAME`.")
    return str(names.pop())


def _refuse(item: Object, original: str) -> None:
    title = f"{item.get('kind')} {item['metadata'].get('name')}"
    if item.get("kind") not in CLUSTER_WIDE and item["metadata"].get("namespace") != original:
        raise _impossible(f"{title} is the whole cluster's, and a second one would replace it")
    if item.get("kind") == "PersistentVolumeClaim" and (item.get("spec") or {}).get("volumeName"):
        raise _impossible(f"{title} names the one volume that it wants")
    for spec in pod_specs(item):
        if spec.get("hostNetwork"):
            raise _impossible(f"{title} uses the node's network")
        for container in containers_of(spec):
            if any(port.get("hostPort") for port in container.get("ports") or ()):
                raise _impossible(f"{title} takes a port of the node")


def _move(item: Object, original: str, plan: CopyPlan, classes: Mapping[str, str]) -> None:
    metadata = item["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), **plan.labels}
    kind = item.get("kind")
    if kind in CLUSTER_WIDE:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **plan.annotations}
        metadata["name"] = plan.namespace if kind == "Namespace" else classes[metadata["name"]]
        return
    metadata["namespace"] = plan.namespace
    for subject in item.get("subjects") or ():
        if subject.get("namespace") == original:
            subject["namespace"] = plan.namespace
    spec = item.get("spec") or {}
    if kind == "Service":
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    if kind == "Ingress":
        for rule in spec.get("rules") or ():
            if rule.get("host"):
                rule["host"] = _host(rule["host"], plan)
        for entry in spec.get("tls") or ():
            entry["hosts"] = [_host(host, plan) for host in entry.get("hosts") or ()]
    if kind == "HTTPRoute" and spec.get("hostnames"):
        spec["hostnames"] = [_host(host, plan) for host in spec["hostnames"]]
    for pods in pod_specs(item):
        name = str(pods.get("priorityClassName") or "")
        if name in classes:
            pods.pop("priorityClassName")
            if plan.priorities:
                pods["priorityClassName"] = classes[name]
        for container in containers_of(pods):
            container["image"] = exchanged(str(container.get("image", "")), plan.images)


def _host(host: str, plan: CopyPlan) -> str:
    """Return a host of the copy's own, below the original: `*` stays in front."""
    star = "*." if host.startswith("*.") else ""
    return f"{star}{plan.namespace}.{host.removeprefix('*.')}"


def _impossible(reason: str, hint: str = "") -> ProjectError:
    return ProjectError(
        f"No isolated copy of this overlay is possible: {reason}",
        hint or "Choose another overlay in devenv.toml: [verify.kubernetes], or test what is up with --running.",
    )


def written(objects: Iterable[Object], folder: Path) -> Path:
    """Write objects as a Kustomize folder, for programs that take one."""
    folder.mkdir(parents=True)
    names = []
    for number, item in enumerate(objects):
        name = f"{number:02}-{str(item.get('kind')).lower()}.yaml"
        (folder / name).write_text(json.dumps(item, indent=1), "utf-8")  # JSON is YAML
        names.append(name)
    top = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "metadata": {"name": "copy", "annotations": {"devenv.io/environment": "development"}},
        "resources": names,
    }
    (folder / "kustomization.yaml").write_text(json.dumps(top, indent=1), "utf-8")
    return folder
