"""How failures are told: one cause once, in lines of the tests, with a summary that says what it is."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from unlike import LIMIT, left_of, smoke

from tests import forked

NO_PROJECT = """
def test_first(stack):
    pass

def test_second(endpoint):
    pass

def test_third(fresh_stack):
    pass
"""
OWN_FIXTURES = """
import pytest
from devenv.core.errors import DevenvError

@pytest.fixture(scope="module")
def shared():
    assert 1 == 2, "the own fixture broke"

@pytest.fixture
def each():
    raise ValueError("each time anew")

def test_first(shared): pass
def test_second(shared): pass
def test_third(each): pass
def test_fourth(each): pass
"""
IN_TESTS = """
from devenv.core.errors import DevenvError
from devenv.verify.stack import Stack

def helper(wait_for):
    wait_for("the moon", lambda: "cheese", 0.0) == wait_for("the sun", lambda: 0, 0.0)

def test_wait(wait_for):
    helper(wait_for)

def test_budget(measure):
    measure("search", 1000)

def test_no_project(verify_session):
    verify_session.environments()
"""


def run(folder: Path, text: str, *options: str) -> str:
    (folder / "smoketests").mkdir()
    (folder / "smoketests" / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environ = os.environ | {"COLUMNS": "120"}
    done = forked.run("pytest", "smoketests", *options, cwd=folder, env=environ)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def summary(output: str) -> list[str]:
    return re.findall(r"^(?:ERROR|FAILED) smoketests/test_it.py::(.*)$", output, re.M)


def test_one_cause_is_told_once_and_the_other_tests_were_not_run(tmp_path: Path) -> None:
    output = run(tmp_path, NO_PROJECT)
    assert output.count("hint: Searched for") == 1
    assert output.count("(shown in full at smoketests/test_it.py::test_first)") == 2
    assert "devenv/verify" not in output, "no line of devenv"
    first, second, third = summary(output)
    assert first.startswith("test_first - No Compose file found in")
    assert second.startswith("test_second - not run: No Compose file")
    assert third.startswith("test_third - not run: No Compose file")
    report = json.loads(next((tmp_path / "state").glob("devenv/runs/*/reports/report.json")).read_text())
    assert [test["verdict"] for test in report["tests"]] == ["error"] * 3
    assert [test["why"].startswith("not run: ") for test in report["tests"]] == [False, True, True]


def test_a_shared_fixture_of_the_tests_is_told_once_too_but_not_one_that_fails_anew(tmp_path: Path) -> None:
    output = run(tmp_path, OWN_FIXTURES)
    assert output.count('assert 1 == 2, "the own fixture broke"') == 1
    assert output.count('raise ValueError("each time anew")') == 2
    assert "pytest_runtest_setup" not in output, "the test's own lines alone"
    assert summary(output)[1].startswith("test_second - not run: the own fixture broke")


def test_a_failure_shows_lines_of_the_test_and_a_summary(tmp_path: Path) -> None:
    output = run(tmp_path, IN_TESTS)
    assert "helper(wait_for)" in output
    assert 'wait_for("the sun", lambda: 0, 0.0)' in output
    assert "devenv/verify" not in output, "no line of devenv"
    assert summary(output)[0].startswith("test_wait - 0 (after 1 tries) (expected: the sun")
    assert summary(output)[1].startswith("test_budget - search: 1e+03 s, budget 1 s")
    assert summary(output)[2].startswith("test_no_project - No Compose file found")
    report = json.loads(next((tmp_path / "state").glob("devenv/runs/*/reports/report.json")).read_text())
    assert [test["verdict"] for test in report["tests"]] == ["failed", "failed", "error"]


def test_all_lines_are_there_where_they_are_asked_for(tmp_path: Path) -> None:
    assert "devenv/verify/environment.py" in run(tmp_path, IN_TESTS, "--full-trace")


@pytest.mark.engine
def test_a_start_that_fails_is_told_once(project: Path) -> None:
    text = (project / "compose.yaml").read_text()
    (project / "compose.yaml").write_text(text.replace("python3, -m, http.server", "python3, -c, 'exit(3)'"))
    process = smoke(project)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    errors = output[output.index(" ERRORS ") : output.index(" FAILURES ")]
    first, *others = re.split(r"^_+ ERROR at setup of \w+ _+$", errors, flags=re.M)[1:]
    assert "code 3" in first
    assert "--devenv-keep" in first
    assert len(first.splitlines()) < 40, first
    assert len(others) == 2  # that need the stack
    for other in others:
        assert other.strip().startswith("not run: page: ")
        assert len(other.strip(" =\n").splitlines()) == 1
    report = json.loads((project / "reports" / "report.json").read_text())
    assert left_of(report["run"]["id"]) == []
