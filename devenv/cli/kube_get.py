"""`devenv kube get KIND [NAME ...]`: objects with their health and the reason for it."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import Any

from devenv.backends.kube.errors import NotFound
from devenv.backends.kube.kinds import Kind
from devenv.backends.kube.once import read_kinds, why_empty
from devenv.cli.console import tell, warn
from devenv.cli.kube_call import ClusterCall, print_json, print_lines
from devenv.cli.table import format_table
from devenv.control.kube.masking import masked
from devenv.control.kube.refs import Ref, kind_of
from devenv.core.errors import EXIT_OK
from devenv.core.model import Health, Resource
from devenv.core.text import human_age, human_restarts, sanitize

SCHEMA = 1
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


def run(arguments: Namespace) -> int:
    """Show them. Raises NotFound for a name that is not there, BadKubeconfig, Unreachable, Forbidden."""
    call = ClusterCall(arguments)
    word, _, name = arguments.kind.partition("/")
    names = (*((name,) if name else ()), *arguments.names)
    kind = kind_of(word, call.client)
    namespace = None if arguments.all_namespaces else call.client.target.namespace
    if arguments.output == "yaml":
        return _yaml(call, kind, namespace, names)
    found, missing = read_kinds(call.client, (kind,), namespace)
    for words in missing:
        warn(f"without {words}", no_color=call.no_color)
    if not found and namespace and kind.namespaced:
        reason = why_empty(call.client, namespace)
        if not names:
            tell(reason or f"No {kind.plural} in namespace {sanitize(namespace)}", no_color=call.no_color)
    for name in names:
        if all(item.name != name for item in found):
            where = f" in namespace {sanitize(namespace)}" if namespace and kind.namespaced else ""
            raise NotFound(f"There is no {kind.name.lower()} {sanitize(name)!r}{where}", status=404)
    chosen = [item for item in found if not names or item.name in names]
    if arguments.output == "json":
        print_json({"schema": SCHEMA, "context": call.client.target.context.name, "items": [*map(to_json, chosen)]})
    elif chosen:
        print_lines(to_table(chosen, time.time(), with_namespace=namespace is None and kind.namespaced))
    return EXIT_OK


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


def _yaml(call: ClusterCall, kind: Kind, namespace: str | None, names: tuple[str, ...]) -> int:
    import yaml

    space = (namespace or "") if kind.namespaced else ""
    objects: list[dict[str, Any]]
    if names:
        objects = [Ref(kind, space, name).read(call.client) for name in names]
    else:
        items, _ = call.client.list(kind, namespace if kind.namespaced else None)
        objects = [{"apiVersion": kind.api, "kind": kind.name, **item} for item in items]
    for item in objects:
        item.get("metadata", {}).pop("managedFields", None)
    documents = [yaml.safe_dump(masked(item), sort_keys=False, allow_unicode=True) for item in objects]
    print_lines(["---\n".join(documents).rstrip("\n")] if documents else [])
    return EXIT_OK
