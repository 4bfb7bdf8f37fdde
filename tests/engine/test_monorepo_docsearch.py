"""docsearch as the monorepo it is: two applications and what they share; a change costs no more than it needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from program import ROOT, Program, program

from devenv.backends.docker.endpoint import Endpoint
from tests import forked

pytestmark = pytest.mark.engine
LIMIT = 300.0  # seconds for one call: a first build downloads the services' dependencies
SOURCES = {
    "backend": "compose/backend/docindexer/__init__.py",
    "frontend": "compose/frontend/docfront/__init__.py",
    "shared": "compose/shared/docshared/__init__.py",
}
NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*_cache", ".devenv", ".env", "secrets")


@dataclass(frozen=True)
class Monorepo:
    """A copy of docsearch that a test may edit."""

    project: Program

    def run(self, *words: str) -> dict[str, Any]:
        """Run devenv, and return its JSON."""
        project = self.project
        done = forked.run("devenv", *words, "--json", cwd=project.folder, env=project.environ, timeout=LIMIT)
        assert done.returncode == 0, done.stderr[-4000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def built(self) -> set[str]:
        """Build, and return the services that were built."""
        return {step["service"] for step in self.run("build")["steps"] if step["action"] == "built"}

    def planned(self) -> set[str]:
        """Return the services that would be built."""
        return {step["service"] for step in self.run("build", "--dry-run")["steps"] if step["action"] == "build"}

    def images(self) -> dict[str, str]:
        """Return the id of each service's image."""
        tag = self.project.variables["IMAGE_TAG"]
        command = ["docker", "image", "inspect", "--format", "{{.Id}}"]
        names = [f"docsearch-{service}:{tag}" for service in ("backend", "frontend")]
        done = subprocess.run([*command, *names], capture_output=True, text=True, check=True)
        return dict(zip(("backend", "frontend"), done.stdout.split(), strict=True))

    def checked(self) -> set[str]:
        """Run the task `check` of every package, and return the packages where it was run."""
        return {task["package"] for task in self.run("run", "check")["tasks"] if task["status"] == "passed"}

    def edit(self, name: str) -> None:
        file = self.project.folder / SOURCES[name]
        file.write_text(f"{file.read_text('utf-8')}# {time.time_ns()}\n", "utf-8")


@pytest.fixture
def docsearch(engine: Endpoint, base_image: str, tmp_path: Path) -> Iterator[Monorepo]:
    folder = tmp_path / "docsearch"
    shutil.copytree(ROOT / "compose", folder / "compose", ignore=NOT_COPIED)
    tables = '[compose]\nfiles = ["compose/compose.yaml"]\n\n[tasks.check]\ncommand = "python3 -m compileall -q ."\n'
    (folder / "devenv.toml").write_text(tables)
    tag = f"test-{uuid.uuid4().hex[:8]}"
    with program(str(folder), tmp_path / "state", base_image, PYTHON_IMAGE=base_image, IMAGE_TAG=tag) as project:
        yield Monorepo(project)


def test_a_change_runs_the_tasks_of_what_is_made_from_it(docsearch: Monorepo) -> None:
    assert docsearch.checked() == {"backend", "frontend", "shared"}
    assert docsearch.checked() == set()
    for name, expected in (
        ("frontend", {"frontend"}),
        ("backend", {"backend"}),
        ("shared", {"backend", "frontend", "shared"}),
    ):
        docsearch.edit(name)
        assert docsearch.checked() == expected, name
        assert docsearch.checked() == set()


def test_a_build_does_what_a_change_needs_and_the_dry_run_says_it_before(docsearch: Monorepo) -> None:
    """T044 to T048 of the list; T049, what that saves in time, is measured by `python -m benchmarks.bench_builds`."""
    both = {"backend", "frontend"}
    assert docsearch.planned() == both
    assert docsearch.built() == both
    assert docsearch.built() == docsearch.planned() == set()
    for name, expected in (("frontend", {"frontend"}), ("backend", {"backend"}), ("shared", both)):
        before = docsearch.images()
        docsearch.edit(name)
        assert docsearch.planned() == expected, name
        assert docsearch.built() == expected, name
        after = docsearch.images()
        assert {service for service in both if after[service] != before[service]} == expected, name
        assert docsearch.built() == set(), name
    graph = docsearch.run("build", "--dry-run")
    assert [(edge["service"], edge["needs"]) for edge in graph["edges"]] == [("frontend", "backend")]


def test_a_build_task_of_every_application_is_one_call(docsearch: Monorepo) -> None:
    tables = docsearch.project.folder / "devenv.toml"
    build = f"{sys.executable} -m devenv build"
    tables.write_text(
        f"{tables.read_text()}\n[tasks.build]\ncommand = '{build} \"$DEVENV_PACKAGE\"'\n"
        'packages = ["backend", "frontend"]\ncache = false\npass_env = ["COMPOSE_*", "IMAGE_TAG", "PY*"]\n'
    )
    ran = docsearch.run("run", "build")
    assert {task["id"]: task["status"] for task in ran["tasks"]} == {
        "backend#build": "passed",
        "frontend#build": "passed",
    }
    assert docsearch.built() == set()
