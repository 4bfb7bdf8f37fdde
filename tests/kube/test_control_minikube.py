"""`devenv minikube ...` with a stand-in for its program on PATH: what is asked, and what reaches it."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.backends.clusters import need_minikube
from devenv.cli import main
from devenv.control.kube.kubectl import Effect
from devenv.control.kube.minikube import parse_minikube
from devenv.core.errors import ToolMissing
from fakes.api_server import ApiServer, pod


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder for PATH with a `minikube` that prints `out`, then ends with `code`; its calls are in `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "minikube"
    script.write_text(
        f'#!/bin/sh\necho "$*" >> {folder}/calls\n[ -e {folder}/wait ] && exec sleep 60\n'
        f"cat {folder}/out\nexit $(cat {folder}/code)\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    printing(folder)
    return folder


def printing(folder: Path, *lines: str, code: int = 0) -> None:
    (folder / "out").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "code").write_text(str(code), encoding="utf-8")


def environ_of(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)}


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text(encoding="utf-8").splitlines() if (folder / "calls").exists() else []


READS, CHANGES, TAKES = Effect.READS, Effect.CHANGES, Effect.TAKES_AWAY


@pytest.mark.parametrize(
    ("effect", "line"),
    [
        *((READS, line) for line in ("", "status", "-p x status", "addons list", "image ls", "delete --help")),
        *((READS, line) for line in ("kubectl -- get pods", "profile", "profile list", "config view", "addons")),
        *((CHANGES, line) for line in ("start --cpus 4", "addons enable ingress", "image load x", "ssh", "tunnel")),
        *((CHANGES, line) for line in ("profile x", "config set cpus 4", "pause", "kubectl -- label po x a=b")),
        *((TAKES, line) for line in ("delete", "delete --all", "-p x delete", "--profile=x stop", "addons disable x")),
        *((TAKES, line) for line in ("image rm x", "node delete n", "kubectl -- delete pod x")),
    ],
)
def test_the_effect_of_a_line(effect: Effect, line: str) -> None:
    assert parse_minikube(line.split()).effect is effect


def test_a_missing_program_is_said_even_where_the_context_is_there(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ToolMissing):
        need_minikube({"PATH": str(empty)})
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for words in (
        ("start",),
        ("addons", "list"),
        ("delete", "--yes"),
        ("image", "load", "web:1"),
        ("tunnel",),
        ("status",),
    ):
        assert main(["minikube", *words]) == ToolMissing.exit_code
    assert "minikube is not installed" in capsys.readouterr().err


@pytest.fixture
def command(program: Path, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{program}:/usr/bin:/bin")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return program


def test_deleting_says_what_is_in_it_and_asks(api: ApiServer, command: Path, capfd: pytest.CaptureFixture[str]) -> None:
    api.put(pod("web-1"))
    assert main(["minikube", "delete"]) == 10  # there is no terminal
    told = capfd.readouterr().err
    assert "In it are 1 pod in 1 namespace, and 0 claims with their data." in told
    assert "Lost for ever: the data of every volume in the cluster." in told
    assert calls(command) == []
    assert main(["minikube", "delete", "--all", "--purge"]) == 10
    assert "ALL clusters" in capfd.readouterr().err
    assert main(["minikube", "delete", "--yes"]) == 0
    assert calls(command) == ["--profile=minikube delete"]


def test_words_and_exit_code_are_minikubes_own(command: Path, capfd: pytest.CaptureFixture[str]) -> None:
    printing(command, "no such driver", code=69)
    assert main(["minikube", "start", "--cpus", "4", "--driver=docker"]) == 69
    assert capfd.readouterr().out == "no such driver\n"
    assert main(["minikube", "-p", "other", "status", "-o", "json"]) == 69
    assert main(["minikube", "tunnel", "--help"]) == 69
    assert calls(command) == [
        "--profile=minikube start --cpus 4 --driver=docker",
        "-p other status -o json",
        "--profile=minikube tunnel --help",
    ]


def test_a_cluster_of_another_tool_and_one_not_on_the_list_are_refused(
    api: ApiServer, command: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--read-only", "minikube", "start"]) == 10
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "other", context="kind-ci")))
    assert main(["minikube", "stop"]) == 2
    assert "is a cluster of kind" in capsys.readouterr().err
    assert main(["--context", "production", "minikube", "start"]) == 10
    assert main(["minikube", "-p", "production", "start"]) == 10
    assert calls(command) == []


def test_images_are_loaded_by_the_tool_that_made_the_cluster(
    api: ApiServer, command: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["kube", "load", "web:1", "web:2"]) == 0
    assert calls(command) == ["-p minikube image load web:1", "-p minikube image load web:2"]
    kind = command / "kind"
    kind.write_text(f'#!/bin/sh\necho "$*" >> {command}/kind-calls\n', encoding="utf-8")
    kind.chmod(0o755)
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "other", context="kind-ci")))
    assert main(["kube", "load", "web:1"]) == 0
    assert (command / "kind-calls").read_text(encoding="utf-8") == "load docker-image web:1 --name ci\n"
