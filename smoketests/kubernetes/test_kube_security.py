"""The namespace refuses what the restricted profile forbids, and what its quota and limits do not hold."""

from __future__ import annotations

import copy

import pytest

from devenv.backends.kube.errors import Forbidden
from devenv.backends.kube.kinds import PODS, SERVICES
from devenv.verify.kube_fixtures import like_service

pytestmark = [pytest.mark.behaviour("pod security"), pytest.mark.targets("kubernetes")]


def as_root(pod) -> None:
    """Runs as root."""
    pod["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}
    pod["containers"][0]["securityContext"] |= {"runAsNonRoot": False}


def privileged(pod) -> None:
    """Has every right on the node."""
    pod["containers"][0]["securityContext"] |= {"privileged": True, "allowPrivilegeEscalation": True}


def with_host_path(pod) -> None:
    """Mounts the node's files."""
    pod["volumes"] = [*(pod.get("volumes") or []), {"name": "node", "hostPath": {"path": "/"}}]


def with_capability(pod) -> None:
    """Keeps the capabilities that a container has by default."""
    pod["containers"][0]["securityContext"].pop("capabilities")


def in_host_network(pod) -> None:
    """Uses the node's network."""
    pod["hostNetwork"] = True


BAD = (as_root, privileged, with_host_path, with_capability, in_host_network)


@pytest.mark.parametrize("make_bad", BAD, ids=[item.__name__ for item in BAD])
def test_restricted_profile_refuses(isolated_stack, make_bad) -> None:
    """A pod that is the frontend's but for one thing is refused, and the refusal says what it is."""
    pod = copy.deepcopy(like_service(isolated_stack, "frontend", "refused", {"devenv.io/role": "refused"}))
    path = PODS.path(isolated_stack.name)
    isolated_stack.client.request("POST", path, query={"dryRun": "All"}, body=pod)  # as it is, it is taken
    make_bad(pod["spec"])
    with pytest.raises(Forbidden, match="violates PodSecurity"):
        isolated_stack.client.request("POST", path, query={"dryRun": "All"}, body=pod)


def test_quota_refuses_a_port_of_the_node(isolated_stack) -> None:
    """A Service that opens a port on every node."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "refused", "namespace": isolated_stack.name},
        "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"devenv.io/role": "refused"}},
    }
    with pytest.raises(Forbidden, match="exceeded quota"):
        isolated_stack.client.request("POST", SERVICES.path(isolated_stack.name), body=service)
