"""`devenv status`: every service of the project and its containers, as a table or as JSON (docs/STATUS_JSON.md)."""

from __future__ import annotations

import json
import shutil
import sys
import time
from argparse import Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from devenv.backends.docker.labels import started_elsewhere
from devenv.cli.console import warn
from devenv.cli.context import Context
from devenv.cli.grouping import Grouped, ServiceGroup, group
from devenv.cli.reading import declared_services, read_project
from devenv.cli.status_table import exit_code, to_table
from devenv.core.model import Project, Resource
from devenv.core.why import why

if TYPE_CHECKING:
    from devenv.cli.kube_status import ClusterPart

SCHEMA = 1  # grows when a field changes its meaning or goes away; new fields do not count


def run(arguments: Namespace) -> int:
    """Print the state; 0 when it could be read, whatever it is."""
    context = Context(arguments, by_labels=True)
    project = context.project()
    resources = read_project(context, project)
    if other := started_elsewhere(project, resources):
        warn(other, no_color=context.no_color)
    grouped = group(project, resources)
    cluster = _cluster(context)
    if arguments.json:
        data = to_json(project, grouped) | ({"cluster": cluster.json()} if cluster is not None else {})
        text = json.dumps(data, indent=2, ensure_ascii=False)
    else:
        now = time.time()
        declared = declared_services(context, project) if grouped.orphans else {}
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        below = ["", *cluster.lines(now)] if cluster is not None else []
        text = "\n".join([*to_table(grouped, now, declared, width), *below])
    sys.stdout.write(f"{text}\n")
    return 0


def _cluster(context: Context) -> ClusterPart | None:
    if not (context.config.kubernetes.context or context.config.kubernetes.namespace):
        return None
    from devenv.cli.kube_status import read_cluster  # not for those who have no cluster

    cluster = read_cluster(context.config.kubernetes, context.environ)
    for remark in cluster.remarks if cluster is not None else ():
        warn(f"cluster, without {remark}", no_color=context.no_color)
    return cluster


def to_json(project: Project, grouped: Grouped) -> dict[str, object]:
    """Return the documented object."""
    return {
        "schema": SCHEMA,
        "at": _time(time.time()),
        "project": {"name": project.name, "directory": project.directory, "files": list(project.files)},
        "services": [_service(item, grouped) for item in grouped.services],
        "orphans": [_container(container) | {"service": container.service} for container in grouped.orphans],
    }


def _service(item: ServiceGroup, grouped: Grouped) -> dict[str, object]:
    return {
        "name": item.service.name,
        "state": item.summary.value,
        "why": item.why(grouped),
        "replicas": {
            "declared": item.service.replicas,
            "existing": len(item.containers),
            "running": item.running,
            "healthy": item.healthy,
        },
        "containers": [_container(container) for container in item.containers],
        "one_offs": [_container(container) for container in item.one_offs],
    }


def _container(item: Resource) -> dict[str, object]:
    return {
        "id": item.container_id,
        "name": item.name,
        "number": item.number,
        "image": item.image,
        "state": item.state.value,
        "health": item.health.value,
        "restarts": item.restarts,
        "exit_code": exit_code(item),
        "oom_killed": item.oom_killed,
        "error": item.error,
        "why": why(item),
        "ports": [
            {"container": port.container, "protocol": port.protocol, "host": port.host, "host_ip": port.host_ip}
            for port in item.ports
        ],
        "created_at": _time(item.created_at),
        "started_at": _time(item.started_at),
        "finished_at": _time(item.finished_at),
    }


def _time(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
