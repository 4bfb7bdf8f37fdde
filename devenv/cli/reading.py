"""Read the engine's state of a project, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from devenv.backends.compose import begin_resolve
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.snapshot import read_resources
from devenv.cli.context import Context
from devenv.core.errors import ProjectError
from devenv.core.model import Project, Resource


def read_project(context: Context, project: Project) -> tuple[Resource, ...]:
    """Return the project's resources in full; raises EngineUnreachable, EngineForbidden."""
    return read_resources(project, resolve_endpoint(context.environ))


def declared_services(context: Context, project: Project) -> frozenset[str]:
    """Return the services of all profiles; those of `project` where the other profiles do not resolve."""
    active = frozenset(service.name for service in project.services)
    try:
        every = begin_resolve(replace(context.options, profiles=("*",))).result()
    except ProjectError:  # a variable that only an inactive profile needs is no reason to fail
        return active
    return active | {service.name for service in every.services}


def started_elsewhere(project: Project, resources: Iterable[Resource]) -> str:
    """Return the other folder from which containers of the project were started; "" where there is none.

    Two clones of a project have one name, and to Compose they are one project.
    """
    if not project.files:
        return ""  # COMPOSE_FILE names them, so that Compose alone knows the folder
    here = Path(project.directory).resolve()
    for resource in resources:
        folder = dict(resource.labels).get("com.docker.compose.project.working_dir", "")
        if folder and Path(folder).resolve() != here:
            return folder
    return ""
