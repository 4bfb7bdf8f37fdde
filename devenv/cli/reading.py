"""Read the engine's state of a project, once."""

from __future__ import annotations

from msgspec.structs import replace

from devenv.backends.compose import begin_resolve
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.snapshot import read_resources
from devenv.cli.console import still_waiting
from devenv.cli.context import Context
from devenv.core.errors import ProjectError
from devenv.core.model import Project, Resource


def read_project(context: Context, project: Project) -> tuple[Resource, ...]:
    """Return the project's resources in full; raises EngineUnreachable, EngineForbidden."""
    endpoint = resolve_endpoint(context.environ)
    with still_waiting(f"the Docker Engine at {endpoint.shown}", no_color=context.no_color):
        return read_resources(project, endpoint)


def declared_services(context: Context, project: Project) -> dict[str, tuple[str, ...]]:
    """Return the services of all profiles with theirs; those of `project` where the other profiles do not resolve."""
    active = {service.name: service.profiles for service in project.services}
    if project.by_labels:
        return active
    try:
        every = begin_resolve(replace(context.options, profiles=("*",))).result()
    except ProjectError:  # a variable that only an inactive profile needs is no reason to fail
        return active
    return active | {service.name: service.profiles for service in every.services}
