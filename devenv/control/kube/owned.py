"""What goes with an object when it is deleted: all that it owns, directly and further down, by ownerReferences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, Unauthorized, Unreachable
from devenv.backends.kube.kinds import KNOWN, Kind, discover
from devenv.control.kube.refs import Ref

_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
# Records of the system that come and go by themselves; nobody misses them.
_IGNORED = frozenset({"events", "leases", "controllerrevisions", "endpointslices", "endpoints"})
_IGNORED_GROUPS = frozenset({"metrics.k8s.io", "events.k8s.io", "authorization.k8s.io", "authentication.k8s.io"})


@dataclass(frozen=True, slots=True)
class Owned:
    """Objects that go with the ones deleted; `unread` are kinds that could not be looked at, with the reason."""

    refs: tuple[Ref, ...] = ()
    unread: tuple[str, ...] = ()

    def words(self) -> str:
        """Return "1 replicaset, 3 pods", or "" for nothing."""
        counts = Counter(ref.kind for ref in self.refs)
        return ", ".join(
            f"{count} {kind.name.lower() if count == 1 else kind.plural}" for kind, count in counts.items()
        )


def namespace_kinds(client: KubeClient) -> tuple[Kind, ...]:
    """Return the kinds that live in namespaces and matter to people, as discovery lists them."""
    known = {(kind.group, kind.plural): kind for kind in KNOWN}
    return tuple(
        known.get((kind.group, kind.plural), kind)
        for kind in discover(client)
        if kind.namespaced and kind.plural not in _IGNORED and kind.group not in _IGNORED_GROUPS
    )


def contents(client: KubeClient, namespace: str) -> tuple[list[tuple[Kind, dict[str, Any]]], tuple[str, ...]]:
    """Return the metadata of all objects in a namespace, and which kinds could not be read.

    Raises Unreachable and Unauthorized.
    """
    found: list[tuple[Kind, dict[str, Any]]] = []
    unread: list[str] = []
    for kind in namespace_kinds(client):
        query: dict[str, object] = {"limit": 500}
        try:
            while True:
                page = client.request("GET", kind.path(namespace), query=query, accept=_METADATA)
                found += [(kind, item) for item in page.get("items") or ()]
                query["continue"] = (page.get("metadata") or {}).get("continue") or ""
                if not query["continue"]:
                    break
        except (Unreachable, Unauthorized):
            raise
        except KubeError as error:
            if error.status not in (404, 405):  # some kinds can only be created (reviews, bindings)
                unread.append(f"{kind.full_name}: {error.message}")
    return found, tuple(unread)


def find_owned(client: KubeClient, owners: Sequence[Mapping[str, Any]]) -> Owned:
    """Return what the owners (objects with metadata) own in their namespaces; raises Unreachable, Unauthorized."""
    namespaces = dict.fromkeys(str(item["metadata"].get("namespace") or "") for item in owners)
    refs: list[Ref] = []
    unread: list[str] = []
    for namespace in namespaces:
        if not namespace:
            continue  # what an object without a namespace owns is rare, and every namespace would have to be read
        items, problems = contents(client, namespace)
        unread += problems
        refs += _descendants(items, (str(item["metadata"].get("uid")) for item in owners))
    return Owned(tuple(refs), tuple(unread))


def _descendants(items: Iterable[tuple[Kind, dict[str, Any]]], roots: Iterable[str]) -> list[Ref]:
    by_owner: defaultdict[str, list[tuple[Kind, dict[str, Any]]]] = defaultdict(list)
    for kind, item in items:
        for owner in item["metadata"].get("ownerReferences") or ():
            by_owner[str(owner.get("uid"))].append((kind, item))
    found: dict[str, Ref] = {}
    todo = list(roots)
    while todo:
        for kind, item in by_owner.get(todo.pop(), ()):
            metadata = item["metadata"]
            uid = str(metadata.get("uid"))
            if uid not in found:
                found[uid] = Ref(kind, str(metadata.get("namespace") or ""), str(metadata["name"]))
                todo.append(uid)
    return list(found.values())
