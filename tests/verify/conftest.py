"""A state folder of their own, and a small project, for the tests of `devenv.verify`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from unlike import ROOT, make_project, remove_left

from tests.nested import WITHOUT_PLUGINS


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    # With it, pytest repeats whole messages in its summary, and what these tests count is there twice.
    for variable in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", WITHOUT_PLUGINS)
    return folder / "devenv"


@pytest.fixture(scope="module")
def base_image() -> str:
    given = os.environ.get("DEVENV_TEST_IMAGE")
    if given:
        return given
    done = subprocess.run([ROOT / "scripts" / "base-image"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Path]:
    yield make_project(tmp_path, base_image)
    remove_left(tmp_path)
