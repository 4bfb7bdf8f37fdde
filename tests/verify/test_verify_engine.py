"""Smoke tests of a project unlike docsearch on the real engine: isolation, verdicts, evidence, what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.model import Happening
from devenv.verify import leftovers
from devenv.verify.evidence import Mark, Probe, read_evidence
from devenv.verify.waiting import wait_until

pytestmark = pytest.mark.engine
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
        "pytest.ini": "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n",
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


def left_of(run: str) -> list[str]:
    """What the engine still has with the labels of a run."""
    found: list[str] = []
    for listing in (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"), ("images", "-aq")):
        command = ["docker", *listing, "--filter", f"label=devenv.run={run}"]
        found += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return found


def start(project: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def smoke(project: Path, *options: str) -> subprocess.Popen[str]:
    return start(project, "pytest", "smoketests", "--report-dir", "reports", *options)


def devenv(project: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "devenv", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def begun(project: Path, process: subprocess.Popen[str]) -> str:
    """Wait until the test hangs, and return the run's id."""
    wait_until("the test to begin", lambda: (project / "ready").exists() or process.poll() is not None, 120.0)
    assert process.poll() is None, process.communicate()[0]
    return next((project.parent / "state" / "devenv" / "runs").iterdir()).name


def test_a_run_tells_every_verdict_and_leaves_nothing_behind(project: Path) -> None:
    process = smoke(project)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1, output
    report: dict[str, Any] = json.loads((project / "reports" / "report.json").read_text())
    verdicts = {test["id"].rpartition("::")[2]: test["verdict"] for test in report["tests"]}
    assert verdicts == {
        "test_reload": "passed",
        "test_crash": "passed",
        "test_unmeasured": "inconclusive",
        "test_wrong": "failed",
        "test_slow": "failed",
    }, output
    measured = {item["name"]: (item["verdict"], item["budget"]) for item in report["measurements"]}
    assert measured == {
        "hot_reload.page": ("passed", 20.0),
        "search": ("inconclusive", 1.0),
        "crash_recovery": ("failed", 30.0),
    }
    why = next(test["why"] for test in report["tests"] if test["id"].endswith("test_wrong"))
    for needle in ("something else", "page is healthy", "/page.txt -> 200", "GET /page.txt", "devenv evidence "):
        assert needle in why, f"a failure says {needle!r}: {why}"
    assert (project / "www" / "page.txt").read_text() == "one\n", "the working tree is as it was"
    suite = ET.parse(project / "reports" / "junit.xml").getroot()[0]
    properties = {item.get("name"): json.loads(item.get("value") or "") for item in suite.iter("property")}
    assert properties["criterion.crash_recovery"]["verdict"] == "failed"
    assert "hot_reload.page" in output
    assert "hot_reload.page" in devenv(project, "history")
    evidence = devenv(project, "evidence", report["run"]["evidence"])
    assert "failure: smoketests/test_unlike.py::test_wrong" in evidence
    assert left_of(report["run"]["id"]) == []
    names = subprocess.run(
        ["docker", "volume", "ls", "-q", "--filter", "name=devenv-verify-fixed-volume"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert names.stdout == "", "the volume's own name was used"


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [
        (["pytest", "smoketests"], signal.SIGTERM, 2),
        (["devenv", "verify"], signal.SIGTERM, 130),
        (["devenv", "verify"], signal.SIGINT, 130),
    ],
)
def test_an_interrupted_run_takes_everything_down(
    project: Path, command: list[str], number: signal.Signals, code: int
) -> None:
    (project / "smoketests" / "test_unlike.py").write_text(HANGING)
    process = start(project, *command)
    run = begun(project, process)
    assert left_of(run)
    process.send_signal(number)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == code, output
    assert left_of(run) == []


def test_what_a_killed_run_leaves_is_found_by_its_owner_and_the_evidence_opens(project: Path) -> None:
    (project / "smoketests" / "test_unlike.py").write_text(HANGING)
    process = smoke(project)
    run = begun(project, process)
    stranger = subprocess.run(
        ["docker", "volume", "create", "--label", "devenv.run=x", "--label", "devenv.owner=other/boot/1/1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    try:
        folder = project.parent / "state" / "devenv" / "runs" / run
        file = next((folder / "evidence").iterdir())
        wait_until("the log line to be recorded", lambda: "said to the log" in file.read_text(), 10.0)
        assert f"label {run}" not in devenv(project, "doctor", "--clean"), "the owner lives"
        assert left_of(run), "nothing of a living run is removed"
        process.kill()
        process.communicate(timeout=LIMIT)
        records = list(read_evidence(file))
        assert [item.text for item in records if isinstance(item, Happening) and item.action == "health_status"]
        assert any(isinstance(item, Probe) and item.ok for item in records)
        assert any(isinstance(item, Mark) and item.text.endswith("test_hangs") for item in records)
        removed = devenv(project, "doctor", "--clean")
        kinds = {line.split()[1] for line in removed.splitlines()}
        assert kinds >= {"container", "network", "volume", "image", "files"}, removed
        assert left_of(run) == []
        assert not (folder / "trees").exists()
        assert stranger not in removed
    finally:
        subprocess.run(["docker", "volume", "rm", stranger], capture_output=True, check=True)


RUNNING = """
import pytest
from devenv.errors import DevenvError

def test_what_is_up(stack, engine):
    assert stack.endpoint("page").get("/page.txt").text == "one\\n"
    assert engine.container("page").health == "healthy"

def test_it_is_not_removed(stack):
    with pytest.raises(DevenvError, match="not a copy"):
        stack.down(volumes=True)

def test_a_copy_is_needed(fresh_stack):
    raise AssertionError("this must not run")
"""


def test_what_is_up_is_tested_and_left_up(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (project / "compose.yaml").read_text().replace("    container_name: devenv-verify-fixed-name\n", "")
    (project / "compose.yaml").write_text(text.replace("{name: devenv-verify-fixed-volume}", "{}"))
    (project / "smoketests" / "test_unlike.py").write_text(RUNNING)
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", f"devenv-test-{uuid.uuid4().hex[:8]}")
    try:
        devenv(project, "up", "--wait", "--build")
        process = smoke(project, "--running")
        output, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, output
        report = json.loads((project / "reports" / "report.json").read_text())
        assert not report["run"]["isolated"]
        assert [test["verdict"] for test in report["tests"]] == ["passed", "passed", "inconclusive"]
        assert json.loads(devenv(project, "status", "--json"))["services"][1]["state"] == "healthy"
    finally:
        command = ["docker", "compose", "down", "--volumes", "--rmi", "local", "--timeout", "1"]
        subprocess.run(command, cwd=project, capture_output=True, check=True)


def test_a_start_that_fails_is_explained_and_taken_down(project: Path) -> None:
    text = (project / "compose.yaml").read_text()
    (project / "compose.yaml").write_text(text.replace("python3, -m, http.server", "python3, -c, 'exit(3)'"))
    began = time.time()
    process = smoke(project, "-k", "test_wrong")
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert "expected: every service to be ready" in output
    assert "code 3" in output
    assert output.count("evidence:   devenv evidence ") == 1, "what the stack showed is told, and once"
    report = json.loads((project / "reports" / "report.json").read_text())
    assert [test["verdict"] for test in report["tests"]] == ["error"]
    assert report["run"]["seconds"] <= time.time() - began
    assert left_of(report["run"]["id"]) == []
