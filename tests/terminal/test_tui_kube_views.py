"""The views of a cluster: autoscaler, owners, events, YAML, description, rollout, port-forwards."""

from __future__ import annotations

import time

from msgspec.structs import replace

from devenv.core.model import Happening, PodFacts, Resource, Runtime, Scaling, ScalingMetric, State, WorkloadFacts
from devenv.tui.chart import chart
from devenv.tui.kube.object_views import stage_of
from devenv.tui.table.board import autoscaler
from tests.terminal.cluster import cluster_opened, pod, replica_set, workload

HPA = Resource(
    "kubernetes:hpa-web",
    Runtime.KUBERNETES,
    "horizontalpodautoscaler",
    "web",
    "web",
    State.RUNNING,
    namespace="shop",
)
SECRET_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-7d9-00001",
        "managedFields": [{"manager": "kubelet"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"token":"s3cr3t"}', "team": "[/red] a"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d9"}],
    },
    "spec": {
        "nodeName": "minikube",
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "web",
                "image": "web:dev",
                "env": [{"name": "API_TOKEN", "value": "s3cr3t"}, {"name": "LEVEL", "value": "info\x1b[31m"}],
            }
        ],
    },
    "status": {
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "no"},
            {"type": "PodReadyToStartContainersOfAnyKind", "status": "False"},
        ]
    },
}


def scaling(at: float, current: int, desired: int, cpu: float | None) -> Scaling:
    conditions = (
        ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"),
        ("ScalingActive", "False" if cpu is None else "True", "FailedGetResourceMetric", "no metrics of [/pods]"),
    )
    metrics = (ScalingMetric("cpu", "%", cpu, 70.0),)
    return Scaling(HPA.key, at, "Deployment/web", 1, 5, current, desired, metrics, conditions, at - 30)


def event(key: str, reason: str, text: str, ago: float, kind: str = "Normal") -> Happening:
    return Happening(key, time.time() - ago, reason, text, (("type", kind), ("count", "3")))


async def test_an_autoscaler_over_time() -> None:
    async with cluster_opened() as terminal:
        now = time.time()
        terminal.cluster.live(workload("web", (2, 2)), kind="deployments")
        terminal.cluster.live(HPA, kind="horizontalpodautoscalers")
        terminal.cluster.emit(scaling(now - 60, 1, 1, 20.0), scaling(now - 30, 1, 3, 150.0))
        await terminal.go("web")
        await terminal.until(
            lambda: autoscaler(workload("web"), terminal.main.store, terminal.controller.board.scaling)
        )
        await terminal.press("h")
        await terminal.sees(
            "AUTOSCALER web", "1 ↑ 3", "at least 1, at most 5", "150%", "target 70%", "no metrics of [/pods]"
        )
        terminal.cluster.emit(scaling(now, 3, 3, None))
        await terminal.sees("3 → 3", "unknown", "✗ ScalingActive")
        assert "█" in terminal.text()
        await terminal.press("escape")
        await terminal.until(lambda: terminal.app.screen is terminal.main)


async def test_owners_as_a_tree() -> None:
    async with cluster_opened() as terminal:
        service = replace(HPA, key="kubernetes:svc", kind="service", name="web-svc")
        terminal.cluster.live(workload("web"), kind="deployments")
        terminal.cluster.live(replica_set("web"), kind="replicasets")
        terminal.cluster.live(service, kind="services")
        terminal.cluster.live(pod("web"))
        await terminal.go("web")
        await terminal.press("o")
        await terminal.sees("deployment web", "└─ replicaset web-7d9", "   └─ pod web-7d9-00001", "service web-svc")
        terminal.cluster.seen(pod("web", 2))
        await terminal.sees("├─ pod web-7d9", "└─ pod web-7d9")


async def test_events_as_a_line_of_time() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(workload("web"), workload("api"), kind="deployments")
        terminal.cluster.live(pod("web"), pod("api"))
        terminal.cluster.emit(
            event("kubernetes:web-7d9-00001", "Unhealthy", "probe failed: password=hunter2", 20, "Warning"),
            event("kubernetes:web-7d9-00001", "Pulled", "image is there", 60),
            event("kubernetes:api-7d9-00001", "Started", "another service", 10),
        )
        await terminal.go("web")
        await terminal.press("e")
        await terminal.sees("EVENTS of web", "▲ Unhealthy ×3", "probe failed: password=••••", "· Pulled")
        assert not terminal.shows("another service")
        await terminal.press("w")
        await terminal.until(lambda: not terminal.shows("· Pulled"))
        await terminal.press("w", "a")
        await terminal.sees("of everything watched", "another service")


async def test_yaml_and_description_are_masked_and_harmless() -> None:
    async with cluster_opened() as terminal:
        terminal.session.objects["web-7d9-00001"] = SECRET_POD
        terminal.cluster.live(pod("web"))
        await terminal.go("web-7d9-00001")
        await terminal.press("y")
        await terminal.sees("YAML of pod web-7d9-00001", "apiVersion: v1", "API_TOKEN", "••••", "team:")
        assert not any(word in terminal.text() for word in ("s3cr3t", "managedFields", "last-applied", "\x1b"))
        await terminal.press("escape", "d")
        await terminal.sees("DESCRIBE pod web-7d9-00001", "ReplicaSet web-7d9", "ContainersNotReady", "CONTAINER web")
        await terminal.sees("terminationGracePeriodSeconds 30", "PodReadyToStartContainersOfAnyKind False")
        assert "s3cr3t" not in terminal.text()
        del terminal.session.objects["web-7d9-00001"]
        await terminal.press("r")
        await terminal.sees("✗ There is no web-7d9-00001", "→ Look again.")


async def test_the_log_of_the_run_before() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("web", restarts=1))
        await terminal.go("web-7d9-00001")
        await terminal.press("p")
        await terminal.sees("PREVIOUS LOG", "last words, password=••••")


async def test_pods_move_through_the_stages_of_a_rollout() -> None:
    async with cluster_opened() as terminal:
        new = replace(replica_set("web"), key="kubernetes:new", name="web-8f1", kind_facts=WorkloadFacts(revision=3))
        terminal.cluster.live(workload("web", (1, 2), why="1 of 2 updated"), kind="deployments")
        terminal.cluster.live(replica_set("web"), new, kind="replicasets")
        young = pod(
            "web", 9, State.CREATED, owner="kubernetes:new", kind_facts=PodFacts(), why="not scheduled: no room"
        )
        terminal.cluster.live(pod("web", 1), young)
        await terminal.go("web")
        await terminal.press("R")
        await terminal.sees("ROLLOUT of deployment web", "REVISION 3", "1 created", "REVISION 2", "1 ready", "no room")
        placed = replace(young, kind_facts=PodFacts("minikube"), why="being created")
        terminal.cluster.seen(placed)
        await terminal.sees("━━━━╌╌╌╌╌╌ scheduled", "being created")
        terminal.cluster.emit(event(young.key, "Pulled", "there", 1))
        await terminal.sees("━━━━━━╌╌╌╌ pulled")
        terminal.cluster.seen(replace(placed, state=State.RUNNING, why=""))
        await terminal.sees("━━━━━━━━╌╌ started")
        terminal.cluster.seen(replace(placed, state=State.RUNNING, ready=(1, 1), why=""))
        await terminal.sees("━━━━━━━━━━ ready")


def test_a_stage_needs_no_events() -> None:
    assert stage_of(pod("web", state=State.CREATED, kind_facts=PodFacts()), ()) == 0
    assert stage_of(pod("web", state=State.CREATED), ()) == 1
    assert stage_of(pod("web", ready=(0, 1)), ()) == 3
    assert stage_of(pod("web"), ()) == 4


def test_a_chart_marks_its_limit_and_leaves_what_is_unknown_empty() -> None:
    lines = chart([0, None, 5, 10], 12, 2, mark=10)
    assert lines == ["10 ┤┄┄┄█┄┄┄┄", " 0 ┤  ██"]
    assert chart([], 10, 2) == ["1 ┤", "0 ┤"]
