"""Which services a wish touches."""

from __future__ import annotations

from dataclasses import replace

from devenv.core.model import Project


def scope_of(project: Project, services: tuple[str, ...]) -> Project:
    """Return the project reduced to these services and all they depend on; none named: the whole project."""
    if not services:
        return project
    by_name = {service.name: service for service in project.services}
    wanted: set[str] = set()
    todo = list(services)
    while todo:
        name = todo.pop()
        if name in by_name and name not in wanted:
            wanted.add(name)
            todo.extend(dependency for dependency, _ in by_name[name].depends_on)
    return replace(project, services=tuple(service for service in project.services if service.name in wanted))
