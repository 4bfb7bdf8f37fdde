"""What was acknowledged outlives the pod that took it."""

from __future__ import annotations

import pytest

from devenv.backends.kube.kinds import PODS
from devenv.verify.http import new_nonce

pytestmark = [pytest.mark.behaviour("persistence"), pytest.mark.targets("kubernetes")]

WORDS = 3


@pytest.mark.parametrize("grace", [None, 0], ids=["deleted", "killed"])
def test_pod_deletion(isolated_stack, measure, grace) -> None:
    """The backend's pod is deleted, gently or at once: another one has the same data."""
    cluster = isolated_stack.engine
    words = [new_nonce() for _ in range(WORDS)]
    assert all(isolated_stack.persistence.write(word) for word in words)
    before = cluster.container("backend")
    with measure.timing(f"pod_replacement.{'deleted' if grace is None else 'killed'}"):
        cluster.delete(PODS, before.name, grace)
        isolated_stack.wait_healthy()
    assert cluster.container("backend").container_id != before.container_id
    assert [word for word in words if not isolated_stack.persistence.read(word)] == []


def test_postgres_pod_deletion(rolling_stack, measure) -> None:
    """The same with the database's pod, which the backends find again by themselves."""
    cluster = rolling_stack.engine
    words = [new_nonce() for _ in range(WORDS)]
    assert all(rolling_stack.persistence.write(word) for word in words)
    before, backends = cluster.container("postgres"), {pod.name: pod.restarts for pod in cluster.pods("backend")}
    with measure.timing("pod_replacement.postgres"):
        cluster.delete(PODS, before.name)
        rolling_stack.wait_healthy()
    assert cluster.container("postgres").container_id != before.container_id
    assert [word for word in words if not rolling_stack.persistence.read(word)] == []
    assert {pod.name: pod.restarts for pod in cluster.pods("backend")} == backends, "a lost database restarts nobody"
