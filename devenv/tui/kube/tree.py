"""The table of services where a cluster is at hand: one line a service, which opens into what it is made of."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import Final

from rich.cells import cell_len

from devenv.core.model import Happening, Resource, Sample
from devenv.core.state import Store
from devenv.tui import rows
from devenv.tui.action_table import ROLLED
from devenv.tui.facts import Cell
from devenv.tui.kube import cells
from devenv.tui.kube.groups import LAST, Group, GroupKey, belongs
from devenv.tui.kube.joint_cells import joint_cells, worst_verdict
from devenv.tui.kube.lines import Path
from devenv.tui.kube.placed import COMPOSE, POD, WORKLOAD, PlacedLines, group_key
from devenv.tui.rows import Identity, Row, Verdict
from devenv.tui.shown import shown

PODS_ASKED: Final = 20  # for the images that they run: seldom more than one


class ServiceLines(PlacedLines):
    """Lines of Compose containers, workloads and pods. What one change costs does not grow with how many there are."""

    def __init__(self, store: Store, home: str = "") -> None:
        """Join services of the namespace `home` with those of the Compose project."""
        super().__init__(store)
        self.home = home
        self.verdict: Verdict = lambda resource, now, running=(): rows.NO_VERDICT
        self.opened: set[GroupKey] = set()
        self._titles: dict[Path, tuple[Identity, str]] = {}  # of Compose's lines
        self._counted: dict[str, int] = {}
        self._matched: dict[GroupKey, set[Path]] = {}

    def put(self, resource: Resource) -> None:
        """Take in a resource of the cluster, new or changed."""
        if not belongs(resource):
            self.remove(resource.key)
            return
        path = self._path(resource)
        before = self._placed.get(resource.key)
        if before is not None and before != path:
            self.remove(resource.key)
            before = None
        group = self._group(path)
        if before is None:
            self._placed[resource.key] = path
            self._change(group, group.place(resource), path, resource.key)
        if resource.kind == "pod":
            group.restarts += (resource.restarts or 0) - self._counted.get(resource.key, 0)
            self._counted[resource.key] = resource.restarts or 0
        self.stale(path)
        self.stale(self._line(group))
        if self.needle:
            self._match(group, path)

    def remove(self, key: str) -> None:
        """Forget a resource of the cluster."""
        path = self._placed.pop(key, None)
        if path is None:
            return
        group = self._group(path)
        group.restarts -= self._counted.pop(key, 0)
        self._change(group, group.pods if path in group.pods else group.workloads, path, "")

    def sample(self, sample: Sample) -> None:
        """Take in what a resource uses."""
        path = self._placed.get(sample.key)
        if path is not None:
            self.stale(path)
            self.stale(self._line(self._group(path)))

    def put_compose(self, resources: Iterable[Resource]) -> None:
        """Take in all resources of the Compose project: there are few, and their names depend on each other."""
        known = list(resources)
        replicas = rows.count_replicas(known)
        wanted: dict[Path, str] = {}
        path: Path
        for identity, resource in rows.arrange(known):
            number = f"{bool(identity.name):d}{identity.number:08d}"
            path = (identity.service or LAST, "", COMPOSE, identity.project, number, identity.name)
            wanted[path] = resource.key
            self._titles[path] = (identity, rows.title(identity, resource, replicas))
        before = {path: key for group in self.groups.values() for path, key in group.compose.items()}
        for path in before.keys() - wanted.keys():
            group = self._group(path)
            self._change(group, group.compose, path, "")
            self._titles.pop(path, None)
        for path, key in wanted.items():
            group = self._group(path)
            if path not in before:
                self._change(group, group.compose, path, key)
            group.compose[path] = key
            self.stale(path)
            self.stale(self._line(group))
            if self.needle:
                self._match(group, path)

    def clear_cluster(self, home: str) -> None:
        """Forget everything of the cluster: another one comes."""
        for key in list(self._placed):
            self.remove(key)
        self.home = home

    def toggle(self, index: int, wanted: bool | None = None) -> bool:
        """Open or close the line's group; return whether anything changed."""
        group = self.group_at(index)
        if group is None or not group.has_line or self.needle:
            return False
        is_open = group.key in self.opened
        if wanted is is_open:
            return False
        (self.opened.discard if is_open else self.opened.add)(group.key)
        self._rearrange(group)
        return True

    def filter(self, needle: str) -> None:
        """Show only what has this text in its name, state, reason or image, with the line that it belongs to."""
        self.needle = needle.casefold()
        self._matched.clear()
        visible: list[Path] = []
        for group in self.groups.values():
            visible += self._visible(group)
        self.reset(visible)

    def key_at(self, path: Path) -> str:
        """Return the key of what the line stands for; a joint line has one of its own."""
        group = self._group(path)
        if path == self._line(group) and group.has_line:
            return group.alone or f"group:{group.key.service}\n{group.key.namespace}"
        return group.compose.get(path) or group.workloads.get(path) or group.pods.get(path) or ""

    def width(self, path: Path) -> int:
        """Return the cells of the line's name with its mark."""
        return cell_len(self._name(path)) + (2 if len(path) == 2 else 6)

    def stand_in(self, identity: Identity) -> Identity | None:
        """Return the group's line where it is closed, or has just become one."""
        path = (identity.service, *identity.name.split("\n"))
        if len(path) < 3:
            return None
        group = self.groups.get(group_key(path))
        if group is None or not group.has_line or group.key in self.opened:
            return None
        return self.identity(self._line(group))

    def build(self, path: Path) -> Row:
        """Make the row of a line."""
        now = time.time()
        group = self._group(path)
        if path == self._line(group) and group.has_line:
            return self._group_row(path, group, now)
        indent = "  " if group.has_line else ""
        _, title = self._titles.get(path, (None, self._name(path)))
        resource = self._store.resource(self.key_at(path))
        if resource is None:
            return Row(self.identity(path), "", title, cells.arranged({"service": Cell(title, "quiet")}), True)
        sample, happenings = self._store.sample(resource.key), self._store.happenings(resource.key)
        if path in self._titles:
            return self._compose_row(path, resource, title, sample, happenings, indent, now)
        mark = indent + (cells.MEMBER if group.has_line else "")
        restarts = group.restarts if resource.kind in cells.WORKLOADS else None
        verdict = self._workload_verdict(resource, group, now)
        made = cells.line(Cell(f"{mark}{title}"), resource, sample, now, restarts=restarts, verdict=verdict)
        return Row(self.identity(path), resource.key, shown(title), made, False)

    def _compose_row(
        self,
        path: Path,
        resource: Resource,
        title: str,
        sample: Sample | None,
        happenings: tuple[Happening, ...],
        indent: str,
        now: float,
    ) -> Row:
        verdict = self.verdict(resource, now)
        row = rows.build(self._titles[path][0], resource, title, sample, happenings, now, verdict)
        first = row.cells[0]
        if indent:
            first = Cell(f"{indent}{cells.MEMBER}compose {first.text}", first.tone)
        return Row(self.identity(path), row.key, row.title, (first, *row.cells[1:]), row.absent)

    def _group_row(self, path: Path, group: Group, now: float) -> Row:
        mark = cells.OPEN if group.key in self.opened or self.needle else cells.CLOSED
        name = Cell(f"{mark}{self._name(path)}")
        title = shown(self._name(path))
        if group.alone:
            resource = self._store.resource(group.alone)
            if resource is not None:
                sample, verdict = self._store.sample(group.alone), self._workload_verdict(resource, group, now)
                made = cells.line(name, resource, sample, now, restarts=group.restarts, verdict=verdict)
                return Row(self.identity(path), resource.key, title, made, False)
        return Row(self.identity(path), self.key_at(path), title, self._joint_cells(name, group, now), False)

    def running(self, group: Group) -> list[str]:
        """Return the images that the pods of the group's one workload run."""
        pods = (self._store.resource(key) for key in islice(group.pods.values(), PODS_ASKED))
        return [pod.image_id for pod in pods if pod is not None] if len(group.workloads) == 1 else []

    def _workload_verdict(self, resource: Resource, group: Group, now: float) -> Cell:
        if resource.kind not in ROLLED:
            return rows.NO_VERDICT
        return self.verdict(resource, now, self.running(group))

    def _joint_cells(self, name: Cell, group: Group, now: float) -> tuple[Cell, ...]:
        keys = group.workloads.values() or list(group.pods.values())[:1]
        compose = [found for key in group.compose.values() if (found := self._store.resource(key)) is not None]
        cluster = [found for key in keys if (found := self._store.resource(key)) is not None]
        said = [cell for found in compose if (cell := self.verdict(found, now)).text]
        # Of several replicas one may run another image: the service as a whole is then not what was tested.
        ours = next((cell for cell in said if cell.tone == "quiet"), said[0] if said else rows.NO_VERDICT)
        verdict = worst_verdict([ours, *(self._workload_verdict(found, group, now) for found in cluster)])
        return joint_cells(self._store, name, compose, cluster, group.restarts, now, verdict)

    def _name(self, path: Path) -> str:
        group = self._group(path)
        if len(path) == 2:
            return path[0] if not path[1] else f"{path[0]} ({path[1]})"
        if path[2] == COMPOSE:
            return f"compose {self._titles[path][1]}" if group.has_line else self._titles[path][1]
        return f"{path[3]} {path[4]}" if path[2] == WORKLOAD else path[3]

    def _path(self, resource: Resource) -> Path:
        namespace = "" if resource.namespace == self.home else resource.namespace
        start = (resource.service or resource.name or LAST, namespace)
        if resource.kind == "pod":
            return (*start, POD, resource.name, resource.key)
        return (*start, WORKLOAD, resource.kind, resource.name, resource.key)

    def _change(self, group: Group, shelf: dict[Path, str], path: Path, key: str) -> None:
        shape = (group.has_line, group.alone, group.joint)
        if key:
            shelf[path] = key
        else:
            shelf.pop(path, None)
        if shape != (group.has_line, group.alone, group.joint):
            self._rearrange(group)  # seldom: the first or the last member of a sort
        if not key:
            self.hide(path)
            self._matched.get(group.key, set()).discard(path)
        elif not self.needle and self._is_visible(group, path):
            self.show(path)
        self.stale(self._line(group))
        if group.empty:
            self.hide(self._line(group))
            self.groups.pop(group.key, None)

    def _rearrange(self, group: Group) -> None:
        for path in (self._line(group), *group.compose, *group.workloads, *group.pods):
            self.hide(path)
        for path in self._visible(group):
            self.show(path)

    def _visible(self, group: Group) -> list[Path]:
        members = group.members()
        if self.needle:
            found = {path for path in members if self._means(path)}
            self._matched[group.key] = found
            own = self.needle in self._name(self._line(group)).casefold()
            return [*([self._line(group)] if group.has_line and (found or own) else ()), *found]
        if not group.has_line:
            return members
        return [self._line(group), *(members if group.key in self.opened else ())]

    def _is_visible(self, group: Group, path: Path) -> bool:
        if group.alone and path in group.workloads:
            return False
        return not group.has_line or group.key in self.opened

    def _match(self, group: Group, path: Path) -> None:
        matched = self._matched.setdefault(group.key, set())
        if not (group.alone and path in group.workloads) and self._means(path):
            matched.add(path)
            self.show(path)
            if group.has_line:
                self.show(self._line(group))
            return
        matched.discard(path)
        self.hide(path)

    def _means(self, path: Path) -> bool:
        resource = self._store.resource(self.key_at(path))
        if resource is None:
            return False
        words = (self._name(path), resource.name, resource.image, resource.state, resource.status, resource.why)
        return self.needle in "\n".join((*words, resource.health)).casefold()
