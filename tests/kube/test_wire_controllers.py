"""The scripted controllers behave as the real ones do in what devenv reads of them."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden
from devenv.backends.kube.kinds import DEPLOYMENTS, PODS
from fakes.api_server import ApiServer, deployment, template
from tests.kube.seen import wait_for

REVISION = "deployment.kubernetes.io/revision"


def progressing(content: dict[str, Any] | None) -> str:
    assert content is not None
    return next(item["reason"] for item in content["status"]["conditions"] if item["type"] == "Progressing")


def waiting(api: ApiServer) -> set[str]:
    states = [state["state"] for pod in api.objects("pods") for state in pod["status"].get("containerStatuses", [])]
    return {state["waiting"]["reason"] for state in states if "waiting" in state}


def test_a_rollout_moves_pods_through_their_stages(api: ApiServer) -> None:
    api.put(deployment("web", replicas=2))
    phases = []
    while api.controllers.step():
        states = [pod["status"].get("phase") for pod in api.objects("pods")]
        phases.append(tuple(sorted(set(states))))
    assert [phase for at, phase in enumerate(phases) if at == 0 or phase != phases[at - 1]][-2:] == [
        ("Pending",),
        ("Running",),
    ]
    found = api.get("deployments", "web")
    assert progressing(found) == "NewReplicaSetAvailable"
    assert {event["reason"] for event in api.objects("events")} >= {"Scheduled", "Pulling", "Pulled", "Started"}


def test_a_new_image_replaces_pods_without_going_below_what_is_allowed(api: ApiServer) -> None:
    api.controllers.rollout(deployment("web", replicas=4))
    api.change("deployments", "web", {"spec": {"template": template("web", "web:2")}})
    least = 4
    while api.controllers.step():
        status = (api.get("deployments", "web") or {})["status"]
        least = min(least, status["availableReplicas"])
        assert status["replicas"] <= 5
    assert least == 3
    assert {pod["spec"]["containers"][0]["image"] for pod in api.objects("pods")} == {"web:2"}


def test_recreate_has_a_gap(api: ApiServer) -> None:
    api.controllers.rollout(deployment("web", strategy="Recreate"))
    api.change("deployments", "web", {"spec": {"template": template("web", "web:2")}})
    counts = []
    while api.controllers.step():
        counts.append(len(api.objects("pods")))
    assert 0 in counts
    assert max(counts) == 1


@pytest.mark.parametrize(
    ("how", "reason"),
    [("missing", "ImagePullBackOff"), ("crash", "CrashLoopBackOff"), ("never-starts", "ContainerCreating")],
)
def test_what_cannot_heal_stays_and_the_old_pods_serve(api: ApiServer, how: str, reason: str) -> None:
    api.controllers.rollout(deployment("web", replicas=2))
    api.controllers.behave("web:bad", how)
    api.change("deployments", "web", {"spec": {"template": template("web", "web:bad")}})
    api.controllers.settle()
    found = api.get("deployments", "web")
    assert found is not None
    assert progressing(found) == "ReplicaSetUpdated"
    assert found["status"]["availableReplicas"] == 2
    assert waiting(api) == {reason}


def test_going_back_is_the_old_replica_set_as_the_newest_revision(api: ApiServer) -> None:
    first = deployment("web")
    api.controllers.rollout(first)
    api.controllers.rollout(deployment("web", "web:2"))
    back = api.controllers.rollout(first)
    assert back["metadata"]["annotations"][REVISION] == "3"
    sets = api.objects("replicasets")
    assert sorted((one["spec"]["replicas"], one["metadata"]["annotations"][REVISION]) for one in sets) == [
        (0, "2"),
        (1, "3"),
    ]


def test_a_deadline_that_passes_is_told(api: ApiServer) -> None:
    content = deployment("web")
    content["spec"]["progressDeadlineSeconds"] = 0
    api.controllers.behave("web:1", "unready")
    api.put(content)
    api.controllers.start(0.01)
    wait_for(lambda: (api.get("deployments", "web") or {}).get("status"))
    wait_for(lambda: progressing(api.get("deployments", "web")) == "ProgressDeadlineExceeded")


def test_a_paused_deployment_does_not_move(api: ApiServer) -> None:
    api.controllers.rollout(deployment("web"))
    api.change("deployments", "web", {"spec": {"paused": True, "template": template("web", "web:2")}})
    api.controllers.settle()
    assert progressing(api.get("deployments", "web")) == "DeploymentPaused"
    assert {pod["spec"]["containers"][0]["image"] for pod in api.objects("pods")} == {"web:1"}


def test_a_quota_and_a_full_node(api: ApiServer, client: KubeClient) -> None:
    api.controllers.quota["default"] = 1
    found = api.controllers.rollout(deployment("web", replicas=2))
    failure = next(item for item in found["status"]["conditions"] if item["type"] == "ReplicaFailure")
    assert "exceeded quota" in failure["message"]
    with pytest.raises(Forbidden, match="exceeded quota"):
        client.request("POST", PODS.path("default"), body={"metadata": {"name": "x"}, "spec": {"containers": []}})
    api.controllers.quota.clear()
    api.controllers.behave("big:1", "unschedulable")
    api.controllers.rollout(deployment("big", "big:1"))
    conditions = [pod["status"]["conditions"] for pod in api.objects("pods") if "big" in pod["metadata"]["name"]]
    assert conditions[0][0]["reason"] == "Unschedulable"


def test_stateful_sets_daemon_sets_and_jobs(api: ApiServer) -> None:
    base = deployment("db", replicas=2)
    base["spec"].pop("strategy")
    found = api.controllers.rollout(base | {"kind": "StatefulSet"})
    assert [pod["metadata"]["name"] for pod in api.objects("pods")] == ["db-0", "db-1"]
    assert found["status"]["readyReplicas"] == 2
    found = api.controllers.rollout(deployment("agent") | {"kind": "DaemonSet"})
    assert found["status"]["numberReady"] == 1
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}}
    once = template("once", "web:1")
    once["spec"]["restartPolicy"] = "Never"
    found = api.controllers.rollout(job | {"spec": {"template": once}})
    assert found["status"]["conditions"][0]["type"] == "Complete"
    api.controllers.behave("bad:1", "crash")
    bad = template("twice", "bad:1")
    bad["spec"]["restartPolicy"] = "Never"
    job = job | {"metadata": {"name": "twice"}, "spec": {"template": bad, "backoffLimit": 1}}
    found = api.controllers.rollout(job)
    assert (found["status"]["failed"], found["status"]["conditions"][0]["reason"]) == (2, "BackoffLimitExceeded")


def test_a_deleted_pod_terminates_and_is_replaced_and_leaves_its_endpoint(api: ApiServer, client: KubeClient) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    api.put(service | {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
    api.controllers.rollout(deployment("web"))
    name = api.objects("pods")[0]["metadata"]["name"]
    client.request("DELETE", PODS.path("default", name))
    assert "deletionTimestamp" in client.get(PODS.path("default", name))["metadata"]
    api.controllers.settle()
    assert [pod["metadata"]["name"] for pod in api.objects("pods")] != [name]
    slices = api.objects("endpointslices")
    assert [endpoint["conditions"]["ready"] for endpoint in slices[0]["endpoints"]] == [True]
    assert slices[0]["endpoints"][0]["targetRef"]["name"] != name


def test_scaling_by_the_subresource(api: ApiServer, client: KubeClient) -> None:
    api.controllers.rollout(deployment("web"))
    path = DEPLOYMENTS.path("default", "web", "scale")
    patch = {"spec": {"replicas": 3}}
    client.request("PATCH", path, body=patch, content_type="application/merge-patch+json")
    api.controllers.settle()
    assert client.get(path)["status"]["replicas"] == 3
