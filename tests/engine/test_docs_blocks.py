"""Blocks of the documentation, line by line on the real engine, in a project unlike docsearch."""

from __future__ import annotations

import os
import shlex
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import devenv
from tests import forked
from tests.follow import commands_of, make_project, remove_project

pytestmark = pytest.mark.engine
ROOT = Path(devenv.__file__).parents[1]
PAGES = ("YOUR_PROJECT.md", "DOCKER.md", "MONOREPO.md", "LOGS.md", "CI_CD.md", "MANIFESTS.md")
BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in PAGES
    for number, block in enumerate(commands_of(f"docs/{page}", "tests/engine/test_docs_blocks.py"), 1)
]
TASKS = """\
[tasks.lint]
command = "test -s page.html"

[tasks.test]
command = "grep -q hello page.html"
depends_on = ["lint"]

[tasks.dev]
command = "echo up; sleep 0.2"

[ci.jobs.test-backend]
tasks = ["backend#test"]

[ci.jobs.lint-web]
tasks = ["web#lint"]
"""

OVERLAYS = '[manifests.overlays.staging]\npath = "k8s/overlays/staging"\n'


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Path]:
    folder = tmp_path / f"docs-{uuid.uuid4().hex[:8]}"
    make_project(folder, base_image)
    yield folder
    remove_project(folder)


def test_each_page_has_a_block() -> None:
    assert len(BLOCKS) >= len(PAGES)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_works_as_it_stands(project: Path, block: list[str]) -> None:
    commands = [words for line in block if (words := shlex.split(line))]
    if ["devenv", "init"] not in commands:
        (project / "devenv.toml").write_text(TASKS, "utf-8")
    if any("manifests" in words for words in commands):
        shutil.copytree(ROOT / "k8s", project / "k8s")
        (project / "devenv.toml").write_text(OVERLAYS, "utf-8")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(project.parent / "state")}
    environ["XDG_CACHE_HOME"] = str(project.parent / "cache")
    for words in commands:
        if words[0] in ("pip", "cd"):
            continue  # devenv is here, and so are we
        assert words[0] == "devenv", "a block of these pages has commands of devenv"
        done = forked.run(*words, cwd=project, env=environ)
        assert done.returncode == 0, f"{shlex.join(words)}: {done.stdout}{done.stderr}"
