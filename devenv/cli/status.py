"""`devenv status`: every service of the project and its containers, as a table or as JSON (docs/STATUS_JSON.md)."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING

from msgspec.structs import replace

from devenv.backends.docker.parse import started_elsewhere
from devenv.cli.console import format_table, warn
from devenv.cli.context import Context, declared_services, read_early, read_project
from devenv.cli.grouping import Grouped, ServiceGroup, group
from devenv.core.masking import mask_secrets, mask_texts
from devenv.core.model import Beyond, Health, Port, Project, Resource, State
from devenv.core.text import human_age
from devenv.core.why import why

if TYPE_CHECKING:
    from devenv.cli.kube_status import ClusterPart


SCHEMA = 1  # grows when a field changes its meaning or goes away; new fields do not count


def run(arguments: Namespace) -> int:
    """Print the state; 0 when it could be read, whatever it is. With --watch anew after each change, until ctrl-c.

    Raises UsageError for a service that the project has not, EngineUnreachable, EngineForbidden.
    """
    context = Context(arguments, by_labels=True)
    pending = context.begin_resolve()
    early = None if arguments.watch else read_early(context)
    import_module("devenv.control.reach")  # this, too, while Compose resolves the project
    project = context.project_with(tuple(arguments.services), pending)
    if arguments.watch:
        return _watch(context, project)
    resources = read_project(context, project, early)
    if other := started_elsewhere(project, resources):
        warn(other, no_color=context.no_color)
    sys.stdout.write(f"{_text(context, project, resources, _cluster(context))}\n")
    return 0


def _watch(context: Context, project: Project) -> int:
    """Print the state after each change: on a terminal in place of the one before, else below it."""
    from devenv.backends.docker.endpoint import resolve_endpoint
    from devenv.backends.docker.snapshot import ProjectWatch

    on_terminal = sys.stdout.isatty()
    shown, cluster, cluster_at = "", None, float("-inf")
    with ProjectWatch(project, resolve_endpoint(context.environ)) as watch:
        while True:
            resources = watch.read()
            if time.monotonic() - cluster_at >= CLUSTER_EVERY:
                cluster, cluster_at = _cluster(context), time.monotonic()
            state = _state(context, project, resources, cluster)
            if on_terminal or state != shown:  # on a terminal the ages go on
                text = _text(context, project, resources, cluster)
                sys.stdout.write(f"\x1b[H\x1b[2J{text}\n" if on_terminal else f"\n{text}\n" if shown else f"{text}\n")
                sys.stdout.flush()
                shown = state
            watch.events(TICK)


TICK = 2.0  # seconds: ages are shown anew
CLUSTER_EVERY = 5.0  # seconds between two readings of the cluster, which is asked and not listened to here


def _state(context: Context, project: Project, resources: tuple[Resource, ...], cluster: ClusterPart | None) -> str:
    """Return what changes when something happened, and not as time goes by."""
    data = to_json(project, group(project, resources), context.arguments.services) | {"at": None}
    return json.dumps([data, cluster.json() if cluster is not None else None])


def _text(context: Context, project: Project, resources: tuple[Resource, ...], cluster: ClusterPart | None) -> str:
    output, now = context.arguments.output, time.time()
    grouped, only = group(project, resources), context.arguments.services
    if output in ("json", "yaml"):
        data = mask_texts(
            to_json(project, grouped, only) | ({"cluster": cluster.json()} if cluster is not None else {})
        )
        if output == "json":
            return json.dumps(data, indent=2, ensure_ascii=False)
        import yaml

        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).rstrip()
    declared = declared_services(context, project) if grouped.orphans else {}
    width = _width() if sys.stdout.isatty() and output != "wide" else None
    below = ["", *cluster.lines(now)] if cluster is not None else []
    return mask_secrets("\n".join([*to_table(grouped, now, declared, width, wide=output == "wide", only=only), *below]))


def _width() -> int:
    import shutil  # deferred: a pipe has no width

    return shutil.get_terminal_size().columns


def _cluster(context: Context) -> ClusterPart | None:
    if not (context.config.kubernetes.context or context.config.kubernetes.namespace):
        return None
    from devenv.cli.kube_status import read_cluster  # not for those who have no cluster

    cluster = read_cluster(context.config.kubernetes, context.environ)
    for remark in cluster.remarks if cluster is not None else ():
        warn(f"cluster, without {remark}", no_color=context.no_color)
    return cluster


def to_json(project: Project, grouped: Grouped, only: Collection[str] = ()) -> dict[str, object]:
    """Return the documented object; `only` these services, where some are named."""
    services = [item for item in grouped.services if not only or item.service.name in only]
    orphans = [container for container in grouped.orphans if not only or container.service in only]
    return {
        "schema": SCHEMA,
        "at": _time(time.time()),
        "project": {"name": project.name, "directory": project.directory, "files": list(project.files)},
        "services": [_service(item, grouped) for item in services],
        "orphans": [_container(container) | {"service": container.service} for container in orphans],
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


HEAD: tuple[str, ...] = ("SERVICE", "CONTAINER", "STATE", "HEALTH", "RESTARTS", "EXIT", "PORTS", "AGE", "WHY")
# The order in which columns leave a narrow terminal. WHY tells the exit code, SERVICE the replica's number, STATE the
# health.
_LEAST_FIRST = ("EXIT", "CONTAINER", "HEALTH", "AGE", "RESTARTS")
_INSTEAD = {"CONTAINER": ("SERVICE", "short"), "HEALTH": ("STATE", "HEALTH")}  # what tells it then, by which cell
_WRAPPED = {"WHY": 28, "PORTS": 20, "SERVICE": 16}  # columns that may be wrapped, and to how few characters
_GAP = 2

Row = dict[str, str]


WIDE: tuple[str, ...] = (*HEAD[:2], "ID", "IMAGE", *HEAD[2:])


def to_table(
    grouped: Grouped,
    now: float,
    declared: Mapping[str, tuple[str, ...]] | None = None,
    width: int | None = None,
    *,
    wide: bool = False,
    only: Collection[str] = (),
) -> list[str]:
    """Return the lines: one a container, one for a service without any, the rest at the end.

    `wide`: with ids and images. `only`: these services, where some are named.

    `declared` are the services of all profiles, with theirs: a container of one whose profile is not active is no
    orphan. With `width` no line is longer than that many characters.
    """
    rows = [
        row
        for item in grouped.services
        if not only or item.service.name in only
        for row in _of_service(item, grouped, now)
    ]
    orphans = [container for container in grouped.orphans if not only or container.service in only]
    rows += [_of_orphan(container, declared or {}, now) for container in orphans]
    head = WIDE if wide else HEAD
    if width is not None:
        head = _fitting(rows, width)
        for name, (column, cell) in _INSTEAD.items():
            if name not in head:
                rows = [row | {column: row[cell] or row[column]} for row in rows]
    lines = [head, *(tuple(row[name] for name in head) for row in rows)]
    if width is not None:
        lines = _wrapped(lines, width)
    return format_table(lines[0], lines[1:])


def _of_service(item: ServiceGroup, grouped: Grouped, now: float) -> list[Row]:
    shown = (*item.containers, *item.one_offs)
    if not shown:
        empty = dict.fromkeys(WIDE, "")
        name = item.service.name
        return [empty | {"SERVICE": name, "short": name, "STATE": item.summary.value, "WHY": item.why(grouped)}]
    rows = []
    for container in shown:
        several = f"-{container.number}" if len(item.containers) > 1 else ""
        short = f"{item.service.name}{' (one-off)' if container.one_off else several}"
        reason = item.waits_for(grouped) if container.state is State.CREATED and not container.error else ""
        rows.append(_row(item.service.name, short, container, reason or why(container), now))
    return rows


def _of_orphan(container: Resource, declared: Mapping[str, tuple[str, ...]], now: float) -> Row:
    from devenv.control.reach import beyond  # deferred: in `run` it is imported while Compose works

    reason = beyond(replace(container, one_off=False), declared)
    name = f"{container.service or '?'} ({reason})"
    if reason is Beyond.INACTIVE:
        profiles = " ".join(f"--profile {profile}" for profile in declared[container.service][:1])
        said = f"its profile is not active ({profiles})" if profiles else "it is not active"
    else:
        said = "the files declare no such service"
    own = why(container)
    return _row(name, name, container, f"{said}; {own}" if own else said, now)


def _row(service: str, short: str, item: Resource, reason: str, now: float) -> Row:
    code = exit_code(item)
    begin = item.started_at if item.state.is_up else item.finished_at
    begin = begin or item.created_at
    cells = (
        service,
        f"{item.name} (one-off)" if item.one_off else item.name,
        item.state.value,
        "" if item.health is Health.NONE else item.health.value,
        "" if item.restarts is None else str(item.restarts),
        "" if code is None else f"{code} (OOM)" if item.oom_killed else str(code),
        ", ".join(dict.fromkeys(map(_port, item.ports))),
        "" if begin is None else human_age(now - begin),
        reason,
    )
    more = {"short": short, "ID": item.container_id[:12], "IMAGE": item.image}
    return dict(zip(HEAD, cells, strict=True)) | more


def exit_code(item: Resource) -> int | None:
    """An exit code means something only after a run has ended; the engine says 0 before."""
    return item.exit_code if item.state in (State.EXITED, State.RESTARTING, State.DEAD) else None


def _port(port: Port) -> str:
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    if port.host is None:
        return f"{port.container}{protocol}"
    host = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
    return f"{host or '*'}:{port.host}->{port.container}{protocol}"


def _fitting(rows: list[Row], width: int) -> tuple[str, ...]:
    head = tuple(name for name in HEAD if name in HEAD[:3] or any(row[name] for row in rows))
    for name in _LEAST_FIRST:
        least = {column: min(size, _WRAPPED.get(column, size)) for column, size in _sizes(head, rows).items()}
        if sum(least.values()) + _GAP * (len(head) - 1) <= width:
            break
        head = tuple(column for column in head if column != name)
    return head


def _sizes(head: tuple[str, ...], rows: list[Row]) -> dict[str, int]:
    return {name: max(len(name), *(len(row[name]) for row in rows), 0) for name in head}


def _wrapped(lines: list[tuple[str, ...]], width: int) -> list[tuple[str, ...]]:
    """Break cells over lines where the table is too wide: WHY first, the others where that is not enough."""
    import textwrap  # deferred, as above

    head = lines[0]
    sizes = {name: max(len(line[at]) for line in lines) for at, name in enumerate(head)}
    for share in (1, 2):  # of the widths that are good to read; the second for very narrow terminals
        for name, least in _WRAPPED.items():
            over = sum(sizes.values()) + _GAP * (len(head) - 1) - width
            if name in sizes and over > 0:
                sizes[name] = max(min(sizes[name], least // share), sizes[name] - over)
    if "WHY" in sizes:  # it wants what is left
        sizes["WHY"] += max(0, width - sum(sizes.values()) - _GAP * (len(head) - 1))
    wrapped = []
    for line in lines:
        cells = [
            textwrap.wrap(cell, max(1, sizes[name]), break_on_hyphens=False) or [""]
            for name, cell in zip(head, line, strict=True)
        ]
        height = max(len(cell) for cell in cells)
        wrapped += [tuple(cell[at] if at < len(cell) else "" for cell in cells) for at in range(height)]
    return wrapped
