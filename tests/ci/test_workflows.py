"""The workflows: thin, pinned, with the least permissions, and the same gates as `devenv ci pr`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")
# What somebody outside can write: https://docs.github.com/actions/reference/security/secure-use#untrusted-input
EXPRESSION = re.compile(r"\$\{\{")


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.fixture(params=FILES, ids=lambda file: file.name)
def file(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def workflow(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return found


def test_every_action_is_pinned_by_a_commit_with_its_version_beside_it(file: Path, workflow: dict[str, Any]) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert [action for action in used if not PINNED.match(action)] == []
    versions: dict[str, str] = {}
    for line in file.read_text("utf-8").splitlines():
        if match := re.search(r"uses: (\S+)(.*)$", line):
            action, rest = match.groups()
            assert re.fullmatch(r"  # v\d+\.\d+\.\d+", rest), line
            assert versions.setdefault(action, rest) == rest, "one commit, one version"


def test_a_job_has_the_least_permissions_and_a_limit(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 15, name
        assert job["permissions"] == {"contents": "read"}, name
        assert "secrets." not in str(job), name


def test_a_checkout_keeps_no_credentials(workflow: dict[str, Any]) -> None:
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_expression_becomes_part_of_a_script(workflow: dict[str, Any]) -> None:
    assert [step["run"] for step in steps(workflow) if EXPRESSION.search(step.get("run", ""))] == []


def test_a_newer_run_of_a_pull_request_cancels_the_older(workflow: dict[str, Any]) -> None:
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert "pull_request_target" not in (workflow.get("on") or workflow[True])  # YAML 1.1 reads `on` as true


def test_the_gates_of_a_pull_request_are_those_of_devenv_ci() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/pr-validation.yml").read_text("utf-8"))
    jobs = workflow["jobs"]["gate"]["strategy"]["matrix"]["job"]
    settings = tomllib.loads((ROOT / "devenv.toml").read_text("utf-8"))
    assert sorted(jobs) == sorted(settings["ci"]["jobs"])
    assert workflow[True]["pull_request"]["branches"] == ["main", "staging"]


def test_new_versions_wait_a_week() -> None:
    settings = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text("utf-8"))
    assert {update["package-ecosystem"] for update in settings["updates"]} == {"github-actions", "pip"}
    assert all(update["cooldown"]["default-days"] >= 7 for update in settings["updates"])
