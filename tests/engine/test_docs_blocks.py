"""Blocks of the documentation, line by line on the real engine, in a project unlike docsearch."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import devenv

pytestmark = pytest.mark.engine
ROOT = Path(devenv.__file__).parents[1]
BLOCK = re.compile(r"<!-- run by: tests/engine/test_docs_blocks.py -->\n```sh\n(.*?)```", re.DOTALL)
PAGES = ("YOUR_PROJECT.md", "DOCKER.md", "MONOREPO.md", "LOGS.md", "CI_CD.md")
BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall((ROOT / "docs" / page).read_text("utf-8")), 1)
]
COMPOSE = """\
services:
  web:
    build: ./web
    init: true
    ports: ["127.0.0.1::8080"]
    healthcheck:
      test: [CMD, python3, -c, "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080')"]
      interval: 1s
      start_interval: 200ms
      start_period: 10s
    depends_on: [backend]
  backend:
    build: ./backend
    init: true
"""
DOCKERFILE = 'FROM IMAGE\nCOPY page.html /srv/\nWORKDIR /srv\nCMD ["python3", "-m", "http.server", "8080"]\n'
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


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Path]:
    folder = tmp_path / f"docs-{uuid.uuid4().hex[:8]}"
    for service in ("web", "backend"):
        (folder / service).mkdir(parents=True)
        (folder / service / "page.html").write_text("hello\n", "utf-8")
        (folder / service / "Dockerfile").write_text(DOCKERFILE.replace("IMAGE", base_image), "utf-8")
    (folder / "compose.yaml").write_text(COMPOSE, "utf-8")
    for words in (("init", "-q"), ("add", "."), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    yield folder
    left = ["docker", "compose", "down", "--volumes", "--rmi", "local", "--timeout", "1"]
    subprocess.run(left, cwd=folder, capture_output=True, check=False)


def test_each_page_has_a_block() -> None:
    assert len(BLOCKS) >= len(PAGES)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_works_as_it_stands(project: Path, block: str) -> None:
    lines = [re.sub(r"(^|\s)#.*", "", line) for line in block.splitlines()]  # backend#test is no comment
    commands = [words for line in lines if (words := shlex.split(line))]
    if ["devenv", "init"] not in commands:
        (project / "devenv.toml").write_text(TASKS, "utf-8")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(project.parent / "state")}
    environ["XDG_CACHE_HOME"] = str(project.parent / "cache")
    for words in commands:
        if words[0] in ("pip", "cd"):
            continue  # devenv is here, and so are we
        assert words[0] == "devenv", "a block of these pages has commands of devenv"
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=project, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{shlex.join(words)}: {done.stdout}{done.stderr}"
