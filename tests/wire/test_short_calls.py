"""What a short call costs, as counts: modules that are imported, programs that are started, requests to the engine.

Each module is a third of a millisecond, each Compose 50 of them, and the SDK 150 (docs/PERFORMANCE.md has the times).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.parse import LABEL_FOLDER
from devenv.backends.docker.plain import EarlyReading
from devenv.builds.plan import LABEL, LABEL_SERVICE
from fakes.docker_engine import FakeEngine

ROOT = Path(__file__).parents[2]
SDK = {"docker", "requests", "urllib3", "http.client", "ssl", "email"}


class Project:
    """A project of one service that is built, up and current on a fake engine; Compose plays a script."""

    def __init__(self, folder: Path, engine: FakeEngine) -> None:
        self.folder, self.engine = folder, engine
        for name in ("bin", "app"):
            (folder / name).mkdir()
        (folder / "compose.yaml").touch()
        (folder / "app/Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        web = {"image": "web", "build": {"context": str(folder / "app"), "dockerfile": "Dockerfile"}}
        (folder / "config.json").write_text(json.dumps({"name": "fake", "services": {"web": web}}))
        shutil.copy(str(shutil.which("true")), folder / "bin/docker")  # a program, which says nothing
        plugin = engine.folder / "cli-plugins/docker-compose"
        plugin.parent.mkdir()
        plugin.write_text(
            f'#!/bin/sh\necho "$@" >> {folder}/calls\ncase "$1" in config) exec cat {folder}/config.json;; esac\n'
        )
        plugin.chmod(0o755)
        engine.faults["/images/json"] = (200, b"[]")
        self.engine.add("fake-web-1", project="fake", service="web", labels={LABEL_FOLDER: str(folder)})

    def run(self, *arguments: str) -> tuple[str, set[str]]:
        """Return what devenv printed, and the modules that it imported."""
        (self.folder / "calls").unlink(missing_ok=True)
        self.engine.requests.clear()
        environ = {**os.environ, **self.engine.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        environ |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.folder / "state")}
        command = [sys.executable, "-X", "importtime", "-m", "devenv", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False)
        lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
        assert done.returncode == 0, "\n".join(lines)
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time:" in line}
        return "\n".join([done.stdout, *lines]), imported

    def calls(self) -> list[str]:
        """Return how Compose was started in the last run."""
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project, after a look that tells its image's key."""
    with FakeEngine() as engine:
        project = Project(tmp_path_factory.mktemp("short"), engine)
        (step,) = json.loads(project.run("build", "--dry-run", "--json")[0].rpartition("}")[0] + "}")["steps"]
        labels = {LABEL: step["key"], LABEL_SERVICE: "web"}
        image = {"Id": "sha256:1", "RepoTags": ["web:latest"], "Labels": labels}
        engine.faults["/images/json"] = (200, json.dumps([image]).encode())
        yield project


CONFIG = "config --format json"
CASES = {
    "build": ((CONFIG,), {"json": 1}, 193, "web: up to date"),
    "up": ((CONFIG, "--progress json up --detach --no-build"), {"json": 3, "_ping": 1}, 220, ""),
    "status": ((CONFIG,), {"json": 3}, 182, "running"),
    "logs --tail 5": ((CONFIG,), {"json": 3, "_ping": 1, "logs": 2}, 185, ""),
}


@pytest.mark.parametrize("line", CASES)
def test_a_call_that_changes_nothing_does_no_more_than_it_must(current: Project, line: str) -> None:
    calls, requests, modules, said = CASES[line]
    text, imported = current.run(*line.split())
    assert said in text
    assert tuple(current.calls()) == calls
    assert current.engine.requests <= Counter(requests), "what is asked in a thread may not have been asked yet"
    assert not imported & SDK
    assert len(imported) <= modules, sorted(imported)


def test_what_is_read_early_is_of_the_project_that_compose_names_alone(current: Project) -> None:
    early = EarlyReading(resolve_endpoint(current.engine.environ), str(current.folder))
    assert [one.name for one in early.of("fake") or ()] == ["fake-web-1"]
    assert early.of("another") is None
