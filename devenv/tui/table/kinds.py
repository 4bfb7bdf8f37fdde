"""The table of one kind: its objects by name, with the columns that the kind itself has to show."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from devenv.core.model import Resource
from devenv.core.state import Store
from devenv.core.text import human_age
from devenv.tui.safe_text import safe
from devenv.tui.table import cells
from devenv.tui.table.cells import Cell
from devenv.tui.table.columns import FIGURES, Column
from devenv.tui.table.lines import Lines, Path, Row

if TYPE_CHECKING:
    from devenv.tui.table.arrangement import Value
    from devenv.tui.table.filter import RowFilter

FACTS_SHOWN: Final = 8  # columns: more do not fit on any terminal; the details have them all
FACT_WIDEST: Final = 44
_MEASURED: Final = ("pod", "node")
_WITH_STATE: Final = cells.WORKLOADS | {"pod", "node", "persistentvolumeclaim", "persistentvolume", "namespace"}


class KindLines(Lines):
    """Lines of the objects of one kind in the store; a change costs the same however many there are."""

    def __init__(self, store: Store, kind: str, *, all_namespaces: bool = False) -> None:
        """Show the resources whose kind is this singular word in lower case."""
        super().__init__()
        self._store = store
        self.kind = kind
        self._namespaced = all_namespaces
        self._placed: dict[str, Path] = {}
        self._keys: dict[Path, str] = {}
        self._widths: dict[str, int] = {}
        self._arrange_columns()
        for resource in store.resources.values():
            if resource.kind == kind:
                self.put(resource)

    def put(self, resource: Resource) -> None:
        """Take in a resource, new or changed; others than of this kind are left alone."""
        if resource.kind != self.kind:
            return
        path = (resource.namespace if self._namespaced else "", resource.name, resource.key)
        if resource.key not in self._placed:
            self._placed[resource.key] = path
            self._keys[path] = resource.key
        self._learn(resource)
        self.stale(path)
        if self.only is None or self._passes(resource, self.only):
            self.show(path)
        else:
            self.hide(path)

    def remove(self, key: str) -> None:
        """Forget a resource."""
        path = self._placed.pop(key, None)
        if path is not None:
            del self._keys[path]
            self.hide(path)

    def changed(self, key: str) -> None:
        """Let the line of a resource be made again: it was measured."""
        path = self._placed.get(key)
        if path is not None:
            self.stale(path)

    def filter(self, only: RowFilter | None) -> None:
        """Show only what passes by its name, state, reason, facts or labels."""
        self.only = only
        objects = ((path, self._store.resource(key)) for path, key in self._keys.items())
        self.reset(path for path, one in objects if one is not None and (only is None or self._passes(one, only)))

    def width(self, path: Path) -> int:
        """Return the cells of the name."""
        return cell_len(path[1])

    def value(self, path: Path, column: str) -> Value | None:
        """Return the object's figure, or what its cell says."""
        from devenv.tui.table.arrangement import figure, word

        if column in FIGURES:
            return figure(column, self._store, (self._keys[path],))
        if column not in self.cell_names:
            return None
        return word(self._row(path).cells[self.cell_names.index(column)].text)

    def build(self, path: Path) -> Row:
        """Make the row of one object."""
        now = time.time()
        resource = self._store.resource(self._keys[path])
        if resource is None:
            return Row(path, path[0], "", path[1], cells.arranged({}, self.cell_names), True)
        cpu, memory = cells.use_cells(resource, self._store.sample(resource.key))
        ready = "" if resource.ready is None else f"{resource.ready[0]}/{resource.ready[1]}"
        known = {
            "service": Cell(resource.name),
            "namespace": Cell(resource.namespace, "quiet"),
            "ready": Cell(ready, "warn" if resource.ready and resource.ready[0] < resource.ready[1] else "plain"),
            "state": cells.object_state(resource, with_count=self.kind != "pod"),
            "restarts": cells.restarts_cell(resource, now),
            "cpu": cpu,
            "memory": memory,
            "why": Cell(resource.why, "warn" if resource.health != "healthy" else "quiet"),
            "age": Cell(human_age(now - resource.created_at) if resource.created_at else "–", "quiet"),
        }
        known |= {f"fact:{name}": Cell(value) for name, value in resource.facts}
        made = cells.arranged(known, self.cell_names)
        return Row(path, path[0], resource.key, safe(resource.name), made)

    def _learn(self, resource: Resource) -> None:
        grown = False
        for name, value in resource.facts:
            known = self._widths.get(name)
            if known is None and len(self._widths) >= FACTS_SHOWN:
                continue
            width = min(FACT_WIDEST, max(len(name), cell_len(safe(value))))
            if known is None or width > known:
                self._widths[name] = width
                grown = True
        if grown:
            self._arrange_columns()

    def _arrange_columns(self) -> None:
        columns = [Column("service", "NAME", 16, 100, 100)]
        if self._namespaced:
            columns.append(Column("namespace", "NAMESPACE", 14, 63, 90, elastic=True))
        if self.kind == "pod":
            columns.append(Column("ready", "READY", 5, 7, 88, right=True))
        if self.kind in _WITH_STATE:
            columns.append(Column("state", "STATE", 18, 34, 80, elastic=True))
        if self.kind == "pod":
            columns.append(Column("restarts", "RESTARTS", 3, 14, 60, right=True, short="RST"))
        if self.kind in _MEASURED:
            columns.append(Column("cpu", "CPU", 5, 6, 56, right=True, spare=True))
            columns.append(Column("memory", "MEMORY", 7, 8, 55, right=True, spare=True))
        for rank, (name, width) in enumerate(self._widths.items()):
            title = safe(name).upper() + (" MAX" if self.kind in _MEASURED and name in ("cpu", "memory") else "")
            columns.append(Column(f"fact:{name}", title, max(len(title), min(width, 24)), width, 50 - rank, spare=True))
        if self.kind in _WITH_STATE:
            columns.append(Column("why", "WHY", 40, 200, 58, elastic=True, spare=True))
        columns.append(Column("age", "AGE", 4, 4, 78, right=True))
        self.columns = tuple(columns)
        self.cell_names = tuple(column.name for column in columns)
        self._rows.clear()
        self.structure += 1

    def _passes(self, resource: Resource, only: RowFilter) -> bool:
        words = (resource.name, resource.namespace, resource.state, resource.status, resource.why, resource.image)
        return only.passes((*words, *(value for _, value in resource.facts)), resource.labels)
