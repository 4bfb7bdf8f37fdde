"""minikube's own verbs against a stand-in for its program that prints what the real one printed.

The lines of START are from kubernetes/minikube pull request 15482 (minikube 1.28.0) and from
https://minikube.sigs.k8s.io/docs/contrib/json_output/ (1.12.1, for the downloads the shape of
pkg/minikube/out/register/log.go); the error has the shape of pkg/minikube/out/register.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from devenv.cli import main
from devenv.control.minikube import Addon, Minikube, find_minikube
from devenv.control.minikube_events import MinikubeFailure, parse_event
from devenv.control.stream import Remark
from devenv.core.errors import DevenvError, Interrupted, ToolMissing
from devenv.core.model import Progress
from tests.kube.api_server import ApiServer, pod
from tests.kube.recorded_objects import FOLDER


def event(kind: str, **data: str) -> str:
    about = {"specversion": "1.0", "id": "1", "source": "https://minikube.sigs.k8s.io/"}
    told = {**about, "type": f"io.k8s.sigs.minikube.{kind}", "datacontenttype": "application/json", "data": data}
    return json.dumps(told)


def step(number: int, name: str, message: str) -> str:
    return event("step", currentstep=str(number), totalsteps="19", name=name, message=message)


START = (
    step(0, "Initial Minikube Setup", "minikube v1.28.0 on Darwin 13.0.1 (arm64)"),
    step(1, "Selecting Driver", "Automatically selected the docker driver. Other choices: ssh, qemu2 (experimental)"),
    event("info", message="Using Docker Desktop driver with root privileges"),
    step(3, "Starting Node", "Starting control plane node minikube in cluster minikube"),
    event("download.progress", currentstep="4", totalsteps="19", artifact="preload.tar.lz4", progress="0.371"),
    event("warning", message="Executing docker took an unusually long time"),
    step(19, "Done", "Done! kubectl is now configured to use minikube cluster and default namespace by default"),
)
FAILURE = event(
    "error",
    exitcode="69",
    name="PROVIDER_DOCKER_NOT_RUNNING",
    message="deadline exceeded running docker version",
    advice="Start the Docker service",
    url="https://minikube.sigs.k8s.io/docs/drivers/docker/",
    issues="",
)


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
    printing(folder, *START)
    return folder


def printing(folder: Path, *lines: str, code: int = 0) -> None:
    (folder / "out").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "code").write_text(str(code), encoding="utf-8")


def environ_of(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)}


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text(encoding="utf-8").splitlines() if (folder / "calls").exists() else []


def test_each_kind_of_event_becomes_a_record() -> None:
    found = [parse_event(line) for line in START]
    first, warning, last = found[0], found[5], found[6]
    assert isinstance(first, Progress)
    assert (first.id, first.current, first.total, first.status) == ("Initial Minikube Setup", 0, 19, "working")
    assert found[4] == Progress("Download preload.tar.lz4", "Downloading", "working", percent=37)
    assert warning == Remark("Executing docker took an unusually long time")
    assert isinstance(last, Progress)
    assert last.status == "done"
    assert parse_event(FAILURE) == MinikubeFailure(
        "deadline exceeded running docker version",
        "Start the Docker service See https://minikube.sigs.k8s.io/docs/drivers/docker/",
        "PROVIDER_DOCKER_NOT_RUNNING",
        69,
    )


@pytest.mark.parametrize("line", ["not json", "[1]", '{"type": "x"}', '{"data": 3}', "\x1b[31mred\x1b[0m", "{"])
def test_what_is_no_event_is_kept_as_safe_text(line: str) -> None:
    found = parse_event(line)
    assert isinstance(found, Remark)
    assert "\x1b" not in found.text


def test_escape_sequences_inside_an_event_are_taken_out() -> None:
    found = parse_event(step(1, "A\x1b]0;title\x07B", "C\x1b[2J"))
    assert isinstance(found, Progress)
    assert (found.id, found.text) == ("AB", "C")


def test_starting_tells_the_steps_and_ends_them_one_by_one(program: Path) -> None:
    told: list[Progress | Remark] = []
    Minikube("minikube", environ_of(program)).work("start", ("--driver=docker",)).run(told.append)
    assert calls(program) == ["--profile minikube start --output json --interactive=false --driver=docker"]
    ended = [item.id for item in told if isinstance(item, Progress) and item.status == "done"]
    assert ended[:2] == ["Initial Minikube Setup", "Selecting Driver"]
    assert ended[-1] == "Done"


def test_a_failure_carries_minikubes_reason_and_advice(program: Path) -> None:
    printing(program, *START[:2], FAILURE, code=69)
    with pytest.raises(DevenvError, match="PROVIDER_DOCKER_NOT_RUNNING") as caught:
        Minikube("minikube", environ_of(program)).work("start").run(lambda record: None)
    assert caught.value.hint.startswith("Start the Docker service")
    printing(program, "Exiting due to something else", code=1)
    with pytest.raises(DevenvError, match="something else"):
        Minikube("minikube", environ_of(program)).work("stop").run(lambda record: None)


def test_an_interrupted_start_ends_the_program(program: Path) -> None:
    (program / "wait").touch()
    work = Minikube("minikube", environ_of(program)).work("start")
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work.run(lambda record: None)
        except Interrupted as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 10
    while not calls(program):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    work.interrupt()
    thread.join(10)
    assert [type(error) for error in failure] == [Interrupted]


def test_addons_are_listed_with_their_state(program: Path) -> None:
    printing(program, (FOLDER / "tools" / "addons-list.json").read_text("utf-8"))
    found = Minikube("minikube", environ_of(program)).addons()
    assert found == [Addon("dashboard", "disabled"), Addon("metrics-server", "enabled")]
    assert calls(program) == ["--profile minikube addons list --output json"]


def test_a_missing_program_is_said_even_where_the_context_is_there(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ToolMissing):
        find_minikube({"PATH": str(empty)})
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for words in (("start",), ("addons", "list"), ("delete", "--yes"), ("image", "load", "web:1"), ("tunnel",)):
        assert main(["minikube", *words]) == ToolMissing.exit_code
    assert "minikube is not installed" in capsys.readouterr().err


@pytest.fixture
def command(program: Path, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{program}:/usr/bin:/bin")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return program


def test_deleting_says_what_is_in_it_and_asks(
    api: ApiServer, command: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.put(pod("web-1"))
    assert main(["minikube", "delete", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "In it are 1 pod in 1 namespace, and 0 claims with their data." in shown
    assert "Asks for confirmation." in shown
    assert main(["minikube", "delete"]) == 10  # there is no terminal
    assert calls(command) == []
    assert main(["minikube", "delete", "--yes"]) == 0
    assert calls(command) == ["--profile minikube delete --output json"]


def test_options_after_two_dashes_reach_minikube_and_addons_are_switched(command: Path) -> None:
    assert main(["minikube", "start", "--", "--cpus=4"]) == 0
    assert main(["minikube", "addons", "enable", "ingress"]) == 0
    assert main(["minikube", "tunnel", "--", "--cleanup"]) == 0
    assert calls(command) == [
        "--profile minikube start --output json --interactive=false --cpus=4",
        "--profile minikube addons enable ingress",
        "--profile minikube tunnel --cleanup",
    ]


def test_a_cluster_of_another_tool_and_one_not_on_the_list_are_refused(
    api: ApiServer, command: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "other", context="kind-ci")))
    assert main(["minikube", "stop"]) == 2
    assert "is a cluster of kind" in capsys.readouterr().err
    assert main(["--context", "production", "minikube", "start"]) == 10
    assert calls(command) == []


def test_images_are_loaded_by_the_tool_that_made_the_cluster(
    api: ApiServer, command: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["minikube", "image", "load", "web:1", "web:2"]) == 0
    assert calls(command) == ["-p minikube image load web:1", "-p minikube image load web:2"]
    kind = command / "kind"
    kind.write_text(f'#!/bin/sh\necho "$*" >> {command}/kind-calls\n', encoding="utf-8")
    kind.chmod(0o755)
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "other", context="kind-ci")))
    assert main(["kube", "load", "web:1"]) == 0
    assert (command / "kind-calls").read_text(encoding="utf-8") == "load docker-image web:1 --name ci\n"
