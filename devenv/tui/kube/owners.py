"""Who owns whom: from the workload down to its pods, with what scales it and what leads to it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from heapq import nsmallest

from devenv.core.model import Resource, Runtime
from devenv.core.state import Delta
from devenv.tui.kube import cells
from devenv.tui.kube.view import Cluster, ClusterView
from devenv.tui.shown import shown
from devenv.tui.widgets.detail_text import TONES
from devenv.tui.widgets.line import Part

SHOWN = 200  # lines below one owner


class OwnersScreen(ClusterView):
    """The tree around one object, from its topmost owner on."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        super().__init__(cluster, f"OWNERS of {resource.kind} {resource.name}")
        self._key = resource.key
        self._service = (resource.namespace, resource.service)
        self._owned: dict[str, dict[str, None]] = {}  # the keys of what each owner has
        self._owner: dict[str, str] = {}
        self._beside: dict[str, None] = {}  # keys of the service's objects that nobody owns

    def begin(self) -> None:
        """Learn who owns whom."""
        for resource in self.cluster.store.resources.values():
            self._place(resource)

    def learn(self, delta: Delta) -> None:
        """Note who came, changed its owner or went."""
        for key in delta.removed:
            self._forget(key)
        for resource in delta.updated:
            self._forget(resource.key)
            self._place(resource)

    def _place(self, resource: Resource) -> None:
        if resource.runtime is not Runtime.KUBERNETES:
            return
        if resource.owner:
            self._owner[resource.key] = resource.owner
            self._owned.setdefault(resource.owner, {})[resource.key] = None
        elif (resource.namespace, resource.service) == self._service and resource.service:
            self._beside[resource.key] = None

    def _forget(self, key: str) -> None:
        self._beside.pop(key, None)
        owner = self._owner.pop(key, None)
        if owner is None:
            return
        del self._owned[owner][key]
        if not self._owned[owner]:
            del self._owned[owner]

    def parts(self, width: int) -> list[Part]:
        """Return the tree as text."""
        store = self.cluster.store
        chosen = store.resource(self._key)
        if chosen is None:
            return [("it is gone\n", "$warning")]
        root = chosen
        seen = {root.key}
        while root.owner and (above := store.resource(root.owner)) is not None and above.key not in seen:
            seen.add(above.key)
            root = above
        parts = [*_line(root, "", self._key, time.time()), *self._below(root, "")]
        others = [
            resource for resource in self._known(self._beside) if resource.key != root.key and resource.kind != "pod"
        ]
        if others:
            parts.append(("\nBELONGS TO IT\n", "bold"))
            for resource in sorted(others, key=lambda item: (item.kind, item.name)):
                parts += _line(resource, "", self._key, time.time())
        return parts

    def _known(self, keys: Iterable[str]) -> Iterator[Resource]:
        return (resource for key in keys if (resource := self.cluster.store.resource(key)) is not None)

    def _below(self, owner: Resource, indent: str) -> Iterator[Part]:
        keys = self._owned.get(owner.key, {})
        children = nsmallest(
            SHOWN, self._known(keys), key=lambda item: (item.kind, -(item.created_at or 0.0), item.name)
        )
        for index, child in enumerate(children):
            last = index == len(keys) - 1
            yield from _line(child, f"{indent}{'└─ ' if last else '├─ '}", self._key, time.time())
            if len(indent) < 60:
                yield from self._below(child, f"{indent}{'   ' if last else '│  '}")
        if len(keys) > SHOWN:
            yield f"{indent}└─ … {len(keys) - SHOWN:,} more\n", "$quiet"


def _line(resource: Resource, indent: str, chosen: str, now: float) -> Iterator[Part]:
    cell = cells.state_cell(resource)
    yield indent, "$quiet"
    yield f"{shown(resource.kind)} ", "$quiet"
    yield shown(resource.name), "bold $primary" if resource.key == chosen else "bold"
    yield f"  {shown(cell.text)}", TONES[cell.tone]
    yield f"  {cells.age_cell(resource, now).text}", "$quiet"
    yield f"  {shown(resource.why)}\n" if resource.why else "\n", "$warning"
