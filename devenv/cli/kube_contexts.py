"""`devenv kube contexts` and `load`: which clusters there are, by which tool, and images for their nodes."""

from __future__ import annotations

import threading
from argparse import Namespace
from collections.abc import Callable

from devenv.backends.clusters import Cluster, read_clusters
from devenv.backends.kube.kubeconfig import contexts
from devenv.cli.console import format_table, warn
from devenv.cli.kube_call import ClusterCall, print_json, print_lines, show_plan
from devenv.control.deploy.images import loader_for
from devenv.control.kube.change import cluster_identity
from devenv.control.runner import Report
from devenv.core.errors import EXIT_OK, Interrupted, ToolMissing
from devenv.core.model import Progress
from devenv.core.text import sanitize

_CONTEXTS_HEAD = ("CURRENT", "CONTEXT", "TOOL", "STATE", "NAMESPACE", "CHANGES", "SERVER")


def run_contexts(arguments: Namespace) -> int:
    """List them; raises BadKubeconfig."""
    call = ClusterCall(arguments)
    known = contexts(call.environ)
    clusters, remarks = read_clusters(known, call.environ)
    for remark in remarks:
        warn(remark, no_color=call.no_color)
    settings = call.config.kubernetes
    chosen = settings.context or known.current
    of_context = {cluster.context: cluster for cluster in clusters if cluster.context}
    rows: list[dict[str, object]] = [
        {
            "context": context.name,
            "current": context.name == known.current,
            "chosen": context.name == chosen,
            "cluster": context.cluster,
            "server": context.server,
            "namespace": context.namespace or "default",
            "tool": context.flavour,
            "may_change": settings.may_change(context.name),
            "problem": context.problem,
            "machine": _machine(of_context.get(context.name)),
        }
        for context in known.all
    ]
    others = [_machine(cluster) for cluster in clusters if not cluster.context]
    if arguments.json:
        print_json({"schema": 1, "contexts": rows, "without_context": others})
        return EXIT_OK
    print_lines(format_table(_CONTEXTS_HEAD, [_row(row, of_context) for row in rows]))
    for context in known.all:
        if context.problem:
            what = f"the context {sanitize(context.name)} cannot be used: {context.problem}"
            warn(f"{what}. Correct the kubeconfig.", no_color=call.no_color)
    for cluster in clusters:
        if not cluster.context:
            warn(f"{cluster.tool} cluster {cluster.name} ({cluster.state}) has no context", no_color=call.no_color)
    return EXIT_OK


def _row(row: dict[str, object], clusters: dict[str, Cluster]) -> tuple[str, ...]:
    cluster = clusters.get(str(row["context"]))
    return (
        "*" if row["chosen"] else "",
        sanitize(str(row["context"])),
        str(row["tool"]),
        "broken" if row["problem"] else cluster.status_text if cluster is not None else "",
        sanitize(str(row["namespace"])),
        "allowed" if row["may_change"] else "read-only",
        sanitize(str(row["server"])),
    )


def _machine(cluster: Cluster | None) -> dict[str, object] | None:
    if cluster is None:
        return None
    return {
        "name": cluster.name,
        "state": cluster.state,
        "driver": cluster.driver,
        "kubernetes": cluster.version,
        "nodes": [{"name": node.name, "state": node.state} for node in cluster.nodes],
        "cpus": cluster.cpus,
        "memory": cluster.memory,
        "addons": list(cluster.addons),
    }


def run_load(arguments: Namespace) -> int:
    """Load them with minikube, kind or k3d; raises ToolMissing where that program is not here."""
    call = ClusterCall(arguments)
    context = call.client.target.context
    loader, why = loader_for(context, call.environ)
    place = cluster_identity(call.client)
    sentence = f"Loads {', '.join(arguments.images)} into the nodes of {context.name}."
    plan = call.guard.plan_cluster("load", tuple(arguments.images), place, sentences=(sentence,))
    if arguments.dry_run:
        show_plan(plan, as_json=False)
        return EXIT_OK
    if loader is None:
        hint = "Load them with the tool that made the cluster, or push them to a registry that its nodes can pull from."
        raise ToolMissing(f"Images cannot be loaded into {context.name}: {why}", hint)
    call.carry_out(plan, _Load(loader.load, tuple(arguments.images)), place)
    return EXIT_OK


class _Load:
    def __init__(self, load: Callable[[str], None], images: tuple[str, ...]) -> None:
        self._load = load
        self._images = images
        self._stop = threading.Event()

    def run(self, report: Report) -> str:
        for image in self._images:
            if self._stop.is_set():
                raise Interrupted("The rest was not loaded")
            report(Progress(f"Image {image}", "Loading"))
            self._load(image)
            report(Progress(f"Image {image}", "Loaded", "done"))
        return ""

    def interrupt(self) -> None:
        self._stop.set()
