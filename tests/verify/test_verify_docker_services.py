"""A suite that was written for pytest-docker runs unchanged on an isolated stack, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from unlike import ROOT, left_of

from devenv.verify.waiting import wait_until
from tests import forked

pytestmark = pytest.mark.engine
COMPOSE = """
services:
  web:
    image: IMAGE
    command:
      - python3
      - -uc
      - import http.server as h; print('said by web'); h.test(h.SimpleHTTPRequestHandler, port=8000)
    container_name: devenv-verify-suite
    init: true
    ports: ["127.0.0.1::8000"]
"""
CONFTEST = """
import os, pytest, urllib.request

@pytest.fixture(scope="session")
def docker_compose_file(pytestconfig):
    return os.path.join(str(pytestconfig.rootdir), "tests", "docker-compose.yml")

@pytest.fixture(scope="session")
def docker_compose_project_name():
    return "devenv-verify-suite"

@pytest.fixture(scope="session")
def docker_setup():
    return SETUP

@pytest.fixture(scope="session")
def docker_cleanup():
    return ["down -v"]

def is_up(url):
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except OSError:
        return False

@pytest.fixture(scope="session")
def web(docker_ip, docker_services):
    url = f"http://{docker_ip}:{docker_services.port_for('web', 8000)}"
    docker_services.wait_until_responsive(timeout=30.0, pause=0.1, check=lambda: is_up(url))
    return url
"""
TESTS = """
import urllib.request

def test_page(web):
    assert urllib.request.urlopen(web).status == 200

def test_ports_are_fresh(web, docker_services, docker_ip):
    docker_services._docker_compose.execute("restart -t 1 web")
    url = f"http://{docker_ip}:{docker_services.port_for('web', 8000)}"
    docker_services.wait_until_responsive(timeout=30.0, pause=0.1, check=lambda: __import__("conftest").is_up(url))
"""


def suite(folder: Path, image: str, setup: str = "['up --build -d']") -> Path:
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "docker-compose.yml").write_text(COMPOSE.replace("IMAGE", image))
    (folder / "tests" / "conftest.py").write_text(CONFTEST.replace("SETUP", setup))
    (folder / "tests" / "test_web.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "devenv.toml").write_text('[verify]\ntests = "tests"\n')
    return folder


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    return forked.Popen(*command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def evidence(state: Path) -> str:
    return next(state.glob("runs/*/evidence/*.jsonl")).read_text()


def nothing_left(state: Path) -> None:
    run = next((state / "runs").iterdir())
    assert left_of(run.name) == []
    assert not list(run.glob("trees/*"))


def test_an_unchanged_suite_passes(tmp_path: Path, base_image: str, state: Path) -> None:
    folder = suite(tmp_path / "suite", base_image)
    process = start(folder, "devenv", "verify")
    output = process.communicate(timeout=180)[0]
    assert process.returncode == 0, output
    assert "2 passed" in output
    assert "services_start  passed" in output
    nothing_left(state)
    assert "said by web" in evidence(state), "its logs are kept"
    assert "services_start" in start(folder, "devenv", "history").communicate(timeout=180)[0]


def test_a_start_that_fails_leaves_nothing(tmp_path: Path, base_image: str, state: Path) -> None:
    folder = suite(tmp_path / "suite", base_image, "['up -d', 'exec -T web false']")
    process = start(folder, "pytest", "tests")
    output = process.communicate(timeout=180)[0]
    assert process.returncode == 1, output
    nothing_left(state)
    assert "said by web" in evidence(state)


def test_an_interrupted_start_leaves_nothing(tmp_path: Path, base_image: str, state: Path) -> None:
    process = start(suite(tmp_path / "suite", base_image, "['up -d', 'exec -T web sleep 600']"), "pytest", "tests")
    wait_until("the start to hang", lambda: "said by web" in evidence(state), 60.0)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=180)[0]
    assert process.returncode == 2, output
    nothing_left(state)
