"""A command in a pod, at the wire: output, codes, input that is not closed, and what may go wrong."""

from __future__ import annotations

import io

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound, Unreachable
from devenv.control.kube.exec import run_in_pod
from fakes.api_server import ApiServer, pod
from tests.kube.kubelet import Exec

EXEC = r"/api/v1/namespaces/[^/]+/pods/[^/]+/exec"


@pytest.fixture
def kubelet(api: ApiServer) -> Exec:
    made = Exec()
    api.on("GET", EXEC, made.answer)
    api.put(pod("web-1"))
    return made


def run(client: KubeClient, *command: str, stdin: bytes | None = None, within: float = 20.0) -> tuple[int, bytes]:
    given = io.BytesIO(stdin) if stdin is not None else None
    return run_in_pod(client, "default", "web-1", "main", command, stdin=given, within=within)


def test_words_go_through_as_they_are_and_both_outputs_come_back(client: KubeClient, kubelet: Exec) -> None:
    said = run(client, "sh", "-c", "printf '%s|' \"$@\"; echo bad >&2", "sh", "a b", "ü&c=d", "")
    assert said == (0, "a b|ü&c=d||bad\n".encode())
    assert kubelet.commands[0][:2] == ("web-1", "main")


def test_the_exit_code_is_the_commands(client: KubeClient, kubelet: Exec) -> None:
    assert run(client, "sh", "-c", "echo why; exit 7") == (7, b"why\n")
    assert run(client, "no-such-program")[0] == 127


def test_a_large_input_arrives_whole_though_it_cannot_be_closed(client: KubeClient, kubelet: Exec) -> None:
    data = bytes(range(256)) * 8192
    code, output = run(client, "sh", "-c", f"head -c {len(data)} | cksum", stdin=data)
    assert code == 0
    assert int(output.split()[1]) == len(data)


def test_a_command_that_ends_before_it_read_its_input_is_no_fault(client: KubeClient, kubelet: Exec) -> None:
    assert run(client, "sh", "-c", "exit 3", stdin=b"x" * 4_000_000)[0] == 3


def test_what_goes_wrong_is_told(client: KubeClient, kubelet: Exec) -> None:
    with pytest.raises(NotFound, match="web-2"):
        run_in_pod(client, "default", "web-2", "main", ("true",))
    with pytest.raises(KubeError, match="did not end within"):
        run(client, "sleep", "5", within=0.3)
    kubelet.breaking = True
    with pytest.raises(Unreachable):
        run(client, "true")
