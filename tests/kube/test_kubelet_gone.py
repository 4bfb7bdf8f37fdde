"""The node of a pod is gone: the API server answers for it, and what it says is told as the reason."""

from __future__ import annotations

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kinds import PODS
from devenv.backends.kube.kubeconfig import Target
from devenv.control.kube.exec import run_in_pod
from devenv.core.errors import DevenvError
from fakes.api_server import ApiServer, pod
from tests.kube.watching import watching

# What kube-apiserver 1.31 answers: 500, for `logs` and `exec` alike.
GONE = 'Get "https://192.168.49.3:10250/containerLogs/default/web-1/web": dial tcp 192.168.49.3:10250: no route to host'


@pytest.fixture
def gone(api: ApiServer) -> ApiServer:
    api.put(pod("web-1"))
    api.faults.node_gone = GONE
    return api


def test_a_log_says_why_it_cannot_be_read_and_goes_on_when_it_can(
    gone: ApiServer, target: Target, environ: dict[str, str]
) -> None:
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.follow_logs([seen.named("pod", "web-1").key])
        seen.until(lambda: any("no route to host" in text for text in seen.texts()))
        assert sum("log interrupted" in text for text in seen.texts()) == 1, "once, however often it is tried"
        gone.faults.node_gone = ""
        gone.logs.write("web-1", "the node is back")
        seen.until(lambda: "the node is back" in seen.texts())


@pytest.mark.usefixtures("gone")
def test_a_command_says_why_it_cannot_be_run(client: KubeClient) -> None:
    with pytest.raises(DevenvError, match="no route to host"):
        run_in_pod(client, "default", "web-1", "main", ("true",))
