"""The table of services: one line a service, which opens into what it is made of in a cluster and in Compose."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from rich.cells import cell_len

from devenv.core.model import Happening, Resource, Runtime, State
from devenv.core.state import Store
from devenv.tui.safe_text import safe
from devenv.tui.table import cells
from devenv.tui.table.cells import NO_VERDICT, ROLLED, WORKLOADS, Cell
from devenv.tui.table.columns import COLUMNS, FIGURES, LONG_NAMES, VERIFIED
from devenv.tui.table.groups import COMPOSE, POD, WORKLOAD, Group, belongs, compose_places, group_key, object_path
from devenv.tui.table.lines import GroupKey, Lines, Path, Row

if TYPE_CHECKING:
    from devenv.tui.table.arrangement import Arrangement, Place, Value
    from devenv.tui.table.filter import RowFilter

PODS_ASKED: Final = 20  # for the images that they run: seldom more than one
OPEN, CLOSED, MEMBER = "▾ ", "▸ ", "    "


class Verdict(Protocol):
    """What the smoke tests last said of a service; `running` are the images that a workload's pods run."""

    def __call__(self, resource: Resource, now: float, running: Iterable[str] = ()) -> Cell:
        """Return it as a cell."""
        ...


class ServiceLines(Lines):
    """Lines of Compose containers, workloads and pods. What one change costs does not grow with how many there are."""

    def __init__(self, store: Store, home: str = "", *, long_names: bool = False) -> None:
        """Join services of the namespace `home` with those of the Compose project.

        `long_names` says that there may be pods, whose names are longer than a container's.
        """
        super().__init__()
        self._store = store
        self.home = home
        self.verdict: Verdict = lambda resource, now, running=(): NO_VERDICT
        self.groups: dict[GroupKey, Group] = {}
        self.opened: set[GroupKey] = set()
        self._long_names = long_names
        self._placed: dict[str, Path] = {}  # where each resource stands
        self._titles: dict[Path, str] = {}  # of Compose's lines
        self._counted: dict[str, int] = {}  # restarts of the pods
        self._matched: dict[GroupKey, set[Path]] = {}
        self.arrangement: Arrangement = ""
        self._places: dict[str, Place] = {}
        self._held_up: dict[str, list[str]] = {}
        self.chosen_columns: Sequence[str] = ()
        self.show_verdicts(False)

    def show_verdicts(self, any_known: bool) -> None:
        """Choose the columns, with or without that of the smoke tests."""
        self._verified = any_known
        every = (LONG_NAMES if self._long_names else COLUMNS) + (VERIFIED if any_known else ())
        names = dict.fromkeys(("service", *self.chosen_columns))
        by_name = {column.name: column for column in every}
        self.columns = tuple(by_name[name] for name in names if name in by_name) if self.chosen_columns else every
        self.forget_rows()

    def choose_columns(self, names: Sequence[str]) -> None:
        """Show these columns in this order after the name, as far as they fit; without any, all."""
        self.chosen_columns = names
        self.show_verdicts(self._verified)

    # What comes and goes

    def put(self, resource: Resource) -> None:
        """Take in a resource of the cluster, new or changed."""
        if not belongs(resource):
            self.remove(resource.key)
            return
        path = object_path(resource, self.home)
        before = self._placed.get(resource.key)
        if before is not None and before != path:
            self.remove(resource.key)
            before = None
        group = self._group(path)
        if before is None:
            self._placed[resource.key] = path
            self._change(group, self._shelf(group, path), path, resource.key)
        if resource.kind == "pod":
            group.restarts += (resource.restarts or 0) - self._counted.get(resource.key, 0)
            self._counted[resource.key] = resource.restarts or 0
        self.changed(resource.key)

    def remove(self, key: str) -> None:
        """Forget a resource of the cluster."""
        path = self._placed.pop(key, None)
        if path is None:
            return
        group = self._group(path)
        group.restarts -= self._counted.pop(key, 0)
        self._change(group, self._shelf(group, path), path, "")

    def changed(self, key: str) -> None:
        """Let the line of a resource be made again: it changed, something happened to it, or it was measured."""
        path = self._placed.get(key)
        if path is None:
            return
        group = self._group(path)
        self.stale(path)
        self.stale(group.line)
        if self.only is not None:
            self._match(group, path, self.only)

    def reloaded(self, happening: Happening) -> None:
        """Tell of a watch that brought something into a container or pod, or could not."""
        path = self._placed.get(happening.key)
        if path is not None:
            self._group(path).reloads = (happening,)
            self.changed(happening.key)

    def put_compose(self, resources: Iterable[Resource], changed: Collection[str]) -> None:
        """Take in all resources of the Compose project: there are few, and their names depend on each other."""
        places = compose_places(resources)
        before = {path: key for group in self.groups.values() for path, key in group.compose.items()}
        for path, key in before.items():
            if path not in places or places[path][0].key != key:
                self._placed.pop(key, None)
            if path not in places:
                group = self._group(path)
                self._change(group, group.compose, path, "")
                self._titles.pop(path, None)
        for path, (resource, title) in places.items():
            group, key = self._group(path), resource.key
            renamed = self._titles.get(path) != title
            self._titles[path] = title
            self._placed[key] = path
            if path not in before:
                self._change(group, group.compose, path, key)
            group.compose[path] = key
            if renamed or before.get(path) != key or key in changed:
                self.changed(key)
        if self.arrangement:
            self._arrange()

    # How services stand beside each other

    def arrange(self, arrangement: Arrangement) -> None:
        """Put the services by name (""), as a tree of what they depend on ("tree"), or by profile ("profile")."""
        self.arrangement = arrangement
        self._arrange()
        self.forget_rows()
        self.measure()
        self.structure += 1

    def _arrange(self) -> None:
        from devenv.tui.table.arrangement import held_up, places

        known: dict[str, list[Resource]] = {}
        for key, group in self.groups.items():
            replicas = [one for place in group.compose.values() if (one := self._store.resource(place)) is not None]
            if replicas and not key.namespace and replicas[0].beyond is None:
                known[key.service] = replicas
        now = places(self.arrangement, {name: replicas[0] for name, replicas in known.items()})
        held = held_up(known) if self.arrangement == "tree" else {}
        if now != self._places:
            self.structure += 1
        if (now, held) != (self._places, self._held_up):
            self._places, self._held_up = now, held
            self.forget_rows()

    @property
    def by_path(self) -> bool:
        """Whether the lines are in the order of their paths."""
        return self.order is None and not self.arrangement

    def arranged(self, heads: Iterable[Path]) -> list[Path]:
        """Return the lines in their places; what has none, an orphan say, comes after."""
        last = len(self._places)
        return sorted(heads, key=lambda path: (self._places[path[0]].rank if path[0] in self._places else last, path))

    def _label(self, path: Path) -> str:
        """Return the name with how far in it stands, whom it holds up, or its profile."""
        name = self._name(path)
        place = self._places.get(path[0])
        if place is None or self.order is not None or self.head(path) != path:
            return name
        held = self._held_up.get(path[0], ())
        indent = f"{'  ' * (place.depth - 1)}└ " if place.depth else ""
        profile = f" · {safe(place.profile)}" if place.profile else ""
        waiting = f" ◂ holds up {', '.join(map(safe, held))}" if held else ""
        return f"{indent}{name}{profile}{waiting}"

    def clear_cluster(self, home: str) -> None:
        """Forget everything of the cluster: another one comes."""
        for key, path in list(self._placed.items()):
            if path[2] != COMPOSE:
                self.remove(key)
        self.home = home

    @staticmethod
    def _shelf(group: Group, path: Path) -> dict[Path, str]:
        return group.pods if path[2] == POD else group.workloads

    def _change(self, group: Group, shelf: dict[Path, str], path: Path, key: str) -> None:
        shape = group.shape
        if key:
            shelf[path] = key
        else:
            shelf.pop(path, None)
        if shape != group.shape:
            self._rearrange(group)  # seldom: the first or the last member of a sort
        if not key:
            self.hide(path)
            self._matched.get(group.key, set()).discard(path)
        elif self.only is None and self._is_visible(group, path):
            self.show(path)
        self.stale(group.line)
        if group.empty:
            self.hide(group.line)
            self.groups.pop(group.key, None)

    # Which lines there are

    def toggle(self, index: int, to_open: bool | None = None) -> bool:
        """Open or close the line's group; return whether anything changed."""
        group = self.group_at(index)
        if group is None or not group.has_line or self.only is not None:
            return False
        is_open = group.key in self.opened
        if to_open is is_open:
            return False
        (self.opened.discard if is_open else self.opened.add)(group.key)
        self._rearrange(group)
        return True

    def filter(self, only: RowFilter | None) -> None:
        """Show only what passes by its name, state, reason, image or labels, with the line that it belongs to."""
        self.only = only
        self._matched.clear()
        visible: list[Path] = []
        for group in self.groups.values():
            visible += self._visible(group)
        self.reset(visible)

    def head(self, path: Path) -> Path:
        """Return the line of its service, where that has one."""
        group = self._group(path)
        return group.line if group.has_line else path

    def value(self, path: Path, column: str) -> Value | None:
        """Return the figure of what the line stands for, of all that a service is made of; else what its cell says."""
        from devenv.tui.table.arrangement import figure, word

        if column == "service":
            return word(self._name(path))
        group = self._group(path)
        keys = group.sources() if path == group.line and group.has_line else (self.key_at(path),)
        if column == "restarts" and group.workloads and (path == group.line or path in group.workloads):
            compose = figure(column, self._store, group.compose.values()) if path == group.line else None
            return (0, group.restarts + (compose[1] if compose else 0), "")
        if column in FIGURES:
            return figure(column, self._store, keys)
        if column not in self.cell_names:
            return None
        return word(self._row(path).cells[self.cell_names.index(column)].text)

    def stand_in(self, path: Path) -> Path | None:
        """Return the group's line where it is closed, or has just become one."""
        group = self.groups.get(group_key(path)) if len(path) > 2 else None
        if group is None or not group.has_line or group.key in self.opened:
            return None
        return group.line

    def _rearrange(self, group: Group) -> None:
        for path in (group.line, *group.compose, *group.workloads, *group.pods):
            self.hide(path)
        for path in self._visible(group):
            self.show(path)

    def _visible(self, group: Group) -> list[Path]:
        members = group.members()
        if self.only is not None:
            matching = {path for path in members if self._passes(path, self.only)}
            self._matched[group.key] = matching
            own = self._passes(group.line, self.only)
            return [*([group.line] if group.has_line and (matching or own) else ()), *matching]
        if not group.has_line:
            return members
        return [group.line, *(members if group.key in self.opened else ())]

    def _is_visible(self, group: Group, path: Path) -> bool:
        if group.alone and path in group.workloads:
            return False
        return not group.has_line or group.key in self.opened

    def _match(self, group: Group, path: Path, only: RowFilter) -> None:
        matched = self._matched.setdefault(group.key, set())
        if group.alone and path in group.workloads:  # its service's line stands for it
            path = group.line
        if self._passes(path, only):
            if path != group.line:
                matched.add(path)
            self.show(path)
            if group.has_line:
                self.show(group.line)
            return
        matched.discard(path)
        if path != group.line or not matched:
            self.hide(path)

    def _passes(self, path: Path, only: RowFilter) -> bool:
        resource = self._store.resource(self.key_at(path))
        if resource is None:
            return len(path) == 2 and only.passes((self._name(path),))
        words = [self._name(path), resource.name, resource.image, resource.state, resource.status, resource.why]
        if path in self._titles:
            words += [cell.text for cell in self.build(path).cells]
        return only.passes((*words, resource.health), resource.labels)

    # What belongs to a line

    def group_at(self, index: int) -> Group | None:
        """Return the group that the line belongs to."""
        shown = self.shown
        return self.groups.get(group_key(shown[index])) if 0 <= index < len(shown) else None

    def group_of_workload(self, resource: Resource) -> Group | None:
        """Return the group whose pods are those of this workload."""
        path = self._placed.get(resource.key)
        return self._group(path) if path is not None and path[2] == WORKLOAD else None

    def workload_of(self, key: str) -> tuple[str, str]:
        """Return the key of a pod's workload, and the pod's name beside the others of it; "" for none."""
        path = self._placed.get(key)
        if path is None or path[2] != POD:
            return "", ""
        group = self._group(path)
        name = path[3].removeprefix(f"{group.key.service}-") if len(group.pods) > 1 else ""
        return next(iter(group.workloads.values()), ""), name

    def key_at(self, path: Path) -> str:
        """Return the key of what the line stands for; "" of one that stands for several."""
        group = self._group(path)
        if path == group.line and group.has_line:
            return group.alone
        return group.compose.get(path) or group.workloads.get(path) or group.pods.get(path) or ""

    def running(self, group: Group) -> list[str]:
        """Return the images that the pods of the group's one workload run."""
        pods = (self._store.resource(key) for key in islice(group.pods.values(), PODS_ASKED))
        return [pod.image_id for pod in pods if pod is not None] if len(group.workloads) == 1 else []

    def _group(self, path: Path) -> Group:
        key = group_key(path)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(key)
        return group

    # What a line says

    def width(self, path: Path) -> int:
        """Return the cells of the line's name with its mark."""
        mark = 0 if not self._long_names else 2 if len(path) == 2 else 6
        return cell_len(self._label(path)) + mark

    def build(self, path: Path) -> Row:
        """Make the row of a line."""
        now = time.time()
        group = self._group(path)
        name, is_group = self._name(path), path == group.line and group.has_line
        resource = self._store.resource(self.key_at(path))
        if is_group:
            mark = OPEN if group.key in self.opened or self.only is not None else CLOSED
        else:
            mark = MEMBER if group.has_line else ""
        first = Cell(f"{mark}{self._label(path)}")
        if resource is None and is_group:
            made = cells.arranged(self._joint_cells(first, group, now))
            return Row(path, group.key.service, "", safe(name), made, group=group.key)
        if resource is None:
            return Row(path, group.key.service, "", name, cells.arranged({"service": Cell(name, "quiet")}), True)
        absent = resource.state in (State.ABSENT, State.PROVIDED)
        title = self._titles.get(path, name)
        first = Cell(first.text, "quiet" if absent else "plain")
        happenings = group.reloads if resource.kind in WORKLOADS else self._store.happenings(resource.key)
        about = self._store.sample(resource.key), happenings
        known = cells.line_cells(first, resource, *about, now, self._verdict(resource, group, now))
        if resource.kind in WORKLOADS:
            known["restarts"] = cells.restarts_of_pods(group.restarts)
        service = resource.service if path in self._titles else group.key.service
        return Row(path, service, resource.key, safe(title), cells.arranged(known), absent)

    def _verdict(self, resource: Resource, group: Group, now: float) -> Cell:
        if resource.runtime is Runtime.COMPOSE:
            return self.verdict(resource, now)
        return self.verdict(resource, now, self.running(group)) if resource.kind in ROLLED else NO_VERDICT

    def _joint_cells(self, name: Cell, group: Group, now: float) -> dict[str, Cell]:
        store = self._store
        compose = [one for key in group.compose.values() if (one := store.resource(key)) is not None]
        keys = group.workloads.values() or islice(group.pods.values(), 1)
        cluster = [one for key in keys if (one := store.resource(key)) is not None]
        samples = [sample for one in (*compose, *cluster) if (sample := store.sample(one.key)) is not None]
        said = [cell for one in compose if (cell := self.verdict(one, now)).text]
        # Of several replicas one may run another image: the service as a whole is then not what was tested.
        ours = next((cell for cell in said if cell.tone == "quiet"), said[0] if said else NO_VERDICT)
        verdict = cells.worst_verdict([ours, *(self._verdict(one, group, now) for one in cluster)])
        happened = [(one, store.happenings(one.key)) for one in compose]
        return cells.joint_cells(name, happened, cluster, samples, group.restarts, now, verdict)

    def _name(self, path: Path) -> str:
        group = self._group(path)
        if len(path) == 2:
            return path[0] if not path[1] else f"{path[0]} ({path[1]})"
        if path[2] == COMPOSE:
            return f"compose {self._titles[path]}" if group.has_line else self._titles[path]
        return f"{path[3]} {path[4]}" if path[2] == WORKLOAD else path[3]
