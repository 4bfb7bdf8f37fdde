"""The steps of pr-validation.yml themselves, run on a copy of the repository: what a runner would do, and again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests import forked

pytestmark = pytest.mark.engine  # Compose says which packages there are
ROOT = Path(__file__).parents[2]
JOBS = ("lint-backend", "manifests", "secrets", "workflows")  # of those that are done within seconds
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".devenv", "__pycache__", ".*_cache", "*.svg")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as a runner has it after `make setup`."""
    folder = tmp_path_factory.mktemp("runner") / "checkout"
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED, symlinks=True)
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    return folder


def gate(checkout: Path, job: str, summary: Path) -> tuple[int, str]:
    """Run what the job's last command is there; return its exit code and what it printed to stdout."""
    workflow = yaml.safe_load((checkout / ".github/workflows/pr-validation.yml").read_text("utf-8"))
    *_, step = (one for one in workflow["jobs"]["gate"]["steps"] if "devenv ci" in one.get("run", ""))
    assert step["env"] == {"JOB": "${{ matrix.job }}"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "DEVENV_"))}
    environ = {**clean, "PYTHONPATH": str(ROOT), "JOB": job, "GITHUB_STEP_SUMMARY": str(summary)}
    # As a runner starts it: https://docs.github.com/actions/reference/workflow-syntax#jobsjob_idstepsshell
    done = subprocess.run(
        ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]),
        cwd=checkout,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, f"{done.stdout}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("job", JOBS)
def test_a_gate_passes_as_a_runner_runs_it_and_again_from_the_cache(checkout: Path, tmp_path: Path, job: str) -> None:
    summary = tmp_path / "summary.md"
    for expected in ("passed", "from the cache"):
        code, told = gate(checkout, job, summary)
        assert (code, expected in told) == (0, True), told
    assert summary.read_text("utf-8").count(f"| {job} | ✅ passed |") == 2
    (suite,) = ElementTree.parse(checkout / "junit.xml").getroot()
    assert (suite.get("name"), suite.get("failures")) == (job, "0")


def test_a_planted_fault_fails_its_gate_and_no_other(checkout: Path, tmp_path: Path) -> None:
    source = checkout / "compose/frontend/docfront/origin.py"
    original = source.read_text("utf-8")
    source.write_text(f"{original}\nimport os\n", "utf-8")
    try:
        code, told = gate(checkout, "lint-frontend", tmp_path / "summary.md")
        assert (code, "frontend#lint: exit code 1" in told) == (1, True), told
        assert "E402" in (tmp_path / "summary.md").read_text("utf-8")
        code, told = gate(checkout, "lint-backend", tmp_path / "summary.md")
        assert (code, "from the cache" in told) == (0, True), told
    finally:
        source.write_text(original, "utf-8")


@pytest.mark.parametrize(
    ("file", "text", "job", "told"),
    [
        ("compose/frontend/docfront/static/text.js", "\nfutureWord();\n", "lint-frontend", "no-undef"),
        ("compose/backend/Dockerfile", "\nRUN cd /tmp && sudo ls\n", "lint-backend", "DL3004"),
        (".github/workflows/ci.yml", "      - uses: actions/checkout@v7\n", "workflows", "unpinned-uses"),
    ],
)
def test_a_planted_fault_of_each_kind_is_in_the_summary(
    checkout: Path, tmp_path: Path, file: str, text: str, job: str, told: str
) -> None:
    source = checkout / file
    original = source.read_text("utf-8")
    source.write_text(original + text, "utf-8")
    try:
        code, output = gate(checkout, job, tmp_path / "summary.md")
    finally:
        source.write_text(original, "utf-8")
    assert code == 1, output
    assert told in (tmp_path / "summary.md").read_text("utf-8")


def test_a_planted_secret_fails_the_gate(checkout: Path, tmp_path: Path) -> None:
    """T123, of secrets."""
    manifest = checkout / "k8s/base/planted.yaml"
    manifest.write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {password: vB7q2Lx9zR4wKf83}\n")
    try:
        code, told = gate(checkout, "secrets", tmp_path / "summary.md")
    finally:
        manifest.unlink()
    assert (code, "//#secrets: exit code 11" in told) == (1, True), told
    assert "vB7q2Lx9zR4wKf83" not in (tmp_path / "summary.md").read_text("utf-8")


def test_the_whole_graph_is_the_one_of_the_documentation(checkout: Path) -> None:
    done = forked.run("devenv", "ci", "list", "--json", cwd=checkout, env={**os.environ, "PYTHONPATH": str(ROOT)})
    jobs = {job["name"]: {task["id"] for task in job["tasks"]} for job in json.loads(done.stdout)["jobs"]}
    page = (ROOT / "docs/CI_CD.md").read_text("utf-8")
    assert [name for name in jobs if f"`{name}`" not in page] == []
    assert jobs["smoke"] == {"backend#build", "frontend#build", "//#smoke"}
