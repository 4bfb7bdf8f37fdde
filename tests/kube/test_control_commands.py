"""`devenv kube ...` as it is typed: exit codes, what goes to stdout, confirmation, dry runs, the editor's file."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from devenv.cli import main
from devenv.control.kube import edit
from tests.kube.api_server import ApiServer, deployment, pod

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


def test_apply_diff_and_their_exit_codes(api: ApiServer, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(here, CONFIG % "debug")
    assert main(["kube", "diff", "-f", file]) == 11
    assert api.get("configmaps", "settings") is None
    assert main(["kube", "apply", "-f", file, "--dry-run"]) == 0
    assert api.get("configmaps", "settings") is None
    assert main(["kube", "apply", "-f", file]) == 0
    assert api.get("configmaps", "settings") is not None
    assert main(["kube", "diff", "-f", file]) == 0
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
    [("a: 1\nb: [", "line 3"), ("- 1\n", "no object"), ("", "nothing to apply"), ("kind: Pod\n", "no apiVersion")],
)
def test_what_cannot_be_applied_names_the_file_and_the_place(
    here: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    assert main(["kube", "apply", "-f", write(here, text)]) == 2
    assert words in capsys.readouterr().err
    assert main(["kube", "apply", "-f", "absent.yaml"]) == 2
    assert "absent.yaml" in capsys.readouterr().err


def test_deleting_asks_and_refuses_without_a_terminal(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    api.put(deployment("web"))
    assert main(["kube", "delete", "deployment/web"]) == 10
    assert "there is no terminal to ask" in capsys.readouterr().err
    assert api.get("deployments", "web") is not None
    assert main(["kube", "delete", "deployment/web", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["verb"], plan["targets"], plan["needs_confirmation"]) == ("delete", ["deployment/default/web"], True)
    assert main(["kube", "delete", "deploy", "web", "--yes"]) == 0
    assert api.get("deployments", "web") is None


def test_a_pod_that_its_controller_makes_again_is_not_deleted_unasked(
    api: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    api.controllers.rollout(deployment("web"))
    name = api.objects("pods")[0]["metadata"]["name"]
    assert main(["kube", "delete", "pod", name]) == 10
    told = capsys.readouterr().err
    assert "makes another one in its place" in told
    assert "there is no terminal to ask" in told
    assert api.get("pods", name) is not None


def test_a_context_not_on_the_list_is_refused_and_can_be_allowed(
    api: ApiServer, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api.put(deployment("web"))
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(here / "production", context="production")))
    scale = ["kube", "scale", "deployment/web", "--replicas", "3"]
    assert main(scale) == 10
    assert 'allow = ["production"]' in capsys.readouterr().err
    assert main([*scale, "--dry-run"]) == 0
    assert "Not allowed" in capsys.readouterr().out
    (here / "devenv.toml").write_text('[kubernetes]\nallow = ["production"]\n', encoding="utf-8")
    assert main([*scale, "--read-only"]) == 10
    assert main(scale) == 0
    found = api.get("deployments", "web")
    assert found is not None
    assert found["spec"]["replicas"] == 3
    lines = (here / "state" / "devenv" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    written = [json.loads(line) for line in lines]
    assert [record["event"] for record in written] == ["refused", "refused", "allowed", "finished"]
    assert {record.get("context") for record in written[:3]} == {"production"}


def test_the_cluster_away_and_a_context_that_is_not_there_have_their_exit_codes(api: ApiServer) -> None:
    assert main(["--context", "nope", "kube", "scale", "deployment/web", "--replicas", "1"]) == 2
    api.stop()
    assert main(["kube", "scale", "deployment/web", "--replicas", "1"]) == 13


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
    assert "ProgressDeadlineExceeded" in capsys.readouterr().err


def editing(monkeypatch: pytest.MonkeyPatch, here: Path, *changes: tuple[str, str]) -> None:
    """Let the editor make one of the changes at each call."""
    script = here / "editor"
    steps = "".join(
        f"if [ $n = {place} ]; then sed -i 's/{a}/{b}/' \"$1\"; fi\n" for place, (a, b) in enumerate(changes)
    )
    counter = f"n=$(cat {here}/n 2>/dev/null || echo 0)\necho $((n+1)) > {here}/n\n"
    script.write_text(f"#!/bin/sh\n{counter}{steps}", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script))


def kept(here: Path) -> list[Path]:
    return list(here.glob("devenv-*.yaml"))


def test_an_edit_is_tried_shown_and_saved(api: ApiServer, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api.put(deployment("web"))
    editing(monkeypatch, here, ("replicas: 1", "replicas: 4"))
    assert main(["kube", "edit", "deployment/web"]) == 0
    found = api.get("deployments", "web")
    assert found is not None
    assert found["spec"]["replicas"] == 4
    assert kept(here) == []


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("replicas: 1", "replicas: ["), 2, "Correct the YAML"),
        (("name: web$", "name: other"), 2, "name was changed"),
        (("kind: Deployment", "kind: Pod"), 2, "kind was changed"),
    ],
)
def test_an_edit_that_is_wrong_changes_nothing_and_keeps_the_text(
    api: ApiServer,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    code: int,
    words: str,
) -> None:
    before = api.put(deployment("web"))
    editing(monkeypatch, here, change)
    assert main(["kube", "edit", "deployment/web"]) == code
    told = capsys.readouterr().err
    assert words in told
    (file,) = kept(here)
    assert str(file) in told
    assert re.search(change[1].rstrip("[").rstrip(), file.read_text(encoding="utf-8"))
    assert api.get("deployments", "web") == before


def test_an_edit_over_somebody_elses_change_is_refused_and_kept(
    api: ApiServer, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api.put(deployment("web"))
    editing(monkeypatch, here, ("replicas: 1", "replicas: 4"))
    real = edit.save

    def meanwhile(client: Any, edited: edit.Edited) -> None:
        api.change("deployments", "web", {"metadata": {"labels": {"by": "somebody"}}})
        real(client, edited)

    monkeypatch.setattr("devenv.cli.kube_edit.save", meanwhile)
    assert main(["kube", "edit", "deployment/web"]) == 1
    told = capsys.readouterr().err
    assert len(kept(here)) == 1
    assert str(kept(here)[0]) in told
    found = api.get("deployments", "web")
    assert found is not None
    assert found["spec"]["replicas"] == 1


def test_an_edit_without_a_change_and_one_whose_editor_fails(
    api: ApiServer, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api.put(pod("web-1"))
    monkeypatch.setenv("EDITOR", "true")
    assert main(["kube", "edit", "pod/web-1"]) == 0
    assert kept(here) == []
    monkeypatch.setenv("EDITOR", "false")
    assert main(["kube", "edit", "pod/web-1"]) == 1
    assert str(kept(here)[0]) in capsys.readouterr().err
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    assert main(["kube", "edit", "pod/web-1"]) == 9
    assert api.count("PUT") == 0


def test_exec_ends_with_the_exit_code_of_kubectl_and_is_written_down(
    api: ApiServer, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    api.put(pod("web-1"))
    assert main(["kube", "exec", "pod/absent", "--", "true"]) == 1
    assert "There is no pod/absent" in capfd.readouterr().err
    assert main(["kube", "exec", "web-1", "-c", "main", "--", "true"]) == 1  # this server has no exec: kubectl says so
    lines = (here / "state" / "devenv" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    ended = json.loads(lines[-1])
    assert (ended["verb"], ended["result"]) == ("exec", "failed")


@pytest.mark.parametrize("words", [("a", "b"), ("web:/x", "web:/y")])
def test_copying_needs_a_pod_on_exactly_one_side(words: tuple[str, str]) -> None:
    assert main(["kube", "cp", *words]) == 2


def test_forward_lists_its_port_and_its_traffic(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    api.put(deployment("web"), pod("web-1", labels={"app": "web"}))
    assert main(["kube", "forward", "deployment/web", "8000", "--seconds", "0.1", "--json"]) == 0
    told = capsys.readouterr()
    (stats,) = json.loads(told.out)
    assert stats["pod"] == "web-1"
    assert f"127.0.0.1:{stats['local_port']} -> deployment/web:8000 (pod web-1)" in told.err
    assert "0 connections (0 open, 0 failed), 0 B up, 0 B down" in told.err
    assert main(["kube", "forward", "deployment/web", "x:80"]) == 2


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("kube",), ("kube", "apply"), ("kube", "rollout", "undo"), ("minikube",), ("minikube", "start")):
        with pytest.raises(SystemExit) as caught:
            main([*words, "--help"])
        assert caught.value.code == 0
    assert "exit codes" in capsys.readouterr().out
