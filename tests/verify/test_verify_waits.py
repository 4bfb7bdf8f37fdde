"""Waits that end at once because what they wait for can never come; and an address on all of IPv6, asked on IPv6."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from devenv.verify.waiting import Never, wait_until
from tests.engine.stack_images import ROOT

SETTINGS = """
[[verify.endpoint]]
name = "web"
service = "web"
port = 8000
path = "/"
"""
COMPOSE = """
services:
  web:
    image: ${PYTHON_IMAGE:?}
    init: true
    command: [python3, -m, http.server, "8000", --bind, "::"]
    ports: [%s]
"""
TEST = """
def test_it_is_served(endpoint):
    answer = endpoint("web").get("/")
    assert answer.status_code == 200
    print("asked at", answer.request.url)
"""


@pytest.fixture
def image() -> str:
    given = os.environ.get("DEVENV_TEST_IMAGE")
    if given:
        return given
    done = subprocess.run([ROOT / "scripts" / "base-image"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def smoke(folder: Path, image: str, ports: str, *options: str) -> tuple[int, str, float]:
    state, folder = folder / "state", folder / "project"
    (folder / "smoketests").mkdir(parents=True)
    (folder / "smoketests" / "test_web.py").write_text(TEST)
    (folder / "devenv.toml").write_text(SETTINGS)
    (folder / "compose.yaml").write_text(COMPOSE % ports)
    environ = {
        **os.environ,
        "PYTHON_IMAGE": image,
        "PYTHONPATH": str(ROOT),
        "XDG_STATE_HOME": str(state),
        "COMPOSE_PROJECT_NAME": f"devenv-test-{uuid.uuid4().hex[:8]}",
    }
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rP", "smoketests", *options],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr, time.monotonic() - began


def test_a_wait_ends_at_once_for_what_can_never_come() -> None:
    def probe() -> bool:
        raise Never("the port is not published")

    with pytest.raises(Never, match="not published"):
        wait_until("it to be served", probe, 100)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("ports", "options", "told"),
    [
        ("", (), "port 8000 of web is not published"),
        ('"127.0.0.1::9000"', (), "port 8000 of web is not published"),
        ('"127.0.0.1::8000"', ("--devenv-running",), "is up"),
    ],
)
def test_a_start_that_can_never_be_served_is_refused(
    tmp_path: Path, image: str, ports: str, options: tuple[str, ...], told: str
) -> None:
    code, output, seconds = smoke(tmp_path, image, ports, *options)
    assert code == 1, output
    assert told in output
    assert seconds < 40


@pytest.mark.engine
def test_a_port_on_all_of_ipv6_is_asked_on_ipv6(tmp_path: Path, image: str) -> None:
    code, output, _ = smoke(tmp_path, image, '"[::]::8000"')
    assert code == 0, output
    assert "asked at http://[::1]:" in output
