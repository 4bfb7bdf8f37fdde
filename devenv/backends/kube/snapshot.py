"""Each kind listed once and joined with what explains it: for commands, which show a moment and end."""

from __future__ import annotations

from typing import Final

from devenv.backends.kube.cache import Cache, source_of
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, NotFound
from devenv.backends.kube.events import EventLog
from devenv.backends.kube.fields import joined, mapping
from devenv.backends.kube.kinds import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    HPAS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Kind,
)
from devenv.backends.kube.parse import left_in
from devenv.backends.streams import Buffer
from devenv.core.model import Resource, Snapshot
from devenv.core.text import sanitize

_EXPLAINED_BY: Final = {
    PODS: (JOBS,),
    DEPLOYMENTS: (REPLICA_SETS, PODS, HPAS),
    REPLICA_SETS: (PODS, HPAS),
    STATEFUL_SETS: (PODS, HPAS),
    DAEMON_SETS: (PODS,),
    JOBS: (PODS,),
    CRON_JOBS: (JOBS,),
    SERVICES: (PODS, ENDPOINT_SLICES),
}


def read_kinds(
    client: KubeClient, kinds: tuple[Kind, ...], namespace: str | None
) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
    """Return the resources of these kinds, and in words what could not be read to explain them.

    Raises KubeError where one of the kinds themselves cannot be read.
    """
    buffer = Buffer()
    backend = client.target.backend
    cache = Cache(backend, client.target.context.name, buffer.put, lambda pod, exists: None)
    events = EventLog(cache, Buffer())
    related = dict.fromkeys(other for kind in kinds for other in _EXPLAINED_BY.get(kind, ()) if other not in kinds)
    missing = []
    for kind in (*related, EVENTS, *kinds):
        space = namespace if kind.namespaced else None
        try:
            items, _ = client.list(kind, space)
        except (Forbidden, NotFound) as error:
            if kind in kinds:
                raise
            missing.append(f"{kind.plural}: {error.message}")
            continue
        uids = frozenset(str(item["metadata"].get("uid", "")) for item in items)
        if kind is EVENTS and kind not in kinds:
            events.page(items, True)
            events.listed(uids)
        else:
            cache.page(kind, items)
            cache.listed(kind, uids)
    order = {source_of(backend, kind): number for number, kind in enumerate(kinds)}
    listed: dict[str, tuple[Resource, ...]] = {}
    for record in buffer.drain():
        if isinstance(record, Snapshot) and record.backend in order:
            listed[record.backend] = tuple(
                entry.shown for item in record.resources if (entry := cache.entry(item.key)) is not None
            )
    ordered = sorted(listed.items(), key=lambda item: order[item[0]])
    return tuple(resource for _, resources in ordered for resource in resources), tuple(missing)


def why_empty(client: KubeClient, namespace: str) -> str:
    """Say of a namespace where nothing was found that it is being deleted, and what is left; "" where it is not.

    Raises NotFound where there is no such namespace; whoever may not read namespaces learns nothing.
    """
    shown = sanitize(namespace)
    try:
        status = mapping(client.get(NAMESPACES.path(name=namespace)).get("status"))
    except NotFound as error:
        hint = "`devenv kube get namespaces` lists those that there are."
        raise NotFound(f"There is no namespace {shown!r} in {client.target.context.name}", hint, status=404) from error
    except Forbidden:
        return ""
    if status.get("phase") != "Terminating":
        return ""
    return f"the namespace {shown} is being deleted: {joined(left_in(status)) or 'nothing is left in it'}"
