"""`devenv kubectl ...`: the real kubectl against an API server on loopback, with the guard before every change."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import devenv
from devenv.cli import main
from fakes.api_server import ApiServer, deployment, pod


@pytest.fixture(autouse=True)
def here(api: ApiServer, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    api.aggregated_discovery = False  # kubectl takes the aggregated form only by its own media type
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("DEVENV_CONTEXT", "DEVENV_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def audit(here: Path) -> list[dict[str, object]]:
    path = here / "state" / "devenv" / "audit.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def local_pod(api: ApiServer, name: str = "db-0") -> None:
    made = pod(name)
    made["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    api.put(made)


def test_reading_is_kubectls_own_and_is_not_written_down(
    api: ApiServer, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    api.put(pod("web-1"))
    assert main(["kubectl", "get", "pods", "-o", "name"]) == 0
    assert capfd.readouterr().out == "pod/web-1\n"
    assert main(["kube", "get", "pod/web-1", "-n", "default", "-o", "name"]) == 0
    assert capfd.readouterr().out == "pod/web-1\n"
    assert main(["kubectl", "get", "pod/nobody"]) == 1
    assert 'pods "nobody" not found' in capfd.readouterr().err
    assert main(["kubectl", "delete", "pod", "web-1", "--dry-run=server"]) == 0
    assert "server dry run" in capfd.readouterr().out
    assert audit(here) == []


def test_without_a_cluster_reading_says_what_to_do(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(here / "nowhere"))
    assert main(["kubectl", "get", "pods"]) == 2
    told = capfd.readouterr()
    assert (told.out, "No cluster is configured" in told.err, "minikube start" in told.err) == ("", True, True)
    assert main(["kubectl", "version", "--client"]) == 0
    assert main(["kubectl", "get", "pods", "--server=http://127.0.0.1:1", "--request-timeout=5s"]) == 1


@pytest.mark.parametrize("words", [("kubectl",), ("kube",)])
def test_deleting_says_what_is_lost_and_is_refused_without_a_terminal(
    api: ApiServer, here: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    local_pod(api)
    delete = [*words, "delete", "pod", "db-0", "--now"]
    assert main(delete) == 10
    told = capfd.readouterr().err
    assert "Lost for ever: the local data of pod default/db-0: emptyDir data." in told
    assert "there is no terminal to ask" in told
    assert api.get("pods", "db-0") is not None
    assert main([*delete, "--wait=false", "--yes"]) == 0
    assert 'pod "db-0" deleted' in capfd.readouterr().out
    assert api.get("pods", "db-0") is None
    first, *_, last = audit(here)
    assert (first["event"], first["verb"], first["targets"]) == ("refused", "delete", ["pod/default/db-0"])
    assert (last["event"], last["result"]) == ("finished", "done")


def test_what_is_asked_is_answered_by_yes_alone(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    api.put(pod("web-1"))
    for answer, code in (("n\n", 10), ("yes\n", 0)):
        asked = io.StringIO(answer)
        monkeypatch.setattr(asked, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", asked)
        assert main(["kubectl", "delete", "pod/web-1", "--wait=false"]) == code
    assert "delete pod/default/web-1 in minikube? Type yes:" in capfd.readouterr().err
    assert api.get("pods", "web-1") is None


def test_a_selector_and_a_file_from_standard_input_name_what_goes(
    api: ApiServer, here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put(pod("a", labels={"app": "x"}), pod("b", labels={"app": "x"}), pod("c"))
    assert main(["kubectl", "delete", "pods", "-l", "app=x"]) == 10
    assert audit(here)[-1]["targets"] == ["pod/default/a", "pod/default/b"]
    text = b"apiVersion: v1\nkind: Pod\nmetadata: {name: c}\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert main(["kubectl", "delete", "-f", "-", "--wait=false", "--yes"]) == 0
    assert audit(here)[-2]["targets"] == ["pod/default/c"]
    assert api.get("pods", "c") is None
    capfd.readouterr()


def test_what_kubectl_itself_refuses_ends_with_its_words_and_exit_code(
    api: ApiServer, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["kubectl", "delete", "pod", "nobody"]) == 1
    assert 'pods "nobody" not found' in capfd.readouterr().err
    assert main(["kubectl", "delete", "pod", "nobody", "--no-such-flag"]) == 1
    assert "unknown flag" in capfd.readouterr().err
    assert audit(here) == []


def test_a_scale_to_nothing_is_asked_and_another_is_not(api: ApiServer, capfd: pytest.CaptureFixture[str]) -> None:
    api.controllers.rollout(deployment("web", replicas=2))
    assert main(["kubectl", "scale", "deployment/web", "--replicas=0"]) == 10
    assert "Nothing of it serves any more" in capfd.readouterr().err
    assert main(["kubectl", "scale", "deployment/web", "--replicas=3"]) == 0
    found = api.get("deployments", "web")
    assert found is not None
    assert found["spec"]["replicas"] == 3


def test_a_context_not_on_the_list_is_refused_before_it_is_asked_anything(
    api: ApiServer, here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    api.put(pod("web-1"))
    production = str(api.kubeconfig(here / "production", context="production"))
    lines = (
        ["--context=production"],
        ["--context", "production"],
        ["-s", "https://10.0.0.9"],
        ["--cluster=production"],
    )
    both = f"{here / 'kubeconfig'}:{production}"
    monkeypatch.setenv("KUBECONFIG", both)
    for flags in lines:
        for line in (
            ["delete", "pod", "web-1", "--yes"],
            ["label", "pod", "web-1", "a=b"],
            ["exec", "web-1", "--", "x"],
        ):
            assert main(["kubectl", *flags, *line]) == 10, flags
            assert "is not on the list" in capfd.readouterr().err
    assert main(["kubectl", "label", "pod", "web-1", "a=b", "--kubeconfig", production]) == 10
    assert main(["--context", "production", "kubectl", "label", "pod", "web-1", "a=b"]) == 10
    assert api.count() == 0
    assert {record["event"] for record in audit(here)} == {"refused"}
    assert main(["kubectl", "--context=production", "get", "pods"]) == 0
    (here / "devenv.toml").write_text('[kubernetes]\nallow = ["production"]\n', encoding="utf-8")
    assert main(["--read-only", "kubectl", "--context=production", "label", "pod", "web-1", "a=b"]) == 10
    assert main(["kubectl", "--context=production", "label", "pod", "web-1", "a=b"]) == 0
    assert audit(here)[-2]["context"] == "production"
    capfd.readouterr()


def test_the_user_of_a_context_that_is_not_on_the_list_is_refused(
    api: ApiServer, here: Path, kubeconfig: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    api.put(pod("web-1"))
    told = json.loads(kubeconfig.read_text(encoding="utf-8"))
    told["users"].append({"name": "admin", "user": {"token": "t"}})
    told["contexts"].append({"name": "minikube-admin", "context": {"cluster": "minikube", "user": "admin"}})
    kubeconfig.write_text(json.dumps(told), encoding="utf-8")
    line = ["kubectl", "--user=admin", "label", "pod", "web-1", "a=b"]
    assert main(line) == 10
    (here / "devenv.toml").write_text('[kubernetes]\nallow = ["minikube-admin"]\n', encoding="utf-8")
    assert main(line) == 0
    capfd.readouterr()


def test_the_kubeconfig_is_no_cluster_but_read_only_and_what_it_loses_count(
    here: Path, kubeconfig: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["kubectl", "config", "set-context", "minikube", "--namespace=shop"]) == 0
    assert main(["--read-only", "kubectl", "config", "use-context", "minikube"]) == 10
    assert main(["kubectl", "config", "delete-context", "minikube"]) == 10
    assert "out of the kubeconfig" in capfd.readouterr().err
    assert "shop" in kubeconfig.read_text(encoding="utf-8")


def test_an_interactive_command_ends_with_its_exit_code_and_is_written_down(
    api: ApiServer, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    api.put(pod("web-1"))
    assert main(["kubectl", "exec", "web-1", "-c", "main", "--", "true"]) == 1  # this server has no exec
    ended = audit(here)[-1]
    assert (ended["verb"], ended["result"], ended["error"]) == ("exec", "failed", "exit code 1")
    capfd.readouterr()


def test_a_plugin_is_a_change_and_goes_to_the_cluster_that_was_judged(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], api: ApiServer
) -> None:
    plugin = here / "bin" / "kubectl-hello"
    plugin.parent.mkdir()
    plugin.write_text('#!/bin/sh\necho "hello $*"\n', encoding="utf-8")
    plugin.chmod(0o755)
    monkeypatch.setenv("PATH", f"{plugin.parent}:/usr/bin:/bin")
    assert main(["kubectl", "hello", "you"]) == 0
    assert "hello you" in capfd.readouterr().out
    assert audit(here)[0]["verb"] == "hello"
    api.kubeconfig(here / "other", context="kind-ci")
    monkeypatch.setenv("KUBECONFIG", f"{here / 'kubeconfig'}:{here / 'other'}")
    assert main(["--context", "kind-ci", "kubectl", "hello"]) == 2
    assert "Write --context=kind-ci behind hello." in capfd.readouterr().err
    assert main(["kubectl", "hello", "--context=kind-ci"]) == 0
    assert "hello --context=kind-ci" in capfd.readouterr().out


def test_a_missing_kubectl_is_told(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/no/such/folder")
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert main(["kubectl", "get", "pods"]) == 9
    assert "kubectl is not installed" in capfd.readouterr().err


def test_words_are_completed_by_kubectl_itself(here: Path) -> None:
    line = "devenv --read-only kubectl rollout re"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    environ = {**os.environ, **asked, "PYTHONPATH": str(Path(devenv.__file__).parent.parent)}
    command = f"exec 8>{here}/answer; exec {sys.executable} -m devenv"
    subprocess.run(["bash", "-c", command], env=environ, check=True, timeout=60)
    assert (here / "answer").read_text(encoding="utf-8").split() == ["restart", "resume"]
