"""The table's rows: which there are, in which order, and what their cells say. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from devenv.core.model import Happening, Resource, Sample, State
from devenv.tui import facts
from devenv.tui.facts import Cell
from devenv.tui.shown import shown


class Identity(NamedTuple):
    """What a row stands for, whichever container is behind it now: it outlives a container's re-creation."""

    project: str
    service: str
    number: int
    name: str = ""  # only for what is not the one container of its service and number


class Row(Struct, frozen=True):
    """One line of the table. `cells` are in the order of CELLS and harmless."""

    identity: Identity
    key: str
    title: str
    cells: tuple[Cell, ...]
    absent: bool


CELLS: Final = ("service", "state", "health", "restarts", "cpu", "memory", "ports", "age", "verdict")
AGE: Final = CELLS.index("age")
NO_VERDICT: Final = Cell("")


class Verdict(Protocol):
    """What the smoke tests last said of a service; `running` are the images that a workload's pods run."""

    def __call__(self, resource: Resource, now: float, running: Iterable[str] = ()) -> Cell:
        """Return it as a cell."""
        ...


def arrange(resources: Iterable[Resource]) -> list[tuple[Identity, Resource]]:
    """Return the resources with their identities: services by name, as Compose lists them, replicas by number.

    The order depends on nothing but the names, so a row keeps its place when its container is re-created.
    """
    known = list(resources)
    owners: dict[Identity, Resource] = {}
    for resource in known:
        identity = Identity(resource.project, resource.service, resource.number)
        owner = owners.get(identity)
        if _regular(resource) and (owner is None or _weight(resource) > _weight(owner)):
            owners[identity] = resource
    placed = []
    for resource in known:
        identity = Identity(resource.project, resource.service, resource.number)
        if owners.get(identity) is not resource:
            identity = identity._replace(name=resource.name or resource.key)
        placed.append((identity, resource))
    placed.sort(key=lambda item: (item[1].beyond is not None, *_place(item[0])))
    return placed


def _place(identity: Identity) -> tuple[bool, str, str, bool, int, str]:
    project, service, number, name = identity
    return (not service, service, project, bool(name), number, name)


def _regular(resource: Resource) -> bool:
    return bool(resource.service) and not resource.one_off


def _weight(resource: Resource) -> tuple[bool, float]:
    # While a container is re-created two claim the place: the one that runs has it, then the younger one.
    return (resource.state.is_up, resource.created_at or 0.0)


def title(identity: Identity, resource: Resource, replicas: Mapping[tuple[str, str], int]) -> str:
    """Return the name in the first column: the service, with the replica's number where there are several."""
    if resource.beyond is not None and not resource.one_off:
        return f"{resource.service or resource.name} ({resource.beyond})"
    if not _regular(resource):
        return f"{resource.name or resource.key}{' (one-off)' if resource.one_off else ''}"
    if identity.name:
        return f"{resource.service} ({resource.name})"
    several = replicas.get((resource.project, resource.service), 1) > 1 or resource.number > 1
    return f"{resource.service}-{resource.number}" if several else resource.service


def build(
    identity: Identity,
    resource: Resource,
    name: str,
    sample: Sample | None,
    happenings: tuple[Happening, ...],
    now: float,
    verdict: Cell = NO_VERDICT,
) -> Row:
    """Make the row of one resource; `verdict` is what the smoke tests last said about its service."""
    absent = resource.state in (State.ABSENT, State.PROVIDED)
    cells = (
        Cell(name, "quiet" if absent else "plain"),
        facts.state_cell(resource, happenings, now),
        facts.health_cell(resource),
        facts.restarts_cell(resource),
        facts.cpu_cell(resource, sample),
        facts.memory_cell(resource, sample),
        facts.ports_cell(resource),
        facts.age_cell(resource, now),
        verdict,
    )
    safe = tuple(Cell(shown(cell.text), cell.tone) for cell in cells)
    return Row(identity, resource.key, safe[0].text, safe, absent)


def count_replicas(resources: Iterable[Resource]) -> dict[tuple[str, str], int]:
    """Count the replicas of each service; a container that is just being replaced is not one more."""
    numbers: dict[tuple[str, str], set[int]] = {}
    for resource in resources:
        if _regular(resource):
            numbers.setdefault((resource.project, resource.service), set()).add(resource.number)
    return {service: len(found) for service, found in numbers.items()}


def matches(resource: Resource, row: Row, needle: str) -> bool:
    """Whether the row is one that a filter text means: a part of its name, state, health, image or ports."""
    if not needle:
        return True
    haystack = "\n".join((row.title, resource.name, resource.image, *(cell.text for cell in row.cells)))
    return needle.casefold() in haystack.casefold()
