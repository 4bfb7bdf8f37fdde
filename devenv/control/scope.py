"""Which services a command touches."""

from __future__ import annotations

from msgspec.structs import replace

from devenv.core.model import Project


def scope_of(project: Project, services: tuple[str, ...]) -> Project:
    """Return the project reduced to these services and all they depend on; none named: the whole project."""
    if not services:
        return project
    wanted = _reached(project, services)
    return replace(project, services=tuple(service for service in project.services if service.name in wanted))


def optional_of(project: Project, services: tuple[str, ...]) -> frozenset[str]:
    """Return what these services do without: all that is reached through a dependency that is not required alone."""
    if not services:
        return frozenset()  # the whole project was asked for
    return frozenset(_reached(project, services) - _reached(project, services, required_only=True))


def sharers_of(project: Project, services: tuple[str, ...]) -> tuple[str, ...]:
    """Return the services, beside these, that live in a namespace of theirs: with its owner's restart they lose it."""
    owners = set(services)
    found: list[str] = []
    while new := [item.name for item in project.services if item.name not in owners and owners & set(item.shares)]:
        found += new
        owners |= set(new)
    return tuple(found)


def _reached(project: Project, services: tuple[str, ...], *, required_only: bool = False) -> set[str]:
    by_name = {service.name: service for service in project.services}
    reached: set[str] = set()
    todo = list(services)
    while todo:
        name = todo.pop()
        if name in by_name and name not in reached:
            reached.add(name)
            todo += [item.service for item in by_name[name].depends_on if item.required or not required_only]
    return reached
