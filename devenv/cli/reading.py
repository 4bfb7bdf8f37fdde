"""Read the engine's state of a project, once."""

from __future__ import annotations

from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.snapshot import read_resources
from devenv.cli.context import Context
from devenv.core.model import Project, Resource


def read_project(context: Context, project: Project) -> tuple[Resource, ...]:
    """Return the project's resources in full; raises EngineUnreachable, EngineForbidden."""
    return read_resources(project, resolve_endpoint(context.environ))
