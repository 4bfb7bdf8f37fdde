"""The cluster's part of `devenv status`: workloads and pods of the configured namespace, or why they cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound
from devenv.backends.kube.kinds import CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, JOBS, PODS, STATEFUL_SETS
from devenv.backends.kube.kubeconfig import find_target
from devenv.backends.kube.snapshot import read_kinds, why_empty
from devenv.cli.console import format_table
from devenv.core.kube_settings import KubeSettings
from devenv.core.model import Health, Resource
from devenv.core.text import human_age, human_restarts

_WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, JOBS, CRON_JOBS)
_WHY_SHOWN = 160  # characters in a table
# The facts of a kind that have a column.
_COLUMNS = {
    "pod": ("node", "ip"),
    "deployment": ("up to date", "available"),
    "statefulset": ("up to date",),
    "daemonset": ("up to date",),
    "cronjob": ("schedule",),
    "horizontalpodautoscaler": ("reference", "targets", "min", "max"),
    "service": ("type", "cluster ip", "external", "ports"),
    "ingress": ("class", "hosts"),
    "persistentvolumeclaim": ("capacity", "class"),
    "persistentvolume": ("capacity", "claim", "reclaim"),
    "node": ("roles", "version", "cpu", "memory"),
}


@dataclass(frozen=True, slots=True)
class ClusterPart:
    """What was read of the cluster; `error` and `hint` say why nothing was."""

    context: str
    namespace: str
    workloads: tuple[Resource, ...] = ()
    pods: tuple[Resource, ...] = ()
    remarks: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""
    nothing: str = ""  # why nothing runs there, where there is a reason

    def json(self) -> dict[str, object]:
        """Return the documented object."""
        return {
            "context": self.context,
            "namespace": self.namespace,
            "reachable": not self.error,
            "error": self.error,
            "workloads": [to_json(item) for item in self.workloads],
            "pods": [to_json(item) for item in self.pods],
        }

    def lines(self, now: float) -> list[str]:
        """Return the lines of the tables."""
        lines = [f"Cluster {self.context}, namespace {self.namespace}"]
        if self.error:
            return [*lines, f"  {self.error}"]
        for items in (self.workloads, self.pods):
            if items:
                lines += ["", *to_table([*items], now, with_namespace=False)]
        return lines if self.workloads or self.pods else [*lines, f"  {self.nothing or 'nothing runs there'}"]


def read_cluster(settings: KubeSettings, environ: Mapping[str, str]) -> ClusterPart | None:
    """Read it where devenv.toml, DEVENV_CONTEXT or --context name a cluster; a cluster that is away is no failure."""
    if not (settings.context or settings.namespace):
        return None
    client: KubeClient | None = None
    try:
        target = find_target(settings, environ)
        client = KubeClient(target, environ)
        resources, remarks = read_kinds(client, (*_WORKLOADS, PODS), target.namespace)
        nothing = "" if resources else _why_empty(client, target.namespace)
    except KubeError as error:
        return ClusterPart(settings.context, settings.namespace or "default", error=error.message, hint=error.hint)
    finally:
        if client is not None:
            client.close()
    pods = tuple(item for item in resources if item.kind == "pod")
    workloads = tuple(item for item in resources if item.kind != "pod")
    return ClusterPart(target.context.name, target.namespace, workloads, pods, remarks, nothing=nothing)


def _why_empty(client: KubeClient, namespace: str) -> str:
    try:
        return why_empty(client, namespace)
    except NotFound as error:
        return f"{error.message}: `devenv deploy` makes it"


def to_table(resources: list[Resource], now: float, *, with_namespace: bool) -> list[str]:
    """Return the lines of the table; what no object has is no column."""
    kinds = {item.kind for item in resources}
    columns = _COLUMNS.get(next(iter(kinds)), ()) if len(kinds) == 1 else ()
    head = ["NAMESPACE"] if with_namespace else []
    head += ["NAME", "READY", "STATUS", "HEALTH", "RESTARTS", "AGE", *(name.upper() for name in columns), "WHY"]
    has_health = any(item.ready is not None or item.health is not Health.NONE for item in resources)
    rows = []
    for item in resources:
        facts = dict(item.facts)
        why = item.why if len(item.why) <= _WHY_SHOWN else f"{item.why[: _WHY_SHOWN - 1]}…"
        rows.append(
            [
                *([item.namespace] if with_namespace else []),
                item.name,
                "" if item.ready is None else f"{item.ready[0]}/{item.ready[1]}",
                item.status or item.state.value,
                item.health.value if has_health else "",
                human_restarts(item.restarts, None if item.restarted_at is None else now - item.restarted_at),
                "" if item.created_at is None else human_age(now - item.created_at),
                *(facts.get(name, "") for name in columns),
                why,
            ]
        )
    used = [at for at, name in enumerate(head) if name == "NAME" or any(row[at] for row in rows)]
    return format_table([head[at] for at in used], [[row[at] for at in used] for row in rows])


def to_json(item: Resource) -> dict[str, object]:
    """Return the documented object of one resource (docs/STATUS_JSON.md)."""
    return {
        "kind": item.kind,
        "namespace": item.namespace,
        "name": item.name,
        "uid": item.key.removeprefix("kubernetes:"),
        "service": item.service,
        "state": item.state.value,
        "status": item.status,
        "health": item.health.value,
        "why": item.why,
        "ready": None if item.ready is None else {"ready": item.ready[0], "wanted": item.ready[1]},
        "restarts": item.restarts,
        "restarted_at": item.restarted_at,
        "exit_code": item.exit_code,
        "oom_killed": item.oom_killed,
        "image": item.image,
        "created_at": item.created_at,
        "started_at": item.started_at,
        "labels": dict(item.labels),
        "facts": dict(item.facts),
    }
