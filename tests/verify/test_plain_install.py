"""`pip install` of this project alone, in a fresh environment, does in another project all that the README promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_verify_docker_services import evidence, nothing_left, suite
from unlike import ROOT

from devenv.verify.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.engine]
LIMIT = 600.0  # seconds of one command
COMPOSE = """
services:
  web:
    image: IMAGE
    init: true
    command: [python3, -m, http.server, "8000", --directory, /srv]
    ports: ["127.0.0.1::8000"]
    healthcheck: {test: [CMD, python3, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1:8000')"], interval: 1s}
"""  # noqa: E501
SETTINGS = """
[verify]
budgets = {cold_start = 60}

[[verify.endpoint]]
name = "web"
service = "web"
port = 8000
path = "/"

[load]
service = "web"
port = 8000
"""
TESTS = """
def test_page(stack, measure):
    with measure.timing("cold_start.page"):
        assert stack.endpoint("web").get("/").status_code == 200
"""
USERS = """
import devenv.load.plugin
from locust import HttpUser, constant, task


class Reader(HttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/")
"""


class Installed:
    """An environment with this project and what it depends on, and a folder for a project of somebody else."""

    def __init__(self, folder: Path, state: Path, bin_folder: Path) -> None:
        self.folder, self._bin = folder, bin_folder
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "DOCKER_HOST") if name in os.environ}
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        nowhere = str(folder / "no-kubeconfig")
        self.environ = {**kept, "PATH": path, "KUBECONFIG": nowhere, "XDG_STATE_HOME": str(state.parent)}

    def start(self, name: str, *words: str) -> subprocess.Popen[str]:
        """Start one of the environment's programs in the folder."""
        return subprocess.Popen(
            [self._bin / name, *words], cwd=self.folder, env=self.environ, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, name: str, *words: str, code: int = 0) -> str:
        process = self.start(name, *words)
        output = process.communicate(timeout=LIMIT)[0]
        assert process.returncode == code, output
        return output


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment after `pip install .`, as long as the Python has the package index."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([folder / "bin/pip", "install", "--quiet", ROOT], env=clean, check=True, timeout=LIMIT)
    return folder / "bin"


@pytest.fixture
def installed(bin_folder: Path, tmp_path: Path, state: Path) -> Installed:
    (tmp_path / "shop").mkdir()
    return Installed(tmp_path / "shop", state, bin_folder)


@pytest.fixture
def shop(installed: Installed, base_image: str) -> Iterator[Installed]:
    """The project of somebody else: one service, one smoke test, one locustfile."""
    folder = installed.folder
    for name, text in (
        ("compose.yaml", COMPOSE.replace("IMAGE", base_image)),
        ("devenv.toml", SETTINGS),
        ("smoketests/test_shop.py", TESTS),
        ("loadtests/locustfile.py", USERS),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    installed.environ["COMPOSE_PROJECT_NAME"] = f"devenv-test-{uuid.uuid4().hex[:8]}"
    yield installed
    installed.run("devenv", "down", "-v", "--yes")


def test_smoke_tests_commands_and_load_tests_of_another_project(shop: Installed) -> None:
    assert "1 passed" in shop.run("devenv", "verify")
    assert "1 passed" in shop.run("pytest", "smoketests")
    assert "No cluster is configured" in shop.run("devenv", "kubectl", "get", "pods", code=2)
    shop.run("devenv", "up", "--wait")
    ended = shop.run("locust", "-f", "loadtests", "--headless", "-u", "2", "-t", "3s", "--threshold", "fail_ratio<0.01")
    assert "report:" in ended


def test_a_suite_for_pytest_docker_as_it_stands(installed: Installed, base_image: str, state: Path) -> None:
    suite(installed.folder / "whole", base_image)
    installed.folder /= "whole"
    assert "2 passed" in installed.run("pytest", "tests")
    nothing_left(state)


def test_one_whose_start_fails_leaves_nothing(installed: Installed, base_image: str, state: Path) -> None:
    installed.folder = suite(installed.folder / "failing", base_image, "['up -d', 'exec -T web false']")
    installed.run("pytest", "tests", code=1)
    nothing_left(state)


def test_one_that_is_interrupted_leaves_nothing(installed: Installed, base_image: str, state: Path) -> None:
    installed.folder = suite(installed.folder / "hanging", base_image, "['up -d', 'exec -T web sleep 600']")
    process = installed.start("pytest", "tests")
    wait_until("the start to hang", lambda: "said by web" in evidence(state), 120.0)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=LIMIT)[0]
    assert process.returncode == 2, output
    nothing_left(state)
