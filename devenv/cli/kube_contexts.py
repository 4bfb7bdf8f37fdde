"""`devenv kube contexts`: the clusters of the kubeconfig, which one is current, and what may be changed in it."""

from __future__ import annotations

from argparse import Namespace

from devenv.backends.clusters import Cluster, read_clusters
from devenv.backends.kube.kubeconfig import contexts
from devenv.cli.console import format_table, warn
from devenv.cli.kube_call import ClusterCall, print_json, print_lines
from devenv.core.errors import EXIT_OK
from devenv.core.text import sanitize

_HEAD = ("CURRENT", "CONTEXT", "TOOL", "STATE", "NAMESPACE", "CHANGES", "SERVER")


def run(arguments: Namespace) -> int:
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
    print_lines(format_table(_HEAD, [_row(row, of_context) for row in rows]))
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
        "broken" if row["problem"] else cluster.words if cluster is not None else "",
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
