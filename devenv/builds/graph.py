"""The services of a project as a graph: which image is made from which other service's.

Edges are facts: `additional_contexts` with `service:x`, and FROM, COPY --from or a mount of an image that another
service builds. `depends_on` between services that are built is an edge to show alone: it says who needs whom when they
run, and changes no image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Final

import msgspec

from devenv.core.errors import ProjectError
from devenv.core.text import sanitize

CONTEXT: Final = "context"
IMAGE: Final = "image"
DEPENDS_ON: Final = "depends_on"
_BY: Final = {CONTEXT: "additional_contexts", IMAGE: "FROM or COPY --from", DEPENDS_ON: "depends_on"}


class Edge(msgspec.Struct, frozen=True, order=True):
    """`service` needs `needs`; by which `kind` of fact, and under which name the Dockerfile or Compose has it."""

    service: str
    needs: str
    kind: str
    name: str = ""


class Graph(msgspec.Struct, frozen=True):
    """Services and edges, both sorted."""

    services: tuple[str, ...]
    edges: tuple[Edge, ...]

    def bases(self, service: str) -> tuple[str, ...]:
        """Return the services from whose images this one's is made."""
        services = {edge.needs for edge in self.edges if edge.service == service and edge.kind != DEPENDS_ON}
        return tuple(sorted(services))

    def order(self) -> tuple[str, ...]:
        """Return the services, each after its bases. Raises ProjectError that names the services of a circle."""
        sorter = TopologicalSorter({service: self.bases(service) for service in self.services})
        try:
            return tuple(sorter.static_order())
        except CycleError as error:
            circle = list(reversed(error.args[1]))
            raise ProjectError(
                f"The images of these services are made from each other: {sanitize(' -> '.join(circle))}",
                f"Take out one of: {'; '.join(self._facts(circle))}.",
            ) from error

    def with_bases(self, services: Iterable[str]) -> frozenset[str]:
        """Return these services and all whose images theirs are made from."""
        return self._reached(services, self.bases)

    def with_dependents(self, services: Iterable[str]) -> frozenset[str]:
        """Return these services and all whose images are made from theirs."""
        above: dict[str, list[str]] = {}
        for service in self.services:
            for base in self.bases(service):
                above.setdefault(base, []).append(service)
        return self._reached(services, lambda service: above.get(service, ()))

    def _reached(self, services: Iterable[str], step: Callable[[str], Iterable[str]]) -> frozenset[str]:
        reached: set[str] = set()
        todo = list(services)
        while todo:
            service = todo.pop()
            if service not in reached:
                reached.add(service)
                todo += step(service)
        return frozenset(reached)

    def _facts(self, circle: list[str]) -> list[str]:
        facts = {(edge.service, edge.needs): edge.kind for edge in self.edges if edge.kind != DEPENDS_ON}
        pairs = [pair for pair in pairwise(circle) if pair in facts]
        return [f"{sanitize(pair[0])}'s {_BY[facts[pair]]}" for pair in pairs]


def shared_folders(folders: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return the context folders that several services are built from, with those services."""
    users: dict[str, set[str]] = {}
    for service, used in folders.items():
        for folder in used:
            users.setdefault(folder, set()).add(service)
    return {folder: tuple(sorted(who)) for folder, who in sorted(users.items()) if len(who) > 1}
