"""This project's own manifests: clean, compared with Compose, without a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.cli import main
from devenv.manifests.kustomization import FILE_NAMES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.engine  # Compose has to be there to be compared with
def test_every_overlay_is_clean_and_agrees_with_compose(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["manifests", "check", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["targets"]
    assert [finding for target in report["targets"] for finding in target["findings"]] == []
    assert (code, report["unchecked"]) == (0, [])
    assert all(target["environment_declared"] for target in report["targets"])
    overlays = {path.parent.name for path in ROOT.glob(f"k8s/overlays/*/{FILE_NAMES[0]}")}
    assert {target["target"] for target in report["targets"]} == overlays
    compared = {item["rule"] for target in report["targets"] for item in target["excused"]}
    assert any(rule.startswith("compose-") for rule in compared)


def test_the_other_kustomize_folders_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["manifests", "check", "k8s/rbac"])
    assert code == 0, capsys.readouterr().out


def test_no_secret_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["secrets", "check", "--no-images"])
    assert code == 0, capsys.readouterr().out


def test_the_needed_secrets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secrets", "list", "--overlay", "production", "--json"]) == 0
    needs = {need["secret"]: need for need in json.loads(capsys.readouterr().out)["secrets"]}
    assert "Deployment/backend" in needs["database"]["used_by"]
    assert needs["docsearch-tls"]["keys"] == ["tls.crt", "tls.key"]
