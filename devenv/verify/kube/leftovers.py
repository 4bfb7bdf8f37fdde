"""What killed runs left on clusters: namespaces and PriorityClasses with a run's labels, and an owner that is dead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound
from devenv.backends.kube.kinds import NAMESPACES, Kind
from devenv.backends.kube.kubeconfig import Target, contexts
from devenv.core.decode import from_json
from devenv.core.kube_settings import KubeSettings
from devenv.core.stored import Unreadable, read_bytes, state_folder
from devenv.runs.identity import LABEL_OWNER, LABEL_RUN, LABEL_STACK, Run, is_dead

CLUSTERS: Final = "clusters.jsonl"  # in the state folder: the clusters that runs used, also those long forgotten
PRIORITY_CLASSES: Final = Kind("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
_KINDS: Final = {"namespace": NAMESPACES, "priorityclass": PRIORITY_CLASSES}


@dataclass(frozen=True, slots=True)
class ClusterLeftover:
    """One object of a run; `context` and `kubeconfig` say where it is."""

    kind: str
    name: str
    run: str
    owner: str
    stack: str
    context: str
    kubeconfig: str = ""

    @property
    def id(self) -> str:
        """What tells it from all others: the context and the name."""
        return f"{self.context}/{self.name}"


def note_cluster(context: str, environ: Mapping[str, str] = os.environ) -> None:
    """Write down that a run uses a cluster, so that what it leaves there is found if it is killed."""
    kubeconfig = environ.get("KUBECONFIG", "")
    path = state_folder() / CLUSTERS
    try:
        if (context, kubeconfig) not in _noted():
            with path.open("ab") as file:
                file.write(msgspec.json.encode({"context": context, "kubeconfig": kubeconfig}) + b"\n")
    except OSError as error:
        raise Unreadable(f"{path} cannot be written: {error.strerror}", "What runs leave is found by it.") from error


def labels_of(run: Run, stack: str) -> dict[str, str]:
    """Return the labels of a run's objects; a label holds no `/`, so that the owner is an annotation."""
    return {LABEL_RUN: run.id, LABEL_STACK: stack}


def annotations_of(run: Run) -> dict[str, str]:
    """Return the annotations of a run's cluster-scoped objects."""
    return {LABEL_OWNER: str(run.owner)}


def of_dead_runs(
    settings: KubeSettings, environ: Mapping[str, str] = os.environ
) -> tuple[list[ClusterLeftover], list[str]]:
    """List what dead runs left on the clusters that they noted, and why one could not be looked at.

    A context that may not be changed is not looked at: no run was ever there.
    """
    left: list[ClusterLeftover] = []
    problems: list[str] = []
    try:
        noted = list(dict.fromkeys(_noted()))
    except Unreadable as error:
        return [], [error.message]
    for context, kubeconfig in noted:
        if not settings.may_change(context):
            continue
        try:
            client = _client(context, kubeconfig, environ)
            if client is None:
                continue
            try:
                left += [item for item in _on(client, kubeconfig) if is_dead(item.owner)]
            finally:
                client.close()
        except KubeError as error:
            problems.append(f"cluster {context}: {error.message}")
    return left, problems


def remove_all(items: Iterable[ClusterLeftover], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Remove exactly these, and return why one could not be."""
    problems = []
    for item in items:
        try:
            remove(item, environ)
        except KubeError as error:
            problems.append(f"{item.kind} {item.id}: {error.message}")
    return problems


def remove(item: ClusterLeftover, environ: Mapping[str, str] = os.environ) -> None:
    """Remove one; what has gone by itself meanwhile is no error. Raises KubeError."""
    client = _client(item.context, item.kubeconfig, environ)
    if client is None:
        return
    try:
        if item.kind == "namespace":
            delete_namespace(client, item.name)
        else:
            delete_priority(client, item.name)
    finally:
        client.close()


def delete_namespace(client: KubeClient, name: str) -> None:
    """Begin to delete a namespace, its pods at once: nobody uses what they serve."""
    try:
        client.request("DELETE", f"{NAMESPACES.path(name=name)}", body={"propagationPolicy": "Background"})
        client.request("DELETE", f"/api/v1/namespaces/{name}/pods", body={"gracePeriodSeconds": 1})
    except NotFound:
        return


def delete_priority(client: KubeClient, name: str) -> None:
    """Delete a PriorityClass."""
    try:
        client.request("DELETE", PRIORITY_CLASSES.path(name=name))
    except NotFound:
        return


def _on(client: KubeClient, kubeconfig: str) -> Iterator[ClusterLeftover]:
    for word, kind in _KINDS.items():
        items, _ = client.list(kind, labels=LABEL_RUN)
        for item in items:
            about = item["metadata"]
            if about.get("deletionTimestamp"):
                continue
            labels, notes = about.get("labels") or {}, about.get("annotations") or {}
            yield ClusterLeftover(
                *(word, about["name"], labels.get(LABEL_RUN, ""), notes.get(LABEL_OWNER, "")),
                *(labels.get(LABEL_STACK, ""), client.target.context.name, kubeconfig),
            )


def _noted() -> Iterator[tuple[str, str]]:
    """Read the clusters that runs used; a line that is none is left out. Raises Unreadable."""
    for line in (read_bytes(state_folder() / CLUSTERS) or b"").splitlines():
        with suppress(ValueError, RecursionError):
            data = from_json(line, dict[str, str])
            yield data.get("context", ""), data.get("kubeconfig", "")


def _client(context: str, kubeconfig: str, environ: Mapping[str, str]) -> KubeClient | None:
    """Return a client; None where the context or its file is gone, and the cluster with it."""
    files = [Path(name) for name in kubeconfig.split(os.pathsep) if name]
    if files and not any(file.is_file() for file in files):
        return None
    surroundings = {**environ, **({"KUBECONFIG": kubeconfig} if kubeconfig else {})}
    info = contexts(surroundings).find(context)
    return KubeClient(Target(info, "default"), surroundings) if info is not None else None
