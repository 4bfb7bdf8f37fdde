"""Compose begun before anybody asked: given to who asks for exactly that, and ended else."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.backends.plugin import CONFIG, Prefetch, start_compose

CALL = ["docker", "compose", *CONFIG]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project's folder, entered; each Compose writes its words into the file and waits for the end of the test."""
    for folder in ("bin", "home/.docker/cli-plugins", "project/below"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(str(shutil.which("true")), tmp_path / "bin/docker")
    plugin = tmp_path / "home/.docker/cli-plugins/docker-compose"
    plugin.write_text(f"#!/bin/sh\necho $$ $@ >> {tmp_path}/calls\nexec sleep 60\n")
    plugin.chmod(0o755)
    (tmp_path / "project/compose.yaml").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path / "project")
    yield tmp_path / "calls"
    Prefetch.end()


def told(calls: Path, lines: int) -> list[str]:
    """Return what was started, once that many were."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (not calls.exists() or calls.read_text().count("\n") < lines):
        time.sleep(0.01)
    return calls.read_text().splitlines()


@pytest.mark.parametrize("words", [("status",), ("up", "--wait"), ("logs", "-f", "web"), ("build", "web")])
def test_who_asks_the_same_gets_the_one_that_runs(calls: Path, words: tuple[str, ...]) -> None:
    Prefetch.begin(words)
    process = start_compose(CALL, str(Path.cwd()))
    assert told(calls, 1) == [f"{process.pid} config --format json"], "it was started once"
    another = start_compose(CALL, str(Path.cwd()))
    assert another.pid != process.pid, "nobody gets it twice"
    for one in (process, another):
        one.kill()
        one.communicate()


@pytest.mark.parametrize("other", ["command", "folder", "environment"])
def test_who_asks_another_thing_gets_another_and_the_first_is_ended(calls: Path, other: str) -> None:
    Prefetch.begin(("status",))
    (begun,) = told(calls, 1)
    command = [*CALL, "web"] if other == "command" else CALL
    environ = {**os.environ, "TAG": "2"} if other == "environment" else None
    process = start_compose(command, str(calls.parent) if other == "folder" else str(Path.cwd()), environ)
    assert told(calls, 2)[1].split()[0] == str(process.pid)
    process.kill()
    process.communicate()
    Prefetch.end()
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.split()[0]), 0)


@pytest.mark.parametrize(
    "words",
    [
        ("status", "-f", "x.yaml"),
        ("up", "-px"),
        ("up", "--profile=dev"),
        ("logs", "--help"),
        ("doctor",),
        ("--version",),
    ],
)
def test_nothing_is_begun_for_another_project_or_no_project(calls: Path, words: tuple[str, ...]) -> None:
    Prefetch.begin(words)
    Prefetch.end()
    assert not calls.exists()


@pytest.mark.parametrize(
    ("file", "begun"),
    [("[compose]\nfiles = ['other.yaml']\n", False), ("[ui]\ntheme = 'dark'  # as the compose file\n", True)],
)
def test_a_devenv_toml_that_may_name_other_files_is_waited_for(
    calls: Path, monkeypatch: pytest.MonkeyPatch, file: str, begun: bool
) -> None:
    (Path.cwd() / "devenv.toml").write_text(file)
    monkeypatch.chdir(Path.cwd() / "below")
    Prefetch.begin(("status",))
    if begun:
        assert told(calls, 1)
    Prefetch.end()
    assert calls.exists() is begun
