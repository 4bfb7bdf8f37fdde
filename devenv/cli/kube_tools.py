"""`devenv kube contexts`, `forward` and `load`: which clusters there are, ports that lead into one, images for it."""

from __future__ import annotations

import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict

from devenv.backends.clusters import Cluster, read_clusters
from devenv.backends.kube.kubeconfig import contexts
from devenv.cli.console import format_table, tell, warn
from devenv.cli.kube_call import ClusterCall, print_json, print_lines, show_plan
from devenv.control.deploy.images import loader_for
from devenv.control.kube.change import cluster_identity, counted, parse_ref
from devenv.control.kube.forward import Forward, ForwardStats
from devenv.control.runner import Report
from devenv.core.errors import EXIT_OK, Interrupted, ToolMissing, UsageError
from devenv.core.model import Progress
from devenv.core.text import human_bytes, sanitize

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


_TRAFFIC_EVERY = 1.0  # seconds between two lines of traffic


def run_forward(arguments: Namespace) -> int:
    """Forward until ctrl-c; raises PortTaken, NotFound and UsageError before anything is open."""
    call = ClusterCall(arguments)
    ref = parse_ref(arguments.target if "/" in arguments.target else f"pod/{arguments.target}", call.client)
    forwards: list[Forward] = []
    try:
        for text in arguments.ports:
            local, port = _ports(text)
            forward = Forward(
                call.client,
                ref.kind.name.lower(),
                ref.name,
                port,
                local,
                namespace=ref.namespace,
                spread=arguments.spread,
                tell=lambda text: tell(f"\r{text}", no_color=call.no_color),
            )
            forward.start()
            forwards.append(forward)
            stats = forward.stats()
            waiting = f" ({stats.waiting})" if stats.waiting else f" (pod {stats.pod})"
            tell(f"127.0.0.1:{stats.local_port} -> {stats.target}{waiting}", no_color=call.no_color)
        if arguments.json:
            print_json([asdict(forward.stats()) for forward in forwards])
        _watch(forwards, arguments.seconds)
    finally:
        for forward in forwards:
            forward.close()
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # below the live line, and below the terminal's own ^C
        for forward in forwards:
            tell(_line(forward.stats()), no_color=call.no_color)
    return EXIT_OK


def _watch(forwards: list[Forward], seconds: float | None) -> None:
    deadline = time.monotonic() + seconds if seconds is not None else float("inf")
    is_live = sys.stderr.isatty()
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(_TRAFFIC_EVERY, left))
        if is_live:
            lines = "  |  ".join(_line(forward.stats()) for forward in forwards)
            sys.stderr.write(f"\r\x1b[K{lines}")
            sys.stderr.flush()


def _line(stats: ForwardStats) -> str:
    counts = f"{counted(stats.connections, 'connection')} ({stats.open} open, {stats.failed} failed)"
    sizes = f"{human_bytes(stats.sent)} up, {human_bytes(stats.received)} down"
    replaced = f", replaced {counted(stats.replacements, 'time')}" if stats.replacements else ""
    pods = f"pod {stats.pod or 'none'}{replaced}"
    trouble = f", waits: {stats.waiting}" if stats.waiting else ""
    return f":{stats.local_port} -> {stats.target}: {counts}, {sizes}, {pods}{trouble}"


def _ports(text: str) -> tuple[int, str]:
    local, colon, port = text.rpartition(":")
    if (colon and not local.isdecimal()) or not port or (local and int(local) > 65535):
        raise UsageError(f"{text!r} is no port", "Write PORT, or LOCAL:PORT as in 8080:80. PORT may be a name.")
    return int(local or 0), port


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
