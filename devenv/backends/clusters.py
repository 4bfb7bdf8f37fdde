"""Local clusters by the tools that made them: minikube, kind and k3d; each asked only where its program is here.

minikube's profiles are read from its own JSON: state, driver, addons, what the nodes have. `profile list` looks into
each machine and takes a second a profile; with `light` it reads the files alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from devenv.backends.kube.kubeconfig import Contexts
from devenv.backends.programs import BY_HAND, finish, last_words, output_of
from devenv.core.errors import DevenvError, ToolMissing
from devenv.core.text import human_bytes, sanitize

MINIKUBE_ANSWERS: Final = 30.0  # seconds; a virtual machine that starts or stops answers slowly
_MEBI: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile; `cpus` and `memory` (bytes) are what each node was given, 0 where it does not say."""

    name: str
    status: str  # "Running", "OK", "Stopped", "Paused", "Unknown" ...; "Skipped" for a light list
    driver: str = ""
    runtime: str = ""
    version: str = ""
    cpus: int = 0
    memory: int = 0
    disk: int = 0
    nodes: tuple[str, ...] = ()
    addons: tuple[str, ...] = ()  # the enabled ones
    active: bool = False
    valid: bool = True


def find_minikube(environ: Mapping[str, str]) -> str:
    """Return the program's path, "" where it is not here: a context called minikube is no sign that it is."""
    return shutil.which("minikube", path=environ.get("PATH", "")) or ""


def need_minikube(environ: Mapping[str, str]) -> str:
    """Return the program's path; raises ToolMissing."""
    program = find_minikube(environ)
    if not program:
        hint = "Install it (https://minikube.sigs.k8s.io/docs/start/). What is in the cluster: devenv kubectl ..."
        raise ToolMissing("minikube is not installed, or not on PATH", hint)
    return program


def profile_stamp(environ: Mapping[str, str], profile: str) -> tuple[int, ...]:
    """Return the times of the files that minikube writes where it makes, starts, stops, pauses or deletes a cluster.

    They are its configuration and the log of its events (minikube's localpath.MiniPath and localpath.EventLog).
    """
    home = Path(environ.get("MINIKUBE_HOME") or environ.get("HOME", ""))
    home = home if home.name == ".minikube" else home / ".minikube"
    times = []
    for name in ("config.json", "events.json"):
        try:
            times.append((home / "profiles" / profile / name).stat().st_mtime_ns)
        except (OSError, ValueError):
            times.append(0)
    return tuple(times)


def read_addons(environ: Mapping[str, str], profile: str) -> dict[str, bool]:
    """Return the addons of a profile and whether each is enabled; raises ToolMissing, DevenvError."""
    answer = _minikube(environ, "addons", "list", f"--profile={profile}", "--output=json")
    known = answer if isinstance(answer, dict) else {}
    return {
        sanitize(name): item.get("Status") == "enabled"
        for name, item in sorted(known.items())
        if isinstance(item, dict) and "Status" in item
    }


def read_profiles(environ: Mapping[str, str], *, light: bool = False) -> tuple[Profile, ...]:
    """Return all profiles, broken ones included. Raises ToolMissing, DevenvError."""
    answer = _minikube(environ, "profile", "list", "--output", "json", *(["--light"] if light else []))
    if not isinstance(answer, dict) or "error" in answer:
        raise DevenvError("minikube cannot list its profiles", "See: minikube profile list")
    valid = [_profile(item, valid=True) for item in _objects(answer.get("valid"))]
    return (*valid, *(_profile(item, valid=False) for item in _objects(answer.get("invalid"))))


def _profile(item: Mapping[str, Any], *, valid: bool) -> Profile:
    config = item.get("Config")
    config = config if isinstance(config, dict) else {}
    kubernetes = config.get("KubernetesConfig")
    kubernetes = kubernetes if isinstance(kubernetes, dict) else {}
    addons = config.get("Addons")
    return Profile(
        name=_text(item.get("Name")),
        status=_text(item.get("Status")) if valid else "Invalid",
        driver=_text(config.get("Driver")),
        runtime=_text(kubernetes.get("ContainerRuntime")),
        version=_text(kubernetes.get("KubernetesVersion")),
        cpus=_number(config.get("CPUs")),
        memory=_number(config.get("Memory")) * _MEBI,
        disk=_number(config.get("DiskSize")) * _MEBI,
        nodes=tuple(_text(node.get("Name")) or _text(item.get("Name")) for node in _objects(config.get("Nodes"))),
        addons=tuple(sanitize(name) for name, on in sorted(addons.items()) if on is True)
        if isinstance(addons, dict)
        else (),
        active=item.get("Active") is True or item.get("ActiveKubeContext") is True,
        valid=valid,
    )


def _minikube(environ: Mapping[str, str], *arguments: str) -> Any:
    program = need_minikube(environ)
    what = " ".join(("minikube", *(word for word in arguments if not word.startswith("-"))))
    done = finish([program, *arguments], environ, timeout=MINIKUBE_ANSWERS, what=what)
    try:  # its errors are JSON too, with an exit code
        return json.loads(done.stdout)
    except (ValueError, RecursionError) as error:
        raise DevenvError(f"{what} failed: {last_words(done)}", BY_HAND) from error


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return sanitize(value) if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


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
    def status_text(self) -> str:
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
    all_clusters: list[Cluster] = []
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
        all_clusters += [item if item.context in names else replace(item, context="") for item in clusters]
    return tuple(all_clusters), tuple(remarks)


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
        for profile in read_profiles(environ)
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
        listed = json.loads(_run(environ, "k3d", "cluster", "list", "--output", "json") or "[]")
    except (ValueError, RecursionError) as error:
        raise DevenvError("k3d cluster list does not print JSON", "Try it by hand.") from error
    clusters = []
    for item in listed if isinstance(listed, list) else ():
        if not isinstance(item, dict):
            continue
        name = sanitize(str(item.get("name", "")))
        running, declared = item.get("serversRunning"), item.get("serversCount")
        state = "" if not isinstance(running, int) else "Stopped" if not running else "Running"
        if isinstance(running, int) and isinstance(declared, int) and 0 < running < declared:
            state = f"{running} of {declared} servers run"
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
