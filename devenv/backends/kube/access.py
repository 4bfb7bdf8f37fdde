"""Which clusters there are, and which one and which namespace is meant; needs no Kubernetes client and no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from devenv.backends.kube.errors import BadKubeconfig
from devenv.backends.kube.kubeconfig import Kubeconfig, kubeconfig_files, kubeconfig_stamp, load_kubeconfig
from devenv.core.kube_settings import KubeSettings
from devenv.core.text import sanitize

__all__ = ["ContextInfo", "Contexts", "Target", "contexts", "find_target", "kubeconfig_stamp"]

_SHOWN: Final = 8  # contexts named in a hint; people with more have a tool that lists them


@dataclass(frozen=True, slots=True)
class ContextInfo:
    """One context; `flavour` is "minikube", "kind", "k3d", "docker-desktop" or "" by its names alone.

    `problem` says why it cannot be used: what it names is not there, or kubectl refuses it; "" where nothing is wrong.
    """

    name: str
    cluster: str = ""
    server: str = ""
    user: str = ""
    namespace: str = ""
    flavour: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Contexts:
    """All contexts in the order of the files, and the name of the current one ("" where none is set)."""

    all: tuple[ContextInfo, ...] = ()
    current: str = ""

    def find(self, name: str) -> ContextInfo | None:
        """Return the context of that name, or None."""
        return next((context for context in self.all if context.name == name), None)


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster and the namespace that are meant."""

    context: ContextInfo
    namespace: str = field(default="default")

    @property
    def backend(self) -> str:
        """The backend's name in records: "kubernetes/<context>"."""
        return f"kubernetes/{self.context.name}"


def contexts(environ: Mapping[str, str]) -> Contexts:
    """Return what the kubeconfig files tell; nothing where there are none. Raises BadKubeconfig."""
    merged = load_kubeconfig(environ)
    return Contexts(tuple(_info(name, merged) for name in merged.contexts), merged.current)


def find_target(settings: KubeSettings, environ: Mapping[str, str]) -> Target:
    """Return the cluster and namespace that devenv's settings and the kubeconfig name; raises BadKubeconfig."""
    known = contexts(environ)
    wanted = settings.context or known.current
    if not known.all:
        files = ", ".join(sanitize(str(path)) for path in kubeconfig_files(environ))
        hint = "Start a cluster (`minikube start`), or name its kubeconfig in KUBECONFIG."
        raise BadKubeconfig(f"No cluster is configured: {files} has no context", hint)
    names = [context.name for context in known.all]
    choice = "Choose one with --context: " + ", ".join(sanitize(name) for name in names[:_SHOWN])
    if len(names) > _SHOWN:
        choice += f" and {len(names) - _SHOWN} more"
    if not wanted:
        raise BadKubeconfig("The kubeconfig has no current context", choice)
    found = known.find(wanted)
    if found is None:
        near = get_close_matches(wanted, names, n=3)
        hint = f"Did you mean {' or '.join(sanitize(name) for name in near)}?" if near else choice
        raise BadKubeconfig(f"The kubeconfig has no context {sanitize(wanted)!r}", hint)
    return Target(found, settings.namespace or found.namespace or "default")


def _info(name: str, merged: Kubeconfig) -> ContextInfo:
    values = merged.contexts[name]
    cluster = str(values.get("cluster") or "")
    server = str(merged.clusters.get(cluster, {}).get("server") or "")
    user = str(values.get("user") or "")
    namespace, flavour = str(values.get("namespace") or ""), _flavour(name, merged, cluster)
    return ContextInfo(name, cluster, server, user, namespace, flavour, merged.dangling(name) or merged.refusal(name))


def _flavour(name: str, merged: Kubeconfig, cluster: str) -> str:
    """Tell which tool made the cluster: kind and k3d name contexts after themselves, minikube signs its entries."""
    for flavour in ("kind", "k3d"):
        if name.startswith(f"{flavour}-"):
            return flavour
    if name in ("docker-desktop", "docker-for-desktop"):
        return "docker-desktop"
    if name == "minikube":
        return "minikube"
    # A profile of another name: minikube writes an extension with its provider into each entry (since 1.17).
    for entry in (merged.contexts[name], merged.clusters.get(cluster, {})):
        extensions = entry.get("extensions") or ()
        for item in extensions if isinstance(extensions, list) else ():
            extension = item.get("extension") if isinstance(item, dict) else None
            if isinstance(extension, dict) and extension.get("provider") == "minikube.sigs.k8s.io":
                return "minikube"
    return ""
