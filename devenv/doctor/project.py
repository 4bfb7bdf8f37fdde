"""Is there a Compose project here that Compose accepts?"""

from __future__ import annotations

from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level


def check(context: Context) -> Finding:
    """The project; raises ProjectError with the file and the line where Compose rejects it."""
    project = context.project()
    if project.problem:
        fix = "Compose shows and stops what there is; `up` needs it."
        return Finding("project", Level.WARNING, f"{project.name}: {project.problem}", fix)
    if not project.services:
        return Finding(
            "project",
            Level.WARNING,
            f"Project {project.name} has no service",
            "Services with a profile need --profile or COMPOSE_PROFILES.",
        )
    return Finding("project", Level.OK, f"{project.name}: {len(project.services)} services, {', '.join(project.files)}")
