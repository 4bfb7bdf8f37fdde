"""`build` as a job of the terminal and of a deployment, and as what `up --build` does first; Compose is a script."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fakedocker import fake_docker

from devenv.backends.compose import ComposeOptions
from devenv.builds.definition import read_definitions
from devenv.builds.key import KeyReader
from devenv.builds.plan import labels_for
from devenv.builds.store import Store
from devenv.control.build_job import BuildJob
from devenv.control.job import Job, Report
from devenv.control.stream import Remark
from devenv.control.up import up_job
from devenv.core.errors import DevenvError, EngineUnreachable, Interrupted, ProjectError
from devenv.core.model import Dependency, Project, Service
from fakes.docker_engine import FakeEngine

PROJECT = Project(
    "p",
    "/p",
    (),
    (Service("web", builds=True, depends_on=(Dependency("lib"),)), Service("lib", builds=True), Service("db")),
)


def build_job(folder: Path, script: str) -> BuildJob:
    environ = fake_docker(folder, script) | {"DOCKER_HOST": f"unix://{folder}/nobody.sock"}
    return BuildJob(ComposeOptions(directory=str(folder)), PROJECT, (), environ, folder)


def test_it_can_be_canceled_while_compose_resolves(tmp_path: Path) -> None:
    job = build_job(tmp_path, f"touch {tmp_path}/began; exec sleep 60")
    failure: list[BaseException] = []

    def run() -> None:
        try:
            job.run(lambda record: None)
        except Interrupted as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 30
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.interrupt()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(failure[0], Interrupted)
    assert job.steps == 0


def test_canceled_before_it_began_it_starts_nothing(tmp_path: Path) -> None:
    job = build_job(tmp_path, f"touch {tmp_path}/began")
    job.interrupt()
    with pytest.raises(Interrupted):
        job.run(lambda record: None)
    assert not (tmp_path / "began").exists()


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("echo 'no configuration file provided' >&2; exit 1", ProjectError),
        ("""echo '{"name": "p", "services": {}}'""", EngineUnreachable),
    ],
)
def test_what_fails_before_the_build_is_told_as_it_is(tmp_path: Path, script: str, kind: type[DevenvError]) -> None:
    with pytest.raises(kind):
        build_job(tmp_path, script).run(lambda record: None)


class First:
    """Something before a verb."""

    def __init__(self, error: DevenvError | None = None) -> None:
        self.error = error
        self.interrupted = False
        self.done = False

    def run(self, report: Report) -> tuple[str, ...]:
        self.done = True
        if self.error is not None:
            raise self.error
        return ("--no-build",)

    def interrupt(self) -> None:
        self.interrupted = True


def test_what_comes_before_a_verb_is_part_of_it(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, f'echo "$@" >> {tmp_path}/said')
    options = ComposeOptions(directory=str(tmp_path))
    first = First()
    job = Job(options, PROJECT, "up", (), (), environ, before=first)
    job.run(lambda record: None)
    assert first.done
    assert (tmp_path / "said").read_text() == "compose --progress json up --no-build\n"
    job.interrupt()
    assert first.interrupted
    with pytest.raises(ProjectError):
        Job(options, PROJECT, "up", (), (), environ, before=First(ProjectError("x"))).run(lambda record: None)
    assert len((tmp_path / "said").read_text().splitlines()) == 1, "Compose is not started after a failure"


@pytest.mark.parametrize(
    ("given", "policies", "flag"),
    [
        ("--build", {}, "--no-build"),
        ("--build", {"web": "never", "lib": "if_not_present", "db": "always"}, "--no-build"),
        ("--build", {"lib": "always"}, "--build"),
        ("--build", {"web": "every_12h"}, "--build"),
        ("--build", {"web": "daily"}, "--build"),
        ("--no-build", {}, "--no-build"),
        ("--no-recreate", {}, "--no-recreate"),
        ("", {}, "--no-build"),
        ("", {"web": "never", "lib": "build", "db": "always"}, "--no-build"),
        ("", {"lib": "missing"}, ""),
        ("", {"web": "always"}, ""),
    ],
)
def test_up_leaves_the_build_to_compose_where_an_image_may_be_pulled(
    tmp_path: Path, given: str, policies: dict[str, str], flag: str
) -> None:
    said = up_said(tmp_path, {name: {"pull_policy": policy} for name, policy in policies.items()}, given)
    assert said.splitlines() == [" ".join(filter(None, ["compose --progress json up", flag, "web"]))]


def test_up_of_services_that_are_not_built_asks_nobody_about_images(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, f'echo "$@" >> {tmp_path}/said') | {"DOCKER_HOST": "unix:///nobody"}
    up_job(ComposeOptions(directory=str(tmp_path)), PROJECT, (), ("db",), environ).run(lambda record: None)
    assert (tmp_path / "said").read_text() == "compose --progress json up db\n"
    code = (
        "import sys\n"
        "from devenv.backends.compose import ComposeOptions\n"
        "from devenv.control.up import up_job\n"
        "from devenv.core.model import Project, Service\n"
        "up_job(ComposeOptions(), Project('p', '/p', (), (Service('db'),)))\n"
        "assert not [name for name in sys.modules if name.startswith(('devenv.builds', 'devenv.control.build'))]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_service_without_a_key_is_left_to_compose_and_that_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    bodies: dict[str, dict[str, Any]] = {"lib": {"build": {"context": "https://example.org/repository.git"}}}
    assert up_said(tmp_path, bodies, told=told) == "compose --progress json up web\n"
    assert [text.partition(", its content has no key: ")[0] for text in told] == ["the image of lib is left to Compose"]
    bodies["lib"]["build"]["context"] = str(tmp_path / "gone")
    assert up_said(tmp_path, bodies, told=told) == "compose --progress json up web\n"
    assert "gone" in told[-1]


def up_said(tmp_path: Path, bodies: dict[str, dict[str, Any]], flag: str = "", told: list[str] | None = None) -> str:
    """Run `up web` on an engine that has both images, and return how Compose was called after that.

    `bodies` say what differs of web and lib, which both have a context of their own.
    """
    services: dict[str, dict[str, Any]] = {}
    for name in ("web", "lib"):
        context = tmp_path / name
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text("FROM scratch\n")
        services[name] = {"build": {"context": str(context)}} | bodies.get(name, {})
    document = {"name": "p", "services": services | {"db": bodies.get("db", {})}}
    definitions = read_definitions(document, {})
    reader = KeyReader(definitions, {}, Store(tmp_path))
    entries = []
    for name in ("web", "lib"):
        with suppress(ProjectError):
            labels = labels_for(name, reader.read(name, reader.graph({}), {}).key)
            entries.append({"Id": f"sha256:{name}", "RepoTags": [f"p-{name}:latest"], "Labels": labels})
    (tmp_path / "said").unlink(missing_ok=True)
    with FakeEngine() as engine:
        engine.faults["/images/json"] = (200, json.dumps(entries).encode())
        environ = fake_docker(tmp_path, f'echo "$@" >> {tmp_path}/said') | {"DOCKER_HOST": engine.host}
        options = ComposeOptions(directory=str(tmp_path))
        flags = (flag,) if flag else ()
        job = up_job(options, PROJECT, flags, ("web",), environ, tmp_path, json.dumps(document).encode())
        job.run(lambda record: told.append(record.text) if told is not None and isinstance(record, Remark) else None)
    return (tmp_path / "said").read_text()
