"""A project read from the labels that Compose wrote on its containers, and where those were started from."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from devenv.backends.compose import ComposeOptions
from devenv.backends.docker.parse import LABEL_DEPENDS_ON, LABEL_FILES, LABEL_FOLDER, project_of, started_elsewhere
from devenv.core.model import Dependency, Project, Resource, Runtime, State


def container(service: str, number: int = 1, **labels: str) -> Resource:
    made = Resource(
        f"docker/{service}{number}", Runtime.COMPOSE, "container", f"p-{service}-{number}", service, State.EXITED
    )
    return replace(made, number=number, image="img:1", labels=tuple(labels.items()))


STARTED = {LABEL_FOLDER: "/there", LABEL_FILES: "/there/compose.yaml,/there/dev.yaml"}


def test_services_are_those_of_the_containers() -> None:
    web = container("web", **STARTED, **{LABEL_DEPENDS_ON: "db:service_healthy:false,cache:service_started:true"})
    found = project_of("p", (web, container("web", 2), replace(container("tool"), one_off=True), container("db")))
    assert (found.name, found.directory, found.files) == ("p", "", ())
    assert [(item.name, item.replicas) for item in found.services] == [("db", 1), ("web", 2)]
    assert found.services[1].depends_on == (Dependency("db", "service_healthy"), Dependency("cache"))
    alone = project_of("p", (web,))
    assert (alone.directory, alone.files) == ("/there", ("/there/compose.yaml", "/there/dev.yaml"))
    assert project_of("p", ()).services == ()


def test_compose_is_called_by_the_name_alone_where_the_files_cannot_be_read() -> None:
    options = ComposeOptions("/here", ("/here/compose.yaml",), ("dev",), ("/here/x.env",))
    by_name = options.for_project(project_of("p", ()))
    assert by_name.command("stop") == ["docker", "compose", "--project-name", "p", "stop"]
    assert options.for_project(Project("p", "/here", (), ())) is options


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({}, ""),
        ({LABEL_FOLDER: "{here}", LABEL_FILES: "{here}/compose.yaml"}, ""),
        ({LABEL_FOLDER: "{here}/../here", LABEL_FILES: "{here}/link.yaml"}, ""),
        ({LABEL_FOLDER: "{here}", LABEL_FILES: "-"}, ""),
        ({LABEL_FOLDER: "/there"}, "project p was started from /there"),
        (
            {LABEL_FOLDER: "{here}", LABEL_FILES: "{here}/compose.yaml,{here}/dev.yaml"},
            "project p was started with other files: {here}/compose.yaml, {here}/dev.yaml",
        ),
    ],
)
def test_another_folder_or_other_files_are_told(tmp_path: Path, labels: dict[str, str], told: str) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "compose.yaml").touch()
    (here / "link.yaml").symlink_to(here / "compose.yaml")
    project = Project("p", str(here), (str(here / "compose.yaml"),), ())
    filled = {name: value.format(here=here) for name, value in labels.items()}
    assert started_elsewhere(project, (container("web", **filled),)) == told.format(here=here)
    assert started_elsewhere(replace(project, files=()), (container("web", **filled),)) == ""
