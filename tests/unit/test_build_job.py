"""`build` as a job of the terminal and of a deployment, and as what `up --build` does first; Compose is a script."""

from __future__ import annotations

import json
import threading
import time
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakedocker import fake_docker

from devenv.backends.compose import ComposeOptions
from devenv.cli import up
from devenv.cli.context import Context
from devenv.control.build_job import BuildJob
from devenv.control.job import Job, Report
from devenv.core.errors import DevenvError, EngineUnreachable, Interrupted, ProjectError
from devenv.core.model import Dependency, Project, Service

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

    def run(self, report: Report) -> None:
        self.done = True
        if self.error is not None:
            raise self.error

    def interrupt(self) -> None:
        self.interrupted = True


def test_what_comes_before_a_verb_is_part_of_it(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, f'echo "$@" >> {tmp_path}/said')
    options = ComposeOptions(directory=str(tmp_path))
    first = First()
    job = Job(options, PROJECT, "up", ("--no-build",), (), environ, before=first)
    job.run(lambda record: None)
    assert first.done
    assert (tmp_path / "said").read_text() == "compose --progress json up --no-build\n"
    job.interrupt()
    assert first.interrupted
    with pytest.raises(ProjectError):
        Job(options, PROJECT, "up", (), (), environ, before=First(ProjectError("x"))).run(lambda record: None)
    assert len((tmp_path / "said").read_text().splitlines()) == 1, "Compose is not started after a failure"


@pytest.mark.parametrize(
    ("policies", "flag"),
    [
        ({}, "--no-build"),
        ({"web": "never", "lib": "if_not_present", "db": "always"}, "--no-build"),
        ({"lib": "always"}, "--build"),
        ({"web": "every_12h"}, "--build"),
        ({"web": "daily"}, "--build"),
    ],
)
def test_up_leaves_the_build_to_compose_where_an_image_may_be_pulled(policies: dict[str, str], flag: str) -> None:
    services: dict[str, Any] = {name: {} for name in ("web", "lib", "db")}
    for name, policy in policies.items():
        services[name]["pull_policy"] = policy
    context = cast("Context", SimpleNamespace(options=ComposeOptions(), environ={}, config=SimpleNamespace(root=None)))
    document = json.dumps({"services": services}).encode()
    before = up.builds_before(context, PROJECT, document, ("web",))
    options = up.compose_flags(Namespace(build=True, no_build=False, remove_orphans=False), before)
    assert [option for option in options if option.endswith("build")] == [flag]
    assert up.builds_before(context, PROJECT, document, ("db",)) is None
