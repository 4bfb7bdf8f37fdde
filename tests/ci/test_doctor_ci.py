"""`devenv doctor --ci` against a web service that plays GitHub's API: what is missing where, and what it never says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.ci.github import needed
from devenv.cli import main
from tests.ci.webservice import Answer, serving

ROOT = Path(__file__).parents[2]
TOKEN = "ghp_zq81xvTOKEN"
WORKFLOW = """
jobs:
  deploy:
    environment: staging
    steps:
      - env: {A: "${{ secrets.KUBE_CONFIG }}", B: "${{ vars.HEALTH_URL }}"}
  approval:
    environment: {name: production-approval}
    steps: []
  free: {steps: [{run: "true"}]}
"""
REVIEWED = {"protection_rules": [{"type": "required_reviewers"}]}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    workflows = tmp_path / "repository/.github/workflows"
    workflows.mkdir(parents=True)
    (workflows / "deploy.yml").write_text(WORKFLOW)
    monkeypatch.chdir(tmp_path / "repository")
    for name in ("GH_TOKEN", "GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "repository"


def ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answers: dict[str, Any]
) -> tuple[int, dict[str, dict[str, str]], str]:
    """Return the exit code, the findings by environment, and all that was shown."""

    def answer(_: str, path: str, __: int) -> Answer:
        found = answers.get(path.partition("/environments/")[2], 404)
        return (found, {}, "{}") if isinstance(found, int) else (200, {}, json.dumps(found))

    with serving(answer) as service:
        monkeypatch.setenv("GITHUB_API_URL", service.url)
        monkeypatch.setenv("GITHUB_REPOSITORY", "shop/search")
        monkeypatch.setenv("GH_TOKEN", TOKEN)
        code = main(["doctor", "--ci", "--json"])
    shown = capsys.readouterr()
    assert all(path.startswith("/repos/shop/search/environments/") for _, path, _ in service.requests)
    assert {headers["authorization"] for headers in service.headers} == {f"Bearer {TOKEN}"}
    assert TOKEN not in shown.out + shown.err
    return code, {item["check"]: item for item in json.loads(shown.out)["findings"]}, shown.out


def test_all_is_there(repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {
        "staging": {},
        "staging/secrets?per_page=100": {"secrets": [{"name": "KUBE_CONFIG"}]},
        "staging/variables?per_page=100": {"variables": [{"name": "HEALTH_URL"}]},
        "production-approval": REVIEWED,
    }
    code, findings, _ = ask(monkeypatch, capsys, answers)
    assert code == 0
    assert {item["level"] for item in findings.values()} == {"ok"}


def test_what_is_missing_is_named_with_its_environment(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {
        "staging": {},
        "staging/secrets?per_page=100": {"secrets": [{"name": "OTHER"}]},
        "staging/variables?per_page=100": {"variables": []},
        "production-approval": {"protection_rules": [{"type": "wait_timer"}]},
    }
    code, findings, _ = ask(monkeypatch, capsys, answers)
    assert code == 1
    assert findings["staging"]["message"] == "lacks KUBE_CONFIG (secret), HEALTH_URL (variable)"
    assert "reviewers" in findings["production-approval"]["message"]


def test_an_environment_that_is_not_there(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, findings, _ = ask(monkeypatch, capsys, {"production-approval": REVIEWED})
    assert code == 1
    assert "has no such environment; it needs secrets KUBE_CONFIG and variables" in findings["staging"]["message"]


@pytest.mark.parametrize(
    ("status", "code", "told"), [(401, 1, "expired"), (403, 12, "may not read"), (500, 12, "answered 500")]
)
def test_an_expired_token_and_one_without_rights(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    code: int,
    told: str,
) -> None:
    ended, findings, _ = ask(monkeypatch, capsys, {"staging": status, "production-approval": REVIEWED})
    assert (ended, told in findings["staging"]["message"]) == (code, True)


def test_an_answer_that_is_none(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, findings, _ = ask(monkeypatch, capsys, {"staging": [], "production-approval": REVIEWED})
    assert (code, "cannot be read" in findings["staging"]["message"]) == (12, True)


def test_without_a_token_it_says_what_is_needed_and_is_not_passed(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--ci"]) == 12
    out = capsys.readouterr().out
    assert "needs secrets KUBE_CONFIG and variables HEALTH_URL; not looked at: there is no token" in out
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    assert main(["doctor", "--ci"]) == 12
    assert "GITHUB_REPOSITORY" in capsys.readouterr().out
    monkeypatch.setenv("GITHUB_REPOSITORY", "a/b")
    for address, told in (("http://example.com", "does not begin with https"), ("http://127.0.0.1:1", "not reached")):
        monkeypatch.setenv("GITHUB_API_URL", address)
        assert main(["doctor", "--ci"]) == 12
        assert told in capsys.readouterr().out


def test_a_workflow_that_is_none_is_told(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".github/workflows/bad.yml").write_text("jobs: [")
    assert main(["doctor", "--ci"]) == 1
    assert "bad.yml is not a workflow" in capsys.readouterr().err


def test_without_workflows_nothing_is_needed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".github/workflows/deploy.yml").unlink()
    assert main(["doctor", "--ci"]) == 0


def test_the_page_names_what_this_repository_needs() -> None:
    page = (ROOT / "docs/CI_CD.md").read_text("utf-8")
    for need in needed(ROOT):
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{need.environment}` |")]
        for name in (*need.secrets, *need.vars):
            assert f"`{name}`" in line
