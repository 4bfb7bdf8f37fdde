"""Smoke tests of a project unlike docsearch on the real engine: isolation, verdicts, evidence, what a kill leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import uuid
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from unlike import HANGING, LIMIT, begun, devenv, left_of, make_project, remove_left, smoke, start

from devenv.core.model import Happening
from devenv.runs.evidence import Mark, Probe, read_evidence
from devenv.verify.waiting import wait_until
from tests.nested import WITHOUT_PLUGINS

pytestmark = pytest.mark.engine


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


@dataclass(frozen=True)
class Interruption:
    """A run that signals end, and what became of it; `before` and `after` are what the engine had of it."""

    code: int
    output: str
    before: list[str]
    after: list[str]
    history: str


INTERRUPTIONS = {
    "SIGTERM": (("pytest", "smoketests"), (signal.SIGTERM,), 2),
    "SIGHUP": (("pytest", "smoketests"), (signal.SIGHUP,), 2),
    "twice": (("pytest", "smoketests"), (signal.SIGINT, signal.SIGINT), 2),
    "verify SIGHUP": (("devenv", "verify"), (signal.SIGHUP, signal.SIGTERM), 130),
    "verify twice": (("devenv", "verify"), (signal.SIGINT, signal.SIGINT), 130),
}


def interrupt(folder: Path, base_image: str, command: tuple[str, ...], numbers: tuple[int, ...]) -> Interruption:
    project = make_project(folder, base_image, HANGING)
    environ = {name: value for name, value in os.environ.items() if name not in ("CI", "BUILD_NUMBER")}
    environ |= {"XDG_STATE_HOME": str(folder / "state"), "PYTEST_ADDOPTS": WITHOUT_PLUGINS}
    with start(project, *command, environ=environ) as process:
        try:
            run = begun(project, process)
            before = left_of(run)
            for number in numbers:
                process.send_signal(number)
                time.sleep(0.5)  # the clean-up takes longer
            output, _ = process.communicate(timeout=LIMIT)
            history = devenv(project, "history", environ=environ)
            return Interruption(process.returncode, output, before, left_of(run), history)
        finally:
            process.kill()
            remove_left(folder)


@pytest.fixture(scope="module")
def interrupted(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Interruption]:
    """What became of each run: they are interrupted side by side."""
    with ThreadPoolExecutor(len(INTERRUPTIONS)) as pool:
        waiting = {
            name: pool.submit(interrupt, tmp_path_factory.mktemp("interrupted"), base_image, command, numbers)
            for name, (command, numbers, _) in INTERRUPTIONS.items()
        }
        return {name: done.result() for name, done in waiting.items()}


@pytest.mark.parametrize("name", INTERRUPTIONS)
def test_an_interrupted_run_takes_everything_down(interrupted: dict[str, Interruption], name: str) -> None:
    run = interrupted[name]
    assert run.before
    assert run.code == INTERRUPTIONS[name][2], run.output
    assert run.after == []
    assert len(run.history.splitlines()) == 1, "it is in no history"


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
        left = rf"\d+ containers?, \d+ networks?, \d+ volumes?, .*{run}"  # beside what others on this engine left
        assert re.search(rf"Left by smoke tests that have ended: {left}", devenv(project, "doctor"))
        (project / "smoketests" / "test_unlike.py").write_text("def test_nothing(verify_session): pass\n")
        told, _ = smoke(project).communicate(timeout=LIMIT)
        assert re.search(rf"left by earlier runs: {left}.*; devenv doctor --clean removes it", told), told
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
from devenv.core.errors import DevenvError

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
        process = smoke(project, "--devenv-running")
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
