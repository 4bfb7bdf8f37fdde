"""Local clusters by the tools that made them: minikube, kind and k3d; each asked only where its program is here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from devenv.backends import minikube
from devenv.backends.kube.kubeconfig import Contexts
from devenv.backends.programs import output_of
from devenv.core.errors import DevenvError
from devenv.core.text import human_bytes, sanitize

TIMEOUT: Final = 10.0  # seconds; kind and k3d ask the container engine only


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node of a local cluster; `state` is the tool's word, "" where it does not say."""

    name: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A local cluster; `context` is "" where the kubeconfig has none for it, `state` "" where the tool does not say."""

    tool: str  # "minikube", "kind", "k3d"
    name: str
    context: str = ""
    state: str = ""
    driver: str = ""
    version: str = ""
    nodes: tuple[ClusterNode, ...] = ()
    cpus: int = 0  # of each node
    memory: int = 0  # bytes, of each node
    addons: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Its state in a few words: "Running, docker, 2 CPUs, 3.8 GiB"."""
        nodes = f"{len(self.nodes)} nodes" if len(self.nodes) > 1 else ""
        cpus = f"{self.cpus} CPUs" if self.cpus else ""
        memory = human_bytes(self.memory) if self.memory else ""
        return ", ".join(word for word in (self.state, self.driver, nodes, cpus, memory) if word)


def read_clusters(known: Contexts, environ: Mapping[str, str]) -> tuple[tuple[Cluster, ...], tuple[str, ...]]:
    """Return the local clusters, and in words which tool did not answer; blocks for seconds."""
    readers: dict[str, Callable[[Mapping[str, str]], list[Cluster]]] = {
        "minikube": _read_minikube,
        "kind": _read_kind,
        "k3d": _read_k3d,
    }
    found: list[Cluster] = []
    remarks = []
    names = {context.name for context in known.all}
    for tool, read in readers.items():
        if not shutil.which(tool, path=environ.get("PATH", "")):
            continue
        try:
            clusters = read(environ)
        except DevenvError as error:
            remarks.append(error.message)
            continue
        found += [item if item.context in names else replace(item, context="") for item in clusters]
    return tuple(found), tuple(remarks)


def _read_minikube(environ: Mapping[str, str]) -> list[Cluster]:
    return [
        Cluster(
            tool="minikube",
            name=profile.name,
            context=profile.name,
            state=profile.status,
            driver=profile.driver,
            version=profile.version,
            nodes=tuple(ClusterNode(name) for name in profile.nodes),
            cpus=profile.cpus,
            memory=profile.memory,
            addons=profile.addons,
        )
        for profile in minikube.read_profiles(environ)
    ]


def _read_kind(environ: Mapping[str, str]) -> list[Cluster]:
    """kind says names alone, on stdout; "No kind clusters found." goes to stderr."""
    names = [sanitize(line) for line in _run(environ, "kind", "get", "clusters").splitlines() if line.strip()]
    return [
        Cluster(
            tool="kind",
            name=name,
            context=f"kind-{name}",
            driver="docker",
            nodes=tuple(
                ClusterNode(sanitize(node))
                for node in _run(environ, "kind", "get", "nodes", "--name", name).splitlines()
                if node.strip()
            ),
        )
        for name in names
    ]


def _read_k3d(environ: Mapping[str, str]) -> list[Cluster]:
    try:
        told = json.loads(_run(environ, "k3d", "cluster", "list", "--output", "json") or "[]")
    except ValueError as error:
        raise DevenvError("k3d cluster list does not print JSON", "Try it by hand.") from error
    clusters = []
    for item in told if isinstance(told, list) else ():
        if not isinstance(item, dict):
            continue
        name = sanitize(str(item.get("name", "")))
        running, wanted = item.get("serversRunning"), item.get("serversCount")
        state = "" if not isinstance(running, int) else "Stopped" if not running else "Running"
        if isinstance(running, int) and isinstance(wanted, int) and 0 < running < wanted:
            state = f"{running} of {wanted} servers run"
        nodes = tuple(
            ClusterNode(sanitize(str(node.get("name", ""))), sanitize(str((node.get("State") or {}).get("Status", ""))))
            for node in item.get("nodes") or ()
            if isinstance(node, dict) and node.get("role") in ("server", "agent")
        )
        clusters.append(Cluster("k3d", name, f"k3d-{name}", state, "docker", nodes=nodes))
    return clusters


def _run(environ: Mapping[str, str], program: str, *arguments: str) -> str:
    what = f"{program} {' '.join(arguments[:2])}"
    path = shutil.which(program, path=environ.get("PATH", "")) or program
    return output_of([path, *arguments], environ, timeout=TIMEOUT, what=what, slow="Is the container engine up?")
