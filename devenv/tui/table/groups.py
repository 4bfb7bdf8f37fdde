"""Which resources belong together: services of both runtimes, containers of one place, and what each is called."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from devenv.core.model import Happening, Resource, Runtime
from devenv.tui.table.cells import WORKLOADS
from devenv.tui.table.lines import GroupKey, Path

SHOWN_KINDS: Final = WORKLOADS | {"pod"}
PODS_MERGED: Final = 20  # without a workload, whose logs are put together
LAST: Final = "\U0010ffff"  # what has no service stands after all that have one
COMPOSE, WORKLOAD, POD = "0", "1", "2"  # the third part of a member's path


class Group:
    """The members of one service by their place; a place is the path of the member's line."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.line: Path = tuple(key)  # where its own line stands
        self.compose: dict[Path, str] = {}
        self.workloads: dict[Path, str] = {}
        self.pods: dict[Path, str] = {}
        self.restarts = 0  # of the pods together
        self.reloads: tuple[Happening, ...] = ()  # what a watch last reported of one of them

    @property
    def has_line(self) -> bool:
        """Whether it is one line that opens; else its members are lines by themselves."""
        return bool(self.workloads) or (bool(self.compose) and bool(self.pods))

    @property
    def alone(self) -> str:
        """The key of the one workload that its line stands for; "" where it stands for more."""
        return next(iter(self.workloads.values())) if len(self.workloads) == 1 and not self.compose else ""

    @property
    def shape(self) -> tuple[bool, str, bool]:
        """What its lines depend on: whether it has one of its own, what that stands for, whether it is in both."""
        return self.has_line, self.alone, bool(self.compose) and bool(self.workloads or self.pods)

    @property
    def empty(self) -> bool:
        """Whether nothing is left of it."""
        return not (self.compose or self.workloads or self.pods)

    def sources(self) -> dict[str, str]:
        """Return the keys of what it logs and uses, each with the runtime's name; pods where it has no workload."""
        there = self.workloads.values() or islice(self.pods.values(), PODS_MERGED)
        return dict.fromkeys(self.compose.values(), "compose") | dict.fromkeys(there, "k8s")

    def members(self) -> list[Path]:
        """Return the lines below its own, or those that stand for it where it has none."""
        workloads = () if self.alone else self.workloads
        return [*self.compose, *workloads, *self.pods]


def group_key(path: Path) -> GroupKey:
    """Return the service that a line belongs to."""
    return GroupKey(path[0], path[1])


def belongs(resource: Resource) -> bool:
    """Whether a resource of a cluster has a line in the table of services."""
    if resource.runtime is not Runtime.KUBERNETES or resource.kind not in SHOWN_KINDS:
        return False
    # Replica sets and jobs that somebody owns are steps of their owner: their pods tell what there is to tell.
    return resource.kind not in ("replicaset", "job") or not resource.owner


def object_path(resource: Resource, home: str) -> Path:
    """Return the place of a cluster's resource; services of the namespace `home` are those of the Compose project."""
    start = (resource.service or resource.name or LAST, "" if resource.namespace == home else resource.namespace)
    if resource.kind == "pod":
        return (*start, POD, resource.name, resource.key)
    return (*start, WORKLOAD, resource.kind, resource.name, resource.key)


def compose_places(resources: Iterable[Resource]) -> dict[Path, tuple[Resource, str]]:
    """Return the place and the title of each container of Compose: services by name, replicas by number.

    A place depends on nothing but names, so a line stays where it is when its container is re-created. What has no
    service comes after the services, and then what is no part of the project as it is now.
    """
    known = list(resources)
    owners: dict[tuple[str, str, int], Resource] = {}
    numbers: dict[tuple[str, str], set[int]] = {}
    for resource in known:
        if _regular(resource):
            place = (resource.project, resource.service, resource.number)
            if place not in owners or _weight(resource) > _weight(owners[place]):
                owners[place] = resource
            # A container that is just being replaced is not one more.
            numbers.setdefault(place[:2], set()).add(resource.number)
    placed: dict[Path, tuple[Resource, str]] = {}
    for resource in known:
        owns = owners.get((resource.project, resource.service, resource.number)) is resource
        name = "" if owns else resource.name or resource.key
        service = resource.service or LAST
        if resource.beyond is not None:
            service = f"{LAST}{LAST}{resource.service}"
        path: Path = (service, "", COMPOSE, resource.project, f"{bool(name):d}{resource.number:08d}", name)
        if path in placed:
            path = (*path, resource.key)
        several = len(numbers.get((resource.project, resource.service), ())) > 1 or resource.number > 1
        placed[path] = (resource, _title(resource, name, several=several))
    return placed


def _regular(resource: Resource) -> bool:
    return bool(resource.service) and not resource.one_off


def _weight(resource: Resource) -> tuple[bool, float]:
    # While a container is re-created two claim the place: the one that runs has it, then the younger one.
    return (resource.state.is_up, resource.created_at or 0.0)


def _title(resource: Resource, name: str, *, several: bool) -> str:
    """Return the name in the first column: the service, with the replica's number where there are several."""
    if not _regular(resource):
        remark = "one-off" if resource.one_off else resource.beyond
        return f"{resource.name or resource.key}{f' ({remark})' if remark else ''}"
    remarks = ", ".join(filter(None, (resource.name if name else "", resource.beyond)))
    title = f"{resource.service}-{resource.number}" if several and not name else resource.service
    return f"{title} ({remarks})" if remarks else title
