"""`devenv kube ...` as it is typed: exit codes, what goes to stdout, dry runs. kubectl's part: test_kubectl_passed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from devenv.cli import main
from fakes.api_server import ApiServer, deployment, pod

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {LEVEL: %s}\n"


@pytest.fixture(autouse=True)
def here(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("KUBE_EDITOR", "VISUAL", "DEVENV_CONTEXT", "DEVENV_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> str:
    (folder / "objects.yaml").write_text(text, encoding="utf-8")
    return str(folder / "objects.yaml")


def test_apply_shows_what_it_changes_and_a_dry_run_changes_nothing(
    api: ApiServer, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(here, CONFIG % "debug")
    assert main(["kube", "apply", "-f", file, "--dry-run"]) == 0
    assert api.get("configmaps", "settings") is None
    assert main(["kube", "apply", "-f", file]) == 0
    assert api.get("configmaps", "settings") is not None
    capsys.readouterr()
    file = write(here, CONFIG % "info")
    assert main(["kube", "apply", "-f", file, "--dry-run", "--json"]) == 0
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert change["action"] == "changed"
    assert "+  LEVEL: info" in change["diff"]


def test_a_conflict_ends_apply_before_anything_is_sent(
    api: ApiServer, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kube", "apply", "-f", write(here, CONFIG % "debug")]) == 0
    api.operations.patch(
        api.served.named("configmaps"),
        "default",
        "settings",
        {"data": {"LEVEL": "trace"}},
        "application/merge-patch+json",
        {"fieldManager": "kubectl-edit"},
    )
    file = write(here, f"{CONFIG % 'info'}---\n{(CONFIG % 'x').replace('settings', 'another')}")
    assert main(["kube", "apply", "-f", file]) == 1
    assert ".data.LEVEL is owned by kubectl-edit: edited by hand" in capsys.readouterr().err
    assert api.get("configmaps", "another") is None
    assert main(["kube", "apply", "-f", file, "--force-conflicts"]) == 0
    found = api.get("configmaps", "settings")
    assert found is not None
    assert found["data"] == {"LEVEL": "info"}


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: 1\nb: [", "line 3"), ("- 1\n", "not an object"), ("", "nothing to apply"), ("kind: Pod\n", "no apiVersion")],
)
def test_what_cannot_be_applied_names_the_file_and_the_place(
    here: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    assert main(["kube", "apply", "-f", write(here, text)]) == 2
    assert words in capsys.readouterr().err
    assert main(["kube", "apply", "-f", "absent.yaml"]) == 2
    assert "absent.yaml" in capsys.readouterr().err


def test_the_cluster_away_and_a_context_that_is_not_there_have_their_exit_codes(api: ApiServer) -> None:
    assert main(["--context", "nope", "kube", "rollout", "undo", "deployment/web"]) == 2
    api.stop()
    assert main(["kube", "rollout", "undo", "deployment/web"]) == 13


def test_rollout_status_and_history_as_json(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    api.controllers.rollout(deployment("web", replicas=2))
    assert main(["kube", "rollout", "status", "deployment/web", "--json"]) == 0
    (status,) = json.loads(capsys.readouterr().out)
    assert (status["done"], status["desired"], status["ready"]) == (True, 2, 2)
    assert main(["kube", "rollout", "history", "deploy", "web", "--json"]) == 0
    (revision,) = json.loads(capsys.readouterr().out)
    assert (revision["revision"], revision["current"], revision["images"]) == (1, True, ["web:1"])


def test_waiting_for_a_rollout_that_cannot_heal_ends_with_its_reason(
    api: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    api.controllers.behave("web:broken", "crash")
    api.controllers.rollout(deployment("web", "web:broken"))
    api.controllers.start()
    assert main(["kube", "rollout", "status", "deployment/web", "--watch", "--timeout", "30"]) == 7
    assert "deployment/web" in capsys.readouterr().err


def test_a_rollout_whose_deadline_has_passed_is_told_at_once(
    api: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    api.controllers.rollout(deployment("stuck"))
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "lastTransitionTime": "x"}
    api.change("deployments", "stuck", {"status": {"conditions": [late], "availableReplicas": 0, "readyReplicas": 0}})
    began = time.monotonic()
    assert main(["kube", "rollout", "status", "deploy/stuck", "-w"]) == 7
    assert time.monotonic() - began < 20
    told = capsys.readouterr().err
    assert "ProgressDeadlineExceeded" in told
    assert "Go back: devenv kube rollout undo deployment/stuck" in told


def test_a_rollout_of_what_is_not_there_is_not_waited_for(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert main(["kube", "rollout", "status", "deploy/absent", "-w"]) == 1
    assert time.monotonic() - began < 20
    assert "There is no deployment/absent in namespace default" in capsys.readouterr().err


def test_forward_lists_its_port_and_its_traffic(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    api.put(deployment("web"), pod("web-1", labels={"app": "web"}))
    assert main(["kube", "port-forward", "deployment/web", "8000", "--seconds", "0.1", "--json"]) == 0
    told = capsys.readouterr()
    (stats,) = json.loads(told.out)
    assert stats["pod"] == "web-1"
    assert f"127.0.0.1:{stats['local_port']} -> deployment/web:8000 (pod web-1)" in told.err
    assert "0 connections (0 open, 0 failed), 0 B up, 0 B down" in told.err
    assert main(["kube", "forward", "deployment/web", "x:80"]) == 2


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("kube", "apply"), ("kube", "rollout", "undo"), ("kube", "port-forward"), ("kube",)):
        with pytest.raises(SystemExit) as caught:
            main([*words, "--help"])
        assert caught.value.code == 0
    assert "exit codes" in capsys.readouterr().out
