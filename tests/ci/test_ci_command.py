"""`devenv ci` as users type it: the graph, the table, the reports, the exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests import forked

ROOT = Path(__file__).parents[2]
TOML = """
[tasks."//#lint"]
command = "echo checked"

[tasks."//#test"]
command = "echo '``` <b> password=hunter22'; exit 1"
depends_on = ["lint"]

[tasks."//#image"]
command = "true"
depends_on = ["test"]

[tasks."//#scan"]
command = "echo looked; exit 12"

[ci.jobs.lint]
tasks = ["lint"]

[ci.jobs.test]
tasks = ["test"]

[ci.jobs.image]
tasks = ["image"]

[ci.jobs.scan]
tasks = ["scan"]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "devenv.toml").write_text(TOML)
    return folder


def devenv(folder: Path, *words: str, **environ: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    clean = {name: value for name, value in os.environ.items() if name != "GITHUB_STEP_SUMMARY"}
    done = forked.run("devenv", *words, cwd=folder, env={**clean, "PYTHONPATH": str(ROOT), **environ})
    return done.returncode, done.stdout, done.stderr


def test_list_shows_the_jobs_and_what_waits_for_what(repository: Path) -> None:
    code, out, told = devenv(repository, "ci", "list", "--json")
    assert code == 0, told
    jobs = {job["name"]: job["tasks"] for job in json.loads(out)["jobs"]}
    assert list(jobs) == ["lint", "test", "image", "scan"]
    assert jobs["image"] == [
        {"id": "//#lint", "needs": []},
        {"id": "//#test", "needs": ["//#lint"]},
        {"id": "//#image", "needs": ["//#test"]},
    ]
    assert devenv(repository, "ci", "list")[1].splitlines()[0].split() == ["JOB", "TASK", "AFTER"]


def test_pr_runs_all_that_does_not_need_what_failed_and_prints_one_table(repository: Path) -> None:
    code, out, told = devenv(repository, "ci", "pr")
    assert code == 1
    found = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert found["lint"].split()[1] == "passed"
    assert found["test"].split()[1] == "failed"
    assert "//#test: exit code 1" in found["test"]
    assert "//#image: //#test failed" in found["image"]
    assert "inconclusive" in found["scan"]
    assert "Not passed: test, image" in told


def test_a_job_alone_and_again_from_the_cache(repository: Path) -> None:
    assert devenv(repository, "ci", "pr", "--job", "lint")[0] == 0
    code, out, _ = devenv(repository, "ci", "pr", "--job", "lint", "--json")
    (job,) = json.loads(out)["jobs"]
    assert (code, job["result"], job["why"]) == (0, "passed", "1 of 1 from the cache")
    assert job["tasks"][0]["from_cache"] is True


def test_what_could_not_be_checked_is_not_passed(repository: Path) -> None:
    code, _, told = devenv(repository, "ci", "pr", "--job", "scan", "--job", "lint")
    assert code == 12
    assert "Could not be checked everywhere: scan" in told


def test_the_summary_and_junit_have_what_failed_and_no_secret(repository: Path, tmp_path: Path) -> None:
    summary, report = tmp_path / "summary.md", tmp_path / "junit.xml"
    summary.write_text("before\n")
    devenv(repository, "ci", "pr", "--junit", str(report), GITHUB_STEP_SUMMARY=str(summary))
    text = summary.read_text()
    assert text.startswith("before\n")
    assert "| test | ❌ failed |" in text
    assert "````text\n``` <b> password=••••\n````" in text
    assert "hunter22" not in text + report.read_text()
    suites = {suite.get("name"): suite for suite in ElementTree.parse(report).getroot()}
    assert (suites["test"].get("tests"), suites["test"].get("failures")) == ("2", "1")
    assert (suites["image"].get("failures"), suites["image"].get("skipped")) == ("1", "1")
    assert suites["scan"].find("testcase/skipped") is not None
    assert suites["lint"].find("testcase/system-out").text == "checked"  # type: ignore[union-attr]


def test_sarif_has_the_lines_that_tools_named_and_no_other(repository: Path, tmp_path: Path) -> None:
    """The forms of mypy, ruff, oxlint, hadolint; a file that is not there, or outside, is no place."""
    said = [
        "app.py:3: error: Missing return  [return]",
        "F401 [*] `os` imported but unused",
        " --> app.py:1:8",
        "  x eslint(no-undef): 'y' is not defined.",
        "    ,-[app.py:2:4]",
        "app.py:4 DL3022 warning: COPY",
        "gone.py:1: error: x",
        "../outside.py:1: error: x",
        "at 12:30: nothing password=hunter22",
    ]
    (repository / "app.py").write_text("1\n2\n3\n4\n")
    (repository.parent / "outside.py").write_text("1\n")
    (repository / "said.txt").write_text("\n".join(said) + "\n")
    (repository / "devenv.toml").write_text(
        """[tasks."//#lint"]
command = "cat said.txt; exit 1"
[tasks."//#silent"]
command = "exit 3"
[ci.jobs.all]
tasks = ["lint", "silent"]
"""
    )
    file = tmp_path / "ci.sarif"
    assert devenv(repository, "ci", "pr", "--sarif", str(file))[0] == 1
    (run,) = json.loads(file.read_text())["runs"]
    found = [
        (
            result["ruleId"],
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
            result["message"]["text"],
        )
        for result in run["results"]
    ]
    assert sorted(found, key=lambda result: result[0]) == [
        ("//#lint", "app.py", 3, "error: Missing return  [return]"),
        ("//#lint", "app.py", 1, "F401 [*] `os` imported but unused"),
        ("//#lint", "app.py", 2, "x eslint(no-undef): 'y' is not defined."),
        ("//#lint", "app.py", 4, "DL3022 warning: COPY"),
        ("//#silent", "devenv.toml", 1, "//#silent failed: exit code 3"),
    ]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("ci", "pr", "--job", "lnt"), 2, "Did you mean lint?"),
        (("--read-only", "ci", "pr"), 10, "read-only"),
        (("ci", "pr", "--job", "lint", "--junit", "/nowhere/junit.xml"), 1, "cannot be written"),
        (("ci", "pr", "--job", "lint", "--sarif", "/nowhere/x.sarif"), 1, "cannot be written"),
    ],
)
def test_what_goes_wrong_has_its_exit_code(repository: Path, words: tuple[str, ...], code: int, told: str) -> None:
    found, _, complaints = devenv(repository, *words)
    assert (found, told in complaints) == (code, True), complaints


def test_without_jobs_it_says_how_to_write_them(repository: Path) -> None:
    (repository / "devenv.toml").write_text('[tasks."//#lint"]\ncommand = "true"\n')
    code, _, told = devenv(repository, "ci", "pr")
    assert (code, "[ci.jobs.lint]" in told) == (2, True)
    (repository / "devenv.toml").write_text("[ci.jobs.lint]\ntasks = []\n")
    code, _, told = devenv(repository, "ci", "list")
    assert (code, "ci.jobs.lint.tasks must be a list of tasks, at least one" in told) == (2, True)
