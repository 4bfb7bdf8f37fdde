"""The watched project, up on the engine once for all tests of a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.program import ROOT, Program, program
from tests.watch.watching import Watching, watching, write_project


@pytest.fixture(scope="session")
def base_image() -> str:
    given = os.environ.get("DEVENV_TEST_IMAGE")
    if given:
        return given
    done = subprocess.run([ROOT / "scripts" / "base-image"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> Iterator[Program]:
    """All services of the project, running."""
    folder = tmp_path_factory.mktemp("watched")
    write_project(folder)
    with program(str(folder), folder / "state", base_image, CASE_IMAGE=base_image) as made:
        made.compose("build", "web")
        made.compose("up", "--detach")
        yield made


@pytest.fixture(scope="module")
def watch(stack: Program) -> Iterator[Watching]:
    """One watch of all of it."""
    with watching(stack) as found:
        yield found


@pytest.fixture
def src(stack: Program) -> Path:
    """The folder that is synced to /srv/src."""
    return stack.folder / "app" / "src"
