"""The workflows: thin, pinned, with the least permissions, the same gates as `devenv ci pr`, and done in 15 minutes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted(GITHUB.glob("actions/*/action.yml"))
PULL_REQUESTS = ("ci.yml", "pr-validation.yml")
DEPLOYMENTS = ("production-deploy.yml", "staging-deploy.yml")
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$|^\./\.github/actions/\w+$")
# What somebody outside can write: https://docs.github.com/actions/reference/security/secure-use#untrusted-input
EXPRESSION = re.compile(r"\$\{\{")
WHOLE = 15  # minutes, T112


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((GITHUB / "workflows" / name).read_text("utf-8"))
    return found


def steps(definition: dict[str, Any]) -> list[dict[str, Any]]:
    if "runs" in definition:
        return list(definition["runs"]["steps"])
    return [step for job in definition["jobs"].values() for step in job["steps"]]


@pytest.fixture(params=[*WORKFLOWS, *ACTIONS], ids=lambda file: f"{file.parent.name}/{file.name}")
def file(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def definition(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return found


@pytest.fixture(params=WORKFLOWS, ids=lambda file: file.name)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param.name)


def test_every_action_is_pinned_by_a_commit_with_its_version_beside_it(file: Path, definition: dict[str, Any]) -> None:
    used = [step["uses"] for step in steps(definition) if "uses" in step]
    assert [action for action in used if not PINNED.match(action)] == []
    versions: dict[str, str] = {}
    for line in file.read_text("utf-8").splitlines():
        if (match := re.search(r"uses: (\S+)(.*)$", line)) and not match[1].startswith("./"):
            action, rest = match.groups()
            assert re.fullmatch(r"  # v\d+\.\d+\.\d+", rest), line
            assert versions.setdefault(action, rest) == rest, "one commit, one version"


def test_one_action_has_one_commit_in_all_files() -> None:
    pins: dict[str, set[str]] = {}
    for file in (*WORKFLOWS, *ACTIONS):
        for action, commit in re.findall(r"uses: ([\w./-]+)@(\w+)", file.read_text("utf-8")):
            pins.setdefault(action, set()).add(commit)
    assert {action: commits for action, commits in pins.items() if len(commits) > 1} == {}


def test_a_job_has_the_least_permissions_and_a_limit(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= WHOLE, name
        least = [{}, {"contents": "read"}]
        if name == "security-scan":
            least = [{"contents": "read", "security-events": "write"}]
        assert job["permissions"] in least, name


@pytest.mark.parametrize("name", PULL_REQUESTS)
def test_a_pull_request_sees_no_secret(name: str) -> None:
    assert "secrets." not in str(read(name))
    assert "pull_request_target" not in read(name)[True]  # YAML 1.1 reads `on` as true


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_secrets_come_from_environments_alone_and_reach_no_step_that_needs_none(name: str) -> None:
    known = {"KUBE_CONFIG", "REGISTRY_TOKEN", "NOTIFICATION_WEBHOOK"}
    for job_name, job in read(name)["jobs"].items():
        assert "secrets." not in str(job.get("env", "")), "not for all steps of a job"
        secrets = set(re.findall(r"secrets\.(\w+)", str(job)))
        assert secrets <= known, job_name
        assert not secrets or job["environment"] in ("staging", "production"), job_name


def test_a_checkout_keeps_no_credentials(workflow: dict[str, Any]) -> None:
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_expression_becomes_part_of_a_script(definition: dict[str, Any]) -> None:
    assert [step["run"] for step in steps(definition) if EXPRESSION.search(step.get("run", ""))] == []


def test_a_newer_run_cancels_an_older_one_of_a_pull_request_and_never_a_deployment() -> None:
    cancelled = {file.name: read(file.name)["concurrency"]["cancel-in-progress"] for file in WORKFLOWS}
    assert cancelled == {name: name not in DEPLOYMENTS for name in (*PULL_REQUESTS, *DEPLOYMENTS, "nightly.yml")}


def test_the_gates_of_a_pull_request_are_those_of_devenv_ci() -> None:
    workflow = read("pr-validation.yml")
    jobs = [job for name in ("gate", "image") for job in workflow["jobs"][name]["strategy"]["matrix"]["job"]]
    settings = tomllib.loads((ROOT / "devenv.toml").read_text("utf-8"))
    assert sorted(jobs) == sorted(settings["ci"]["jobs"])
    assert workflow[True]["pull_request"]["branches"] == ["main", "staging"]
    asked = ("lint-frontend", "lint-backend", "test-frontend", "test-backend", "smoke", "manifests")
    assert {*asked, "build-backend-image", "build-frontend-image"} <= set(jobs)


def test_images_are_built_for_each_platform_of_services_that_compose_builds() -> None:
    compose = yaml.safe_load((ROOT / "compose/compose.yaml").read_text("utf-8"))
    built = {name for name, service in compose["services"].items() if "build" in service}
    matrix = read("pr-validation.yml")["jobs"]["image"]["strategy"]["matrix"]
    assert {item["service"] for item in matrix["include"] if "service" in item} == built
    assert set(matrix["platform"]) == {"amd64", "arm64"}
    bakes = [
        step["with"] for name in DEPLOYMENTS for step in steps(read(name)) if "bake-action" in step.get("uses", "")
    ]
    assert [set(bake["targets"].split()) for bake in bakes] == [built]
    assert all(bake["push"] and bake["sbom"] and bake["provenance"] == "mode=max" for bake in bakes)


def test_the_jobs_of_a_deployment_are_those_that_were_asked_for() -> None:
    staging = ["build-and-push-images", "deploy-to-staging", "health-check", "notify"]
    assert list(read("staging-deploy.yml")["jobs"]) == staging
    production = ["promote", "security-scan", "manual-approval", "deploy-to-production", "health-check-production"]
    assert list(read("production-deploy.yml")["jobs"]) == [*production, "rollback-on-failure", "notify-production"]
    assert read("staging-deploy.yml")[True] == {"push": {"branches": ["staging"]}}
    assert read("production-deploy.yml")[True] == {"push": {"branches": ["main"]}}


def test_production_builds_nothing_and_waits_for_an_approval() -> None:
    jobs = read("production-deploy.yml")["jobs"]
    assert "docker buildx" not in str(jobs)
    assert "bake" not in str(jobs)
    assert jobs["manual-approval"]["environment"] == "production-approval"
    assert "manual-approval" in jobs["deploy-to-production"]["needs"]
    assert jobs["manual-approval"]["needs"] == "security-scan"
    (deploy,) = [step["run"] for step in jobs["deploy-to-production"]["steps"] if "run" in step]
    for flag in ("--no-build", "--verify", "--available", "--rollback-on-failure"):
        assert flag in deploy
    assert jobs["notify-production"]["if"] == "always()"
    assert set(jobs["notify-production"]["needs"]) == set(jobs) - {"notify-production"}


@pytest.mark.parametrize("name", [*PULL_REQUESTS, *DEPLOYMENTS])
def test_the_limits_of_a_workflow_add_up_to_15_minutes(name: str) -> None:
    """Along the longest chain of jobs, without what only runs after a failure."""
    jobs = read(name)["jobs"]

    def minutes(job: str) -> int:
        needs = jobs[job].get("needs", [])
        before = [minutes(one) for one in ([needs] if isinstance(needs, str) else needs)]
        own = 0 if "failure()" in jobs[job].get("if", "") else int(jobs[job]["timeout-minutes"])
        return own + max(before, default=0)

    assert max(map(minutes, jobs)) <= WHOLE


def commands_of_devenv(definition: dict[str, Any]) -> list[list[str]]:
    scripts = [step["run"].replace("\\\n", " ") for step in steps(definition) if "run" in step]
    lines = [line for script in scripts for line in script.splitlines() if ".venv/bin/devenv" in line]
    plain = [re.sub(r'"\$\(\(.*?\)\)"|"\$\w+"', "1", line) for line in lines]
    return [shlex.split(line.split(".venv/bin/devenv", 1)[1]) for line in plain]


def test_what_the_workflows_call_is_there(definition: dict[str, Any]) -> None:
    from devenv.cli.parser import parse_arguments

    for words in commands_of_devenv(definition):
        assert parse_arguments(words).command == words[0]


def test_python_is_tested_in_each_version_that_is_promised() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r"Python :: 3\.\d+$", text)]
    assert read("pr-validation.yml")["jobs"]["python"]["strategy"]["matrix"]["python"] == named


def test_new_versions_wait_a_week() -> None:
    settings = yaml.safe_load((GITHUB / "dependabot.yml").read_text("utf-8"))
    assert {update["package-ecosystem"] for update in settings["updates"]} == {"github-actions", "pip"}
    assert all(update["cooldown"]["default-days"] >= 7 for update in settings["updates"])
    (actions,) = [one for one in settings["updates"] if one["package-ecosystem"] == "github-actions"]
    assert set(actions["directories"]) == {"/", *(f"/{file.parent.relative_to(ROOT)}" for file in ACTIONS)}


def test_every_exception_of_zizmor_has_its_reason() -> None:
    text = (GITHUB / "zizmor.yml").read_text("utf-8")
    lines = [line for line in text.splitlines() if "disable:" in line or "ignore:" in line]
    assert lines
    assert [line for line in lines if not re.search(r"\S  # \S+ \S+", line)] == []
    for file in (*WORKFLOWS, *ACTIONS):
        assert "zizmor: ignore" not in file.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "text", "finding"),
    [
        ("zizmor --quiet --offline --pedantic .github", "uses: actions/checkout@v7", "unpinned-uses"),
        (
            "zizmor --quiet --offline --pedantic .github",
            "run: echo ${{ github.event.pull_request.title }}",
            "template-injection",
        ),
        ("actionlint .github/workflows/x.yml", "run: echo ${{ matrix.nothing }}", "is not defined in object type"),
        ("actionlint .github/workflows/x.yml", "run: echo ${{ nothing.x }}", "undefined variable"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, words: str, text: str, finding: str) -> None:
    folder = tmp_path / ".github"
    shutil.copytree(GITHUB, folder)
    job = f"name: x\n    runs-on: ubuntu-24.04\n    permissions: {{}}\n    steps:\n      - {text}\n"
    (folder / "workflows/x.yml").write_text(f"name: x\non: pull_request\npermissions: {{}}\njobs:\n  x:\n    {job}")
    name, *options = words.split()
    program = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program is not None, f"{name} is a development dependency"
    done = subprocess.run((program, *options), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode != 0, finding in done.stdout + done.stderr) == (True, True), done.stdout
