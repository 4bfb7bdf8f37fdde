"""Only what the policies allow gets through: shown by connections that are refused, where the network enforces them."""

from __future__ import annotations

import pytest

from devenv.backends.kube.kinds import PODS
from devenv.verify.kube.cluster import read_pod
from devenv.verify.kube_fixtures import helper_pod

pytestmark = [pytest.mark.behaviour("network policies"), pytest.mark.targets("kubernetes")]

PORT = 8000
LISTENS = f"import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port={PORT})"
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 4).close()
    print("connected")
except OSError as error:
    print("refused", error)
"""


@pytest.fixture
def strangers(isolated_stack):
    """Two pods that no policy names but default-deny; the second one listens."""
    names = ("devenv-stranger", "devenv-canary")
    helper_pod(isolated_stack, names[0], {"devenv.io/role": "stranger"})
    helper_pod(isolated_stack, names[1], {"devenv.io/role": "canary"}, LISTENS)
    yield names
    for name in names:
        isolated_stack.engine.delete(PODS, name, grace=0)


def test_strangers_reach_nothing(isolated_stack, strangers, caller, measure, wait_for) -> None:
    """A pod that no policy names can call neither service; the one that a policy allows can."""
    cluster, (stranger, canary) = isolated_stack.engine, strangers

    def connects(pod: str, address: str, port: int) -> bool:
        return "connected" in cluster.exec_in(pod, "python3", "-c", CONNECT, address, str(port))

    backend, frontend = cluster.container("backend"), cluster.container("frontend")
    wait_for("the canary to listen", lambda: connects(canary, "127.0.0.1", PORT), 30.0, every=0.5)
    assert connects(caller(isolated_stack), backend.ip, PORT), "not even an allowed pod gets through"
    policies = [item["metadata"]["name"] for item in isolated_stack.objects if item["kind"] == "NetworkPolicy"]
    assert "default-deny" in policies
    address = read_pod(cluster.client.get(PODS.path(isolated_stack.name, canary)), "").ip
    if connects(stranger, address, PORT):
        measure.inconclusive(
            "refused_connections", "this cluster's network does not enforce NetworkPolicies: default-deny lets through"
        )
    refused = [not connects(stranger, backend.ip, PORT), not connects(stranger, frontend.ip, 3000)]
    measure("refused_connections", sum(refused))
