"""What Compose writes on the containers it makes: where a project was started from, and its services without its files.

The labels are those of docker/compose, pkg/api/labels.go; its own `-p NAME stop` reads a project from them alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from devenv.core.model import Dependency, Health, Project, Resource, Service

LABEL_FOLDER: Final = "com.docker.compose.project.working_dir"
LABEL_FILES: Final = "com.docker.compose.project.config_files"
LABEL_DEPENDS_ON: Final = "com.docker.compose.depends_on"


def project_of(name: str, containers: Iterable[Resource]) -> Project:
    """Return the project that the labels tell of. A service is as many replicas as there are."""
    regular = sorted((item for item in containers if item.service and not item.one_off), key=lambda item: item.service)
    replicas: dict[str, list[Resource]] = {}
    for item in regular:
        replicas.setdefault(item.service, []).append(item)
    labels = dict(regular[0].labels) if regular else {}
    return Project(
        name=name,
        directory=labels.get(LABEL_FOLDER, ""),
        files=_listed(labels.get(LABEL_FILES, "")),
        services=tuple(_service(service, items) for service, items in replicas.items()),
        by_labels=True,
    )


def started_elsewhere(project: Project, resources: Iterable[Resource]) -> str:
    """Say that containers of the project were started from another folder or with other files; "" where none were.

    Two clones of a project have one name, and to Compose they are one project.
    """
    if not project.files or project.by_labels:
        return ""  # COMPOSE_FILE names them, so that Compose alone knows the folder
    here, files = Path(project.directory).resolve(), _resolved(project.files)
    for resource in resources:
        labels = dict(resource.labels)
        folder = labels.get(LABEL_FOLDER, "")
        if folder and Path(folder).resolve() != here:
            return f"project {project.name} was started from {folder}"
        others = _listed(labels.get(LABEL_FILES, ""))
        if others and "-" not in others and _resolved(others) != files:  # "-": Compose read it from a pipe
            return f"project {project.name} was started with other files: {', '.join(others)}"
    return ""


def _service(name: str, containers: list[Resource]) -> Service:
    first = containers[0]
    return Service(
        name,
        first.image,
        replicas=len(containers),
        has_healthcheck=first.health is not Health.NONE,
        depends_on=tuple(_dependencies(dict(first.labels).get(LABEL_DEPENDS_ON, ""))),
    )


def _dependencies(label: str) -> Iterable[Dependency]:
    # service:condition:restart, with commas between them
    for entry in _listed(label):
        service, _, rest = entry.partition(":")
        yield Dependency(service, rest.partition(":")[0] or "service_started")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(entry for entry in text.split(",") if entry)


def _resolved(files: Iterable[str]) -> set[Path]:
    return {Path(file).resolve() for file in files}
