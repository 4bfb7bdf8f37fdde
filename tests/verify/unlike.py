"""A project unlike docsearch with smoke tests of its own, run in a process as its users do."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from devenv.verify import leftovers
from devenv.verify.waiting import wait_until
from tests import forked

ROOT = Path(__file__).parents[2]
LIMIT = 180.0  # seconds of one run
COMPOSE = """
services:
  page:
    image: ${BASE}
    command: [python3, -m, http.server, "80", --directory, /srv]
    container_name: devenv-verify-fixed-name
    init: true
    restart: unless-stopped
    ports: ["127.0.0.1::80"]
    volumes: ["./www:/srv", "kept:/kept"]
    healthcheck: {test: [CMD, python3, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1')"], interval: 1s}
  once:
    build: {context: ., args: {BASE: "${BASE}"}}
    command: ["true"]
volumes: {kept: {name: devenv-verify-fixed-volume}}
"""
DOCKERFILE = "ARG BASE\nFROM ${BASE}\nRUN true\n"
SETTINGS = """
[verify]
budgets = {hot_reload = 20}
[[verify.reload]]
service = "page"
file = "www/page.txt"
find = "one"
replace = "one {nonce}"
path = "/page.txt"
"""
TESTS = """
import os, pytest

def test_reload(stack, measure, wait_for):
    reload = stack.reloads[0]
    reload.apply("two")
    with measure.timing("hot_reload.page"):
        wait_for("the change to be served", lambda: reload.served("two"), 10)
    reload.restore()

def test_crash(stack, engine):
    since = engine.now()
    before = engine.signal_main("page")
    engine.wait_event("die", "page", since=since, timeout=10)
    engine.wait_event("health_status", "page", since=since, timeout=30, text="is healthy")
    stack.endpoint("page").wait_served(10)
    assert engine.container("page").restarts == 1 and engine.container("page").pid != before.pid
    assert engine.exec("page", "hostname").strip()

def test_unmeasured(measure):
    measure.inconclusive("search", "there is no search")

def test_wrong(stack):
    assert stack.endpoint("page").get("/page.txt").text == "something else"

def test_slow(measure):
    measure("crash_recovery", 1000)
"""
HANGING = """
from pathlib import Path

def test_hangs(stack):
    stack.engine.exec("page", "sh", "-c", "echo said to the log > /proc/1/fd/1")
    Path("ready").touch()
    stack.engine.exec("page", "sleep", "600")
"""


def left_of(run: str) -> list[str]:
    """What the engine still has with the labels of a run."""
    found: list[str] = []
    for listing in (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"), ("images", "-aq")):
        command = ["docker", *listing, "--filter", f"label=devenv.run={run}"]
        found += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return found


def make_project(folder: Path, base_image: str, tests: str = TESTS) -> Path:
    """Write the project into `folder`/unlike."""
    project = folder / "unlike"
    texts = {
        "compose.yaml": COMPOSE,
        "Dockerfile": DOCKERFILE,
        "devenv.toml": SETTINGS,
        ".env": f"BASE={base_image}\n",
        "www/page.txt": "one\n",
        "smoketests/test_unlike.py": tests,
        "pytest.ini": "[pytest]\nfilterwarnings = error\n",
    }
    for name, text in texts.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    return project


def remove_left(folder: Path) -> None:
    """Remove what the runs whose state is in `folder` left on the engine, and fail where that was anything."""
    runs = folder / "state" / "devenv" / "runs"
    for run in runs.iterdir() if runs.is_dir() else ():
        left = leftovers.on_engine(run.name)
        leftovers.remove(left)
        assert left == [], "nothing of a run may be left when its test is over"


def start(project: Path, *command: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return forked.Popen(*command, cwd=project, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def smoke(project: Path, *options: str) -> subprocess.Popen[str]:
    return start(project, "pytest", "smoketests", "--devenv-report-dir", "reports", *options)


def devenv(project: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
    done = forked.run("devenv", *arguments, cwd=project, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def begun(project: Path, process: subprocess.Popen[str], state: Path | None = None) -> str:
    """Wait until the test hangs, and return the run's id; `state` is the user's state folder."""
    wait_until("the test to begin", lambda: (project / "ready").exists() or process.poll() is not None, 120.0)
    assert process.poll() is None, process.communicate()[0]
    return next(((state or project.parent / "state") / "devenv" / "runs").iterdir()).name
