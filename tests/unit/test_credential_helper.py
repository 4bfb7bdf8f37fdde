"""A credential helper that hangs is named and given up; one that fails is told with the setting that names it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.control import image_failures
from devenv.control.image_failures import HelperWatch, setting_of

LIMIT = 20.0  # seconds


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    settings = {"credsStore": "desktop", "credHelpers": {"registry.example": "cloud"}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    return {"DOCKER_CONFIG": str(tmp_path)}


@pytest.fixture
def group() -> Iterator[int]:
    """A process group whose leader is docker's own, and has a child that hangs."""
    child = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', 'import time; time.sleep(60)'])"
    leader = subprocess.Popen(["docker-compose", "-c", child], executable=sys.executable, process_group=0)
    yield leader.pid
    os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()


def test_the_setting_that_names_a_helper(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    assert setting_of("docker-credential-desktop", environ) == f"credsStore in {file}"
    assert setting_of("docker-credential-cloud", environ) == f"credHelpers of registry.example in {file}"
    assert "config.json" in setting_of("docker-credential-other", environ)


def test_one_that_hangs_is_told_and_given_up(
    environ: dict[str, str], group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_failures, "_LOOK_EVERY", 0.05)
    monkeypatch.setattr(image_failures, "HELPER_SPEAKS_AFTER", 0.1)
    monkeypatch.setattr(image_failures, "HELPER_GIVEN_UP_AFTER", 2.0)  # time to tell, on a busy machine too
    told: list[str] = []
    given_up = threading.Event()
    with HelperWatch(group, environ, told.append, given_up.set) as watch:
        assert given_up.wait(LIMIT)
    assert told
    assert "still waiting for docker's credential helper docker-credential-desktop" in told[0]
    assert watch.error is not None
    assert "did not answer" in watch.error.message
    assert "credsStore in " in watch.error.hint


def test_a_program_of_a_provider_is_no_helper_however_long_it_takes(
    environ: dict[str, str], group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_failures, "_LOOK_EVERY", 0.02)
    monkeypatch.setattr(image_failures, "HELPER_SPEAKS_AFTER", 0.0)
    monkeypatch.setattr(image_failures, "HELPER_GIVEN_UP_AFTER", 0.1)
    given_up = threading.Event()
    told: list[str] = []
    with HelperWatch(group, environ, told.append, given_up.set, runs_programs=True) as watch:
        assert not given_up.wait(1.0)
    assert (told, watch.error) == ([], None)


@pytest.mark.parametrize("named", [True, False])
def test_nothing_is_said_of_docker_itself_or_without_a_helper(
    environ: dict[str, str], group: int, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_failures, "_LOOK_EVERY", 0.02)
    monkeypatch.setattr(image_failures, "HELPER_SPEAKS_AFTER", 0.0)
    if named:  # docker alone is in the group
        monkeypatch.setattr(image_failures, "_DOCKERS_OWN", ("docker-compose", Path(sys.executable).name))
    looked = threading.Event()
    told: list[str] = []
    with HelperWatch(group, environ if named else {"DOCKER_CONFIG": "/nowhere"}, told.append, looked.set):
        looked.wait(0.5)
    assert told == []
