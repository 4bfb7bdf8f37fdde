"""The cluster's part of `devenv status`: workloads and pods of the configured namespace, or why they cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devenv.backends.kube.access import find_target
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound
from devenv.backends.kube.kinds import CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, JOBS, PODS, STATEFUL_SETS
from devenv.backends.kube.once import read_kinds, why_empty
from devenv.cli.kube_get import to_json, to_table
from devenv.core.kube_settings import KubeSettings
from devenv.core.model import Resource

_WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, JOBS, CRON_JOBS)


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
        found, remarks = read_kinds(client, (*_WORKLOADS, PODS), target.namespace)
        nothing = "" if found else _why_empty(client, target.namespace)
    except KubeError as error:
        return ClusterPart(settings.context, settings.namespace or "default", error=error.message, hint=error.hint)
    finally:
        if client is not None:
            client.close()
    pods = tuple(item for item in found if item.kind == "pod")
    workloads = tuple(item for item in found if item.kind != "pod")
    return ClusterPart(target.context.name, target.namespace, workloads, pods, remarks, nothing=nothing)


def _why_empty(client: KubeClient, namespace: str) -> str:
    try:
        return why_empty(client, namespace)
    except NotFound as error:
        return f"{error.message}: `devenv deploy` makes it"
