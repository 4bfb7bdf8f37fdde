"""A state folder of their own, and a small project, for the tests of `devenv.verify`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from unlike import COMPOSE, DOCKERFILE, ROOT, SETTINGS, TESTS

from devenv.verify import leftovers
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
    folder = tmp_path / "unlike"
    texts = {
        "compose.yaml": COMPOSE,
        "Dockerfile": DOCKERFILE,
        "devenv.toml": SETTINGS,
        ".env": f"BASE={base_image}\n",
        "www/page.txt": "one\n",
        "smoketests/test_unlike.py": TESTS,
        "pytest.ini": "[pytest]\nfilterwarnings = error\n",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    yield folder
    runs = tmp_path / "state" / "devenv" / "runs"
    for run in runs.iterdir() if runs.is_dir() else ():
        left = leftovers.on_engine(run.name)
        leftovers.remove(left)
        assert left == [], "nothing of a run may be left when its test is over"
