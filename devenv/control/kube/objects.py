"""Objects on their way to a cluster: read from files, standard input or Kustomize folders, and put in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kinds import KNOWN, Kind, discover
from devenv.core.errors import UsageError
from devenv.core.text import sanitize

_ENDINGS = (".yaml", ".yml", ".json")


def read_files(names: tuple[str, ...], stdin: IO[str]) -> list[dict[str, Any]]:
    """Return the objects of the files, folders ("-": standard input); raises UsageError that names file and line."""
    objects: list[dict[str, Any]] = []
    for name in names:
        if name == "-":
            objects += parse_objects(stdin.read(), "standard input")
            continue
        path = Path(name)
        files = sorted(item for item in path.iterdir() if item.suffix in _ENDINGS) if path.is_dir() else [path]
        if path.is_dir() and any(item.name.startswith("kustomization") for item in files):
            raise UsageError(f"{sanitize(name)} is a Kustomize folder", f"Apply it with -k {sanitize(name)}")
        for file in files:
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"Cannot read {sanitize(str(file))}: {error}", "Name a YAML file.") from error
            objects += parse_objects(text, str(file))
    if not objects:
        raise UsageError("There is nothing to apply", f"No objects in {sanitize(', '.join(names))}")
    return objects


def read_kustomize(folder: str, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what kustomize makes of a folder; raises UsageError, and ToolMissing without kubectl."""
    from devenv.manifests.kustomization import read_tree
    from devenv.manifests.render import render

    path = Path(folder)
    if not path.is_dir():
        raise UsageError(f"There is no folder {sanitize(folder)}", "Name a Kustomize folder, as k8s/overlays/dev.")
    rendered = render(read_tree(path), environ)
    if rendered.problems:
        problem = rendered.problems[0]
        raise UsageError(f"{sanitize(folder)} cannot be rendered: {problem.message}", "See: devenv manifests check")
    if rendered.notes:
        raise UsageError(f"{sanitize(folder)} lacks a file: {'; '.join(rendered.notes)}", "Examples are not applied.")
    return [dict(manifest.data) for manifest in rendered.manifests]


def parse_objects(text: str, name: str) -> list[dict[str, Any]]:
    """Return the objects of a YAML text; raises UsageError with the name and the line."""
    from devenv.manifests.yamlread import YamlError, read_documents

    shown = sanitize(name)
    try:
        documents = read_documents(text)
    except YamlError as error:
        where = f", line {error.line}" if error.line else ""
        raise UsageError(f"{shown}{where}: {sanitize(error.message)}", "Correct the YAML.") from error
    for document in documents:
        if not isinstance(document.data, dict):
            raise UsageError(
                f"{shown}, line {document.node.start_mark.line + 1}: this is not an object of Kubernetes", "Correct it."
            )
    return [document.data for document in documents]


# What others need comes first, what they call comes last: kustomize's order (kyaml resid/gvk.go, `orderFirst`).
_FIRST = (
    *("Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount", "PodSecurityPolicy"),
    *("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ConfigMap", "Secret", "Endpoints", "Service"),
    *("LimitRange", "PriorityClass", "PersistentVolume", "PersistentVolumeClaim", "Deployment", "StatefulSet"),
    *("CronJob", "PodDisruptionBudget"),
)
_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
CRD = "CustomResourceDefinition"
ESTABLISHED_WITHIN = 10.0  # seconds from applying a CustomResourceDefinition until it is served; usually below one


def flatten(documents: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the objects with those of a `kind: List` taken out of it, in the order to apply them in.

    Raises UsageError for what is no object with apiVersion, kind and name.
    """
    objects: list[dict[str, Any]] = []
    for document in documents:
        if document.get("kind") == "List" and isinstance(document.get("items"), list):
            objects += flatten(document["items"])
        else:
            objects.append(_checked(document))
    return sorted(objects, key=_rank)


def title(item: Mapping[str, Any]) -> str:
    """Return "Deployment docsearch/backend"."""
    metadata = item.get("metadata") or {}
    namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
    return sanitize(f"{item.get('kind')} {namespace}/{name}" if namespace else f"{item.get('kind')} {name}")


class KindLookup:
    """Knows the kind of every object; asks the server once, and only for what is not built in."""

    def __init__(self, client: KubeClient, wait: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._wait = wait
        self._kinds = {(kind.api, kind.name): kind for kind in KNOWN}
        self._asked = False

    def find(self, item: Mapping[str, Any], *, patience: float = 0.0) -> Kind | None:
        """Return the kind, or None where the server does not serve it within `patience` seconds."""
        key = (str(item.get("apiVersion")), str(item.get("kind")))
        deadline = time.monotonic() + patience
        while key not in self._kinds:
            if not self._asked or patience:
                self._kinds |= {(kind.api, kind.name): kind for kind in discover(self._client)}
                self._asked = True
            if key in self._kinds or time.monotonic() >= deadline:
                break
            self._wait(0.2)
        return self._kinds.get(key)

    def place(self, item: Mapping[str, Any], kind: Kind, default: str) -> dict[str, Any]:
        """Return the object as it is sent: in its namespace, without what only the server may write."""
        metadata = {key: value for key, value in dict(item["metadata"]).items() if key != "managedFields"}
        if kind.namespaced:
            metadata["namespace"] = metadata.get("namespace") or default
        else:
            metadata.pop("namespace", None)
        return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}


def makes(items: Sequence[Mapping[str, Any]], kind: str, name: str) -> bool:
    """Whether an object of this kind and name is among the items."""
    return any(item.get("kind") == kind and item["metadata"].get("name") == name for item in items)


def _checked(document: Mapping[str, Any]) -> dict[str, Any]:
    for field in ("apiVersion", "kind"):
        if not isinstance(document.get(field), str) or not document[field]:
            raise UsageError(f"An object has no {field}: {_beginning(document)}", "Every object needs one.")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        hint = "Server-side apply needs metadata.name; an object with generateName is made with kubectl create."
        raise UsageError(f"A {sanitize(str(document['kind']))} has no name", hint)
    return dict(document)


def _beginning(document: Mapping[str, Any]) -> str:
    return sanitize(", ".join(str(key) for key in document))[:80] or "it is empty"


def _rank(item: Mapping[str, Any]) -> int:
    kind = str(item.get("kind"))
    if kind in _FIRST:
        return _FIRST.index(kind)
    return len(_FIRST) + (1 if kind in _LAST else 0)
