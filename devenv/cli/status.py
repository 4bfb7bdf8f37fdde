"""`devenv status`: every service of the project and its containers, as a table or as JSON (docs/STATUS_JSON.md)."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from devenv.backends.docker.labels import started_elsewhere
from devenv.cli.console import warn
from devenv.cli.context import Context
from devenv.cli.grouping import Grouped, ServiceGroup, beyond, group
from devenv.cli.reading import declared_services, read_project
from devenv.cli.table import format_table
from devenv.core.model import Health, Port, Project, Resource, State
from devenv.core.text import human_age

if TYPE_CHECKING:
    from devenv.cli.kube_status import ClusterPart

SCHEMA = 1  # grows when a field changes its meaning or goes away; new fields do not count
_HEAD = ("SERVICE", "CONTAINER", "STATE", "HEALTH", "RESTARTS", "EXIT", "PORTS", "AGE")


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
        declared = declared_services(context, project) if grouped.orphans else frozenset()
        below = ["", *cluster.lines(now)] if cluster is not None else []
        text = "\n".join([*to_table(grouped, now, declared), *below])
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


def to_table(grouped: Grouped, now: float, declared: Collection[str] = ()) -> list[str]:
    """Return the lines of the table: one a container, one for a service without any, the rest at the end.

    `declared` are the services of all profiles: a container of one whose profile is not active is no orphan.
    """
    rows = []
    for item in grouped.services:
        shown = (*item.containers, *item.one_offs)
        rows += [_row(item.service.name, container, now) for container in shown]
        if not shown:
            rows.append((item.service.name, "", item.summary.value, "", "", "", "", ""))
    rows += [
        _row(f"{container.service or '?'} ({beyond(replace(container, one_off=False), declared)})", container, now)
        for container in grouped.orphans
    ]
    return format_table(_HEAD, rows)


def to_json(project: Project, grouped: Grouped) -> dict[str, object]:
    """Return the documented object."""
    return {
        "schema": SCHEMA,
        "at": _time(time.time()),
        "project": {"name": project.name, "directory": project.directory, "files": list(project.files)},
        "services": [_service(item) for item in grouped.services],
        "orphans": [_container(container) | {"service": container.service} for container in grouped.orphans],
    }


def _service(item: ServiceGroup) -> dict[str, object]:
    return {
        "name": item.service.name,
        "state": item.summary.value,
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
        "exit_code": _exit_code(item),
        "oom_killed": item.oom_killed,
        "error": item.error,
        "ports": [
            {"container": port.container, "protocol": port.protocol, "host": port.host, "host_ip": port.host_ip}
            for port in item.ports
        ],
        "created_at": _time(item.created_at),
        "started_at": _time(item.started_at),
        "finished_at": _time(item.finished_at),
    }


def _row(service: str, item: Resource, now: float) -> tuple[str, ...]:
    code = _exit_code(item)
    begin = item.started_at if item.state.is_up else item.finished_at
    begin = begin or item.created_at
    return (
        service,
        f"{item.name} (one-off)" if item.one_off else item.name,
        item.state.value,
        "" if item.health is Health.NONE else item.health.value,
        "" if item.restarts is None else str(item.restarts),
        "" if code is None else f"{code} (OOM)" if item.oom_killed else str(code),
        ", ".join(dict.fromkeys(map(_port, item.ports))),
        "" if begin is None else human_age(now - begin),
    )


def _exit_code(item: Resource) -> int | None:
    """An exit code means something only after a run has ended; the engine says 0 before."""
    return item.exit_code if item.state in (State.EXITED, State.RESTARTING, State.DEAD) else None


def _port(port: Port) -> str:
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    if port.host is None:
        return f"{port.container}{protocol}"
    host = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    return f"{host or '*'}:{port.host}->{port.container}{protocol}"


def _time(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
