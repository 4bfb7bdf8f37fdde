"""Were the containers that exist started from here, and with these files?"""

from __future__ import annotations

from devenv.backends.docker.labels import started_elsewhere
from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level


def check(context: Context) -> Finding:
    """The labels of the project's containers: two clones of a project have one name, and change the same containers."""
    project = context.project()
    other = started_elsewhere(project, context.containers())
    if other:
        fix = "Work there, or give this one a name of its own: -p NAME or COMPOSE_PROJECT_NAME."
        return Finding("origin", Level.WARNING, f"{other[0].upper()}{other[1:]}", fix)
    found = "were started from here" if context.containers() else "do not exist yet"
    return Finding("origin", Level.OK, f"The containers of {project.name} {found}")
