"""Makes stacks on Kubernetes: isolated copies of an overlay in namespaces of their own, or what is up."""

from __future__ import annotations

import base64
import copy
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from devenv.backends.kube.errors import KubeError, NotFound
from devenv.core.errors import ProjectError
from devenv.runs.identity import Run
from devenv.verify.kube.cluster import workloads_in
from devenv.verify.kube.driver import KubeDriver, KubeStack, KubeStackPlan
from devenv.verify.kube.leftovers import annotations_of, labels_of, note_cluster
from devenv.verify.kube.source import (
    KubeSource,
    Object,
    bare_name,
    choose,
    containers_of,
    exchanged,
    full_name,
    pod_specs,
)
from devenv.verify.service_verdicts import place_of
from devenv.verify.stack import Stacks

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
    copied = [copy.deepcopy(item) for item in objects]
    original = _namespace_of(copied)
    classes = {
        item["metadata"]["name"]: f"{plan.namespace}-{item['metadata']['name']}"
        for item in copied
        if item.get("kind") == "PriorityClass"
    }
    if not any(item.get("kind") == "Namespace" for item in copied):
        copied.insert(0, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": original}})
    kept = [item for item in copied if plan.priorities or item.get("kind") != "PriorityClass"]
    for item in kept:
        _refuse(item, original)
        _move(item, original, plan, classes)
    return kept


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


class KubeEnvironments(Stacks[KubeStack]):
    """Makes the stacks of one run on Kubernetes, and removes them."""

    def __init__(self, source: KubeSource, run: Run, *, keep: bool = False, scale: float = 1.0) -> None:
        super().__init__(run, keep=keep, scale=scale)
        self.source = source
        self._count = 0
        note_cluster(source.target.context.name, source.environ)

    def running(self) -> KubeStack:
        """Return the namespace that is up; nothing of it is ever removed.

        Its workloads are the overlay's, or without one those that are there. Raises DevenvError where there are none.
        """
        source = self.source
        objects = source.overlay(source.tested) if source.tested else workloads_in(source.client, self.home)
        return self._made(KubeStackPlan(source, self.run, self.home, self.place, tuple(objects)))

    @cached_property
    def home(self) -> str:
        """The namespace that is tested, or of which copies are: the settings', the overlay's, or the context's."""
        source = self.source
        objects = source.overlay(source.tested) if source.tested and not source.config.kubernetes.namespace else ()
        own = (item["metadata"].get("namespace") for item in objects)
        return next((str(name) for name in own if name), source.target.namespace)

    @property
    def place(self) -> str:
        """The name of the place that verdicts are about."""
        return place_of(self.source.target.context.name, self.home)

    def isolated(self, overlay: str = "", change: Callable[[list[Object]], None] | None = None) -> KubeStack:
        """Return a new copy of an overlay (default: the one that is tested), not applied.

        `change` alters the objects of the copy. Raises UsageError, ProjectError, ToolMissing and KubeError.
        """
        source = self.source
        self._count += 1
        namespace = f"devenv-{self.run.id}-{self._count}"
        objects = source.overlay(overlay or source.tested)
        images, image_notes = self._images(objects)
        plan = CopyPlan(
            namespace,
            labels_of(self.run, namespace),
            annotations_of(self.run),
            images,
            priorities=self._may_make_priorities(),
        )
        copied = make_copy(objects, plan)
        copied += self._secrets(namespace, plan, copied)
        if change is not None:
            change(copied)
        own = tuple(item["metadata"]["name"] for item in copied if item.get("kind") == "PriorityClass")
        made = self._made(
            KubeStackPlan(source, self.run, namespace, self.place, tuple(copied), True, tuple(image_notes), own)
        )
        for note in image_notes:
            made.mark(note)
        if not plan.priorities:
            made.mark("the copy has no PriorityClass: this account may not make one")
        return made

    def close(self) -> None:
        """Remove whatever is still there, and end the connection."""
        try:
            super().close()
        finally:
            self.source.client.close()

    def _made(self, plan: KubeStackPlan) -> KubeStack:
        return self.add(KubeStack(KubeDriver(plan, self.scale)))

    def _images(self, objects: Iterable[Object]) -> tuple[dict[str, str], list[str]]:
        """Return what is used instead of which image, and what is not as it should be about them.

        Nothing stands in for an image of the overlay that is tested by default: that would be another program.
        """
        given, present = self.source.images, self.source.present()
        tested = {bare_name(full_name(image)) for image in _images_of(self.source.overlay(self.source.tested))}
        instead, image_notes = dict(given), []
        for image in _images_of(objects):
            given_name = exchanged(image, given)
            chosen, note = choose(given_name, present)
            if chosen != given_name and bare_name(full_name(given_name)) in tested:
                chosen, note = given_name, f"no node has {given_name}"
            instead[bare_name(image)] = chosen
            image_notes += [note] if note else []
        return instead, image_notes

    def _secrets(self, namespace: str, plan: CopyPlan, objects: Iterable[Object]) -> list[Object]:
        """Return the Secrets with random values that the copy's pods read."""
        keys: dict[str, list[str]] = {}
        read = {name for item in objects for spec in pod_specs(item) for name in _secrets_of(spec)}
        for pair in self.source.settings.secrets:
            name, _, key = pair.partition("/")
            if name in read:
                keys.setdefault(name, []).append(key)
        return [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace, "labels": dict(plan.labels)},
                "type": "Opaque",
                "data": {key: base64.b64encode(secrets.token_hex(24).encode()).decode() for key in of_secret},
            }
            for name, of_secret in keys.items()
        ]

    def _may_make_priorities(self) -> bool:
        try:
            return self.source.client.may("create", "priorityclasses", group="scheduling.k8s.io")
        except NotFound:
            return True  # a server without reviews says no when it is asked to make one
        except KubeError as error:
            if error.status == 403:
                return False
            raise


def _images_of(objects: Iterable[Object]) -> list[str]:
    images = [str(c.get("image", "")) for item in objects for spec in pod_specs(item) for c in containers_of(spec)]
    return list(dict.fromkeys(images))


def _secrets_of(spec: dict[str, Any]) -> list[str]:
    """Return the Secrets that pods mount or take variables from."""
    names = [str((volume.get("secret") or {}).get("secretName", "")) for volume in spec.get("volumes") or ()]
    for container in containers_of(spec):
        names += [str((item.get("secretRef") or {}).get("name", "")) for item in container.get("envFrom") or ()]
        for variable in container.get("env") or ():
            names.append(str(((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name", "")))
    return names
