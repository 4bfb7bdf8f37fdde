"""Where the resources of both runtimes stand among the lines, and which of them belong together."""

from __future__ import annotations

from devenv.core.model import Resource
from devenv.core.state import Store
from devenv.tui.kube.groups import Group, GroupKey
from devenv.tui.kube.lines import Lines, Path

COMPOSE, WORKLOAD, POD = "0", "1", "2"  # the third part of a path


class PlacedLines(Lines):
    """Answers questions about lines, resources and their groups."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self.groups: dict[GroupKey, Group] = {}
        self._placed: dict[str, Path] = {}  # where each resource of the cluster stands

    def group_at(self, index: int) -> Group | None:
        """Return the group that the line belongs to."""
        if not 0 <= index < len(self._paths):
            return None
        return self.groups.get(group_key(self._paths[index]))

    def group_for(self, key: str) -> Group | None:
        """Return the group that a row of this key stands for as a whole: a joint line, or a workload."""
        if key.startswith("group:"):
            service, _, namespace = key.removeprefix("group:").partition("\n")
            return self.groups.get(GroupKey(service, namespace))
        resource = self._store.resource(key)
        return self.group_of_workload(resource) if resource is not None else None

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

    def index_of_group(self, group: Group) -> int | None:
        """Return where the group's own line is."""
        return self.find(self.identity(self._line(group)))

    def _group(self, path: Path) -> Group:
        key = group_key(path)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(key)
        return group

    @staticmethod
    def _line(group: Group) -> Path:
        return tuple(group.key)


def group_key(path: Path) -> GroupKey:
    """Return the service that a line belongs to."""
    return GroupKey(path[0], path[1])
