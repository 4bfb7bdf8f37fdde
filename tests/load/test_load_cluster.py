"""What the recorder reads of a cluster, at the wire: settings, endpoints, probe counters, a server that goes away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.backends.kube.backend import KubeBackend
from devenv.backends.kube.kubeconfig import find_target
from devenv.core.kube_settings import KubeSettings
from devenv.load.autoscaler import settings_of
from devenv.load.cluster_facts import ClusterFacts
from devenv.load.recorder import Recorder
from devenv.load.recording import gather
from devenv.runs.lines import Lines, Tail
from fakes.api_server import ApiServer
from fakes.api_server.handler import Handler
from tests.load.synthetic import CONTAINER, SPEC, Story

WITHIN = 15.0  # seconds
METRICS = 'prober_probe_total{container="web",namespace="default",pod="web-1",probe_type="Liveness",result="failed"} '


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as made:
        yield made


def slice_of(*ready: bool) -> dict[str, Any]:
    endpoints = [{"addresses": [f"10.0.0.{n}"], "conditions": {"ready": is_ready}} for n, is_ready in enumerate(ready)]
    labels = {"kubernetes.io/service-name": "frontend"}
    meta = {"name": "frontend-a", "labels": labels}
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "endpoints": endpoints}


def fill(api: ApiServer) -> None:
    template = {"spec": {"containers": [CONTAINER | {"env": [{"name": "PASSWORD", "value": "secret"}]}]}}
    arguments = ["--horizontal-pod-autoscaler-sync-period=30s", "--horizontal-pod-autoscaler-tolerance=0.05"]
    api.put(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}, "status": {"allocatable": {"cpu": "2"}}},
        {
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "frontend"},
            "spec": SPEC, "status": {"currentReplicas": 1, "desiredReplicas": 1},
        },
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "frontend"},
            "spec": {"template": template},
        },
        {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "manager", "namespace": "kube-system"},
            "spec": {"containers": [{"name": "manager", "command": ["manager", *arguments]}]},
        },
        slice_of(True, False),
    )  # fmt: skip


def test_settings_endpoints_and_probe_counters_are_recorded_and_a_lost_server_is_a_gap(
    api: ApiServer, tmp_path: Path
) -> None:
    fill(api)
    failed = [1]

    def counters(handler: Handler, path: str, body: bytes) -> None:
        handler.reply(f"{METRICS}{failed[0]}\n".encode(), media="text/plain; version=0.0.4")

    api.on("GET", r"/api/v1/nodes/one/proxy/metrics/probes", counters)
    environ = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig")), "HOME": str(tmp_path), "PATH": "/usr/bin"}
    cluster = find_target(KubeSettings(), environ)
    path = tmp_path / "target.jsonl"
    recorder = Recorder(
        KubeBackend(cluster, environ), Lines(path, time.monotonic()), ClusterFacts(cluster, "frontend", environ)
    )
    lines: list[dict[str, Any]] = []
    tail = Tail(path)

    def recorded(kind: str, **values: Any) -> bool:
        recorder.tick()
        lines.extend(tail.read())
        return any(line["type"] == kind and values.items() <= line.items() for line in lines)

    def wait(kind: str, **values: Any) -> None:
        deadline = time.monotonic() + WITHIN
        while not recorded(kind, **values):
            assert time.monotonic() < deadline, (kind, values, lines)
            time.sleep(0.05)

    recorder.start()
    try:
        wait("scaling", desired=1)
        wait("endpoints", ready=1)
        wait("probes", counters={"web-1/web/liveness/failed": 1})
        api.put(slice_of(True, True))
        failed[0] = 4
        wait("endpoints", ready=2)
        wait("probes", counters={"web-1/web/liveness/failed": 4})
        api.stop()
        wait("missing", what="endpoints")
        api.start()
        wait("found", what="endpoints")
        deadline = time.monotonic() + WITHIN
        while not any(gap.what.startswith("kubernetes/") for gap in gather(Story().recording().run, [], lines).gaps):
            assert time.monotonic() < deadline, [line for line in lines if line["type"] == "link"]
            recorded("tick")
            time.sleep(0.05)
    finally:
        recorder.stop()
    assert "secret" not in json.dumps(lines)
    settings = settings_of(gather(Story().recording().run, [], lines))
    assert settings is not None
    assert (settings.sync, settings.tolerance, settings.request, settings.maximum) == (30.0, 0.05, 0.05, 5)


def test_requests_are_those_of_the_newest_pod_where_a_limit_range_or_a_sidecar_adds_some(
    api: ApiServer, tmp_path: Path
) -> None:
    fill(api)
    labels = {"app": "frontend"}

    def pod(name: str, created: str, request: str, **more: Any) -> dict[str, Any]:
        web = {
            "name": "web",
            "resources": {"requests": {"cpu": request}},
            "env": [{"name": "TOKEN", "value": "secret"}],
        }
        setup, proxy = {"name": "setup"}, web | {"name": "proxy", "restartPolicy": "Always"}
        meta = {"name": name, "labels": labels, "creationTimestamp": created} | more
        return {
            "apiVersion": "v1", "kind": "Pod", "metadata": meta,
            "spec": {"containers": [web], "initContainers": [setup, proxy]},
        }  # fmt: skip

    bare = {"spec": {"containers": [{"name": "web"}]}}
    api.put(
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "frontend"},
            "spec": {"selector": {"matchLabels": labels}, "template": bare},
        },
        pod("frontend-1", "2026-01-01T10:00:00Z", "10m"),
        pod("frontend-2", "2026-01-01T11:00:00Z", "40m"),
        pod("frontend-3", "2026-01-01T12:00:00Z", "90m", deletionTimestamp="2026-01-01T12:30:00Z"),
    )  # fmt: skip
    environ = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig")), "HOME": str(tmp_path), "PATH": "/usr/bin"}
    facts = ClusterFacts(find_target(KubeSettings(), environ), "frontend", environ)
    facts.start()
    try:
        told: list[tuple[str, dict[str, Any]]] = []
        deadline = time.monotonic() + WITHIN
        while not any(kind == "settings" for kind, _ in told):
            assert time.monotonic() < deadline
            time.sleep(0.02)
            told += facts.drain()
    finally:
        facts.stop()
    (values,) = [values for kind, values in told if kind == "settings"]
    assert [item["name"] for item in values["containers"]] == ["web", "proxy"]
    assert "secret" not in json.dumps(values)
    settings = settings_of(gather(Story().recording().run, [], [{"t": 0.0, "at": 0.0, "type": "settings", **values}]))
    assert settings is not None
    assert settings.request == pytest.approx(0.08)


def test_counters_that_may_not_be_read_are_told_once_with_the_reason(api: ApiServer, tmp_path: Path) -> None:
    fill(api)
    environ = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig")), "HOME": str(tmp_path), "PATH": "/usr/bin"}
    facts = ClusterFacts(find_target(KubeSettings(), environ), "frontend", environ)
    facts.start()
    try:
        told: list[tuple[str, dict[str, Any]]] = []
        deadline = time.monotonic() + WITHIN
        while sum(api.requests[key] for key in api.requests if "metrics/probes" in key) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            told += facts.drain()
    finally:
        facts.stop()
    told += facts.drain()
    missing = [values for kind, values in told if kind == "missing"]
    assert [item["what"] for item in missing] == ["probe counters of minikube", "probe counters of one"]
    assert missing[0]["why"]
