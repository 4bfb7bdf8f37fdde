"""Probes that fail on purpose: what is not ready gets no requests, what is dead is restarted, what is slow is not."""

from __future__ import annotations

import copy
import time

import pytest

from devenv.backends.kube.kinds import PODS
from devenv.verify.kube.cluster import read_pod
from devenv.verify.kube_fixtures import like_service

pytestmark = [pytest.mark.behaviour("probes"), pytest.mark.targets("kubernetes")]

STORE = "/data/docsearch.db"
NOTICED_WITHIN = 60.0
LABELS = {"devenv.io/role": "probed"}  # of no Service and no workload
SLOW = 15.0  # seconds that the slow start takes
HASTY = {"initialDelaySeconds": 0, "periodSeconds": 2, "failureThreshold": 2, "timeoutSeconds": 1}


@pytest.fixture
def probed(isolated_stack):
    """Make pods as the frontend's are, with changed probes, that nothing else knows; they are removed at the end."""
    cluster, made = isolated_stack.engine, []

    def make(name: str, change):
        pod = like_service(isolated_stack, "frontend", name, LABELS)
        pod["spec"] = copy.deepcopy(pod["spec"])
        pod["spec"]["terminationGracePeriodSeconds"] = 1
        container = pod["spec"]["containers"][0]
        container.pop("lifecycle", None)
        change(container)
        cluster.create(PODS, pod)
        made.append(name)
        return lambda: read_pod(cluster.client.get(PODS.path(isolated_stack.name, name)), "frontend")

    yield make
    for name in made:
        cluster.delete(PODS, name, grace=0)


def test_not_ready_gets_no_requests_and_is_not_restarted(isolated_stack, measure, wait_for) -> None:
    """The store is taken away: the pod leaves the endpoint slice, lives on, and comes back."""
    cluster = isolated_stack.engine
    pod = cluster.container("backend")
    assert cluster.addresses("backend") == {pod.name}
    began = time.monotonic()
    cluster.exec("backend", "mv", STORE, f"{STORE}.away")
    try:
        wait_for("no endpoint to be ready", lambda: not cluster.addresses("backend"), NOTICED_WITHIN, every=0.2)
        left = time.monotonic() - began
        told = [str(item.get("message")) for item in cluster.events(pod.name, "Unhealthy")]
        assert any("Readiness probe failed" in text and "503" in text for text in told), told
    finally:
        repaired = time.monotonic()
        cluster.exec("backend", "mv", f"{STORE}.away", STORE)
    wait_for("the endpoint to be back", lambda: cluster.addresses("backend") == {pod.name}, NOTICED_WITHIN, every=0.2)
    after = cluster.container("backend")
    assert (after.container_id, after.restarts) == (pod.container_id, pod.restarts), "it was restarted or replaced"
    measure("readiness_detection", left)
    measure("readiness_recovery", time.monotonic() - repaired)
    isolated_stack.wait_healthy()


def test_not_alive_is_restarted(probed, isolated_stack, measure, wait_for) -> None:
    """A liveness probe that fails, with the figures of the manifests: restarted, and the event says why."""

    def fails(container) -> None:
        container["livenessProbe"]["httpGet"]["path"] = "/not-there"

    look = probed("not-alive", fails)
    probe = isolated_stack.engine.workload("frontend")["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]
    allowed = probe["initialDelaySeconds"] + probe["periodSeconds"] * (probe["failureThreshold"] + 1) + 10
    wait_for("the container to start", lambda: look().started_at is not None, NOTICED_WITHIN, every=0.2)
    began = time.monotonic()
    wait_for("a restart", lambda: look().restarts > 0, 2 * allowed, every=0.5)
    measure("liveness_detection", time.monotonic() - began, budget=allowed)
    told = [str(item.get("message")) for item in isolated_stack.engine.events("not-alive")]
    assert any("Liveness probe failed" in text and "404" in text for text in told), told
    last = look().data["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 0, "a restarted container is stopped as gently as any other"


def test_slow_start_is_not_killed(probed, wait_for) -> None:
    """A start that is longer than a hasty liveness probe allows: the startup probe protects it; without, it dies."""

    def slow(container) -> None:
        container["command"] = ["sh", "-c", f"sleep {SLOW:g}; exec python3 -m docfront"]
        container["livenessProbe"] |= HASTY

    def slow_and_unprotected(container) -> None:
        slow(container)
        container.pop("startupProbe")

    protected, unprotected = probed("slow-start", slow), probed("slow-unprotected", slow_and_unprotected)
    wait_for("the slow one to be ready", lambda: protected().ready, NOTICED_WITHIN, every=0.5)
    pod = protected()
    assert pod.restarts == 0, "a slow start was killed"
    wait_for("the unprotected one to be killed", lambda: unprotected().restarts > 0, NOTICED_WITHIN, every=0.5)
