"""Delete, scale, evict, cordon: what they hit is said before, and they do what was said."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Conflict, NotFound, TooManyRequests
from devenv.control.kube.change import Call, Impact, parse_ref, parse_refs
from devenv.control.kube.control import VERBS
from devenv.core.errors import Interrupted, UsageError, WaitTimeout
from fakes.api_server import ApiServer, deployment, pod, template

POLICIES = {"Delete": "are deleted", "Retain": "stay", "Recycle": "is emptied"}


def call(client: KubeClient, *targets: str, stop: threading.Event | None = None, **options: str) -> Call:
    return Call(client, parse_refs(targets, client), options, stop=stop or threading.Event())


def survey(verb: str, request: Call) -> Impact:
    return VERBS[verb].survey(request)


def claim(name: str, volume: str = "", namespace: str = "default") -> dict[str, Any]:
    spec = {"volumeName": volume} if volume else {}
    about = {"name": name, "namespace": namespace}
    status = {"capacity": {"storage": "1Gi"}} if volume else {}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": spec, "status": status}


def volume(name: str, policy: str) -> dict[str, Any]:
    spec = {"persistentVolumeReclaimPolicy": policy}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def budget(name: str, app: str, allowed: int) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 2 + allowed, "desiredHealthy": 2},
    }


def autoscaler(target: str, least: int, most: int) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "auto", "namespace": "default"},
        "spec": {
            "minReplicas": least,
            "maxReplicas": most,
            "scaleTargetRef": {"kind": "Deployment", "name": target, "apiVersion": "apps/v1"},
        },
    }


def test_what_a_deployment_owns_is_counted_before_it_is_deleted(api: ApiServer, client: KubeClient) -> None:
    api.controllers.rollout(deployment("web", replicas=3))
    api.controllers.rollout(deployment("other", replicas=2))
    impact = survey("delete", call(client, "deployment/web"))
    assert "With them goes what they own: 1 replicaset, 3 pods." in impact.sentences
    assert impact.confirm
    request = call(client, "deployment/web", **dict(impact.options))
    VERBS["delete"].do(request)
    assert api.get("deployments", "web") is None
    assert {item["metadata"]["labels"]["app"] for item in api.objects("pods", "default")} == {"other"}


@pytest.mark.parametrize(("policy", "lost"), [("Delete", True), ("Retain", False), ("Recycle", True)])
def test_whether_the_data_of_a_claim_go_is_said_by_its_reclaim_policy(
    api: ApiServer, client: KubeClient, policy: str, lost: bool
) -> None:
    api.put(volume("pv-1", policy), claim("data", "pv-1"))
    impact = survey("delete", call(client, "pvc/data"))
    assert bool(impact.losses) is lost
    assert POLICIES[policy] in " ".join((*impact.losses, *impact.sentences))


def test_a_claim_without_a_volume_and_one_whose_volume_may_not_be_read(api: ApiServer, client: KubeClient) -> None:
    api.put(claim("empty"), volume("pv-1", "Retain"), claim("data", "pv-1"))
    assert not survey("delete", call(client, "pvc/empty")).losses
    api.faults.forbidden.add("persistentvolumes")
    assert "count its data as lost" in survey("delete", call(client, "pvc/data")).losses[0]


def test_claims_that_stay_after_a_stateful_set_are_named(api: ApiServer, client: KubeClient) -> None:
    spec = {
        "serviceName": "db",
        "replicas": 1,
        "selector": {"matchLabels": {"app": "db"}},
        "template": template("db", "db:1"),
        "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
    }
    about = {"name": "db", "namespace": "default"}
    api.put({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": about, "spec": spec}, claim("data-db-0"))
    impact = survey("delete", call(client, "sts/db"))
    assert "Its claims stay, with their data: data-db-0." in impact.sentences


def test_deleting_a_namespace_tells_what_is_in_it_and_the_systems_ones_are_refused(
    api: ApiServer, client: KubeClient
) -> None:
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    api.put(volume("pv-1", "Delete"), claim("data", "pv-1", "team"), deployment("web", namespace="team"))
    impact = survey("delete", call(client, "ns/team"))
    assert "1 persistentvolumeclaim" in impact.sentences[0]
    assert "1 deployment" in impact.sentences[0]
    assert impact.losses
    with pytest.raises(UsageError, match="kube-system"):
        survey("delete", call(client, "namespace/kube-system"))


def test_pods_that_use_a_config_map_are_named(api: ApiServer, client: KubeClient) -> None:
    made = pod("web-1")
    made["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}, made, pod("other"))
    assert "In use by pod/web-1." in survey("delete", call(client, "cm/settings")).sentences


def test_an_object_made_anew_since_it_was_planned_is_not_deleted(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("web-1"))
    impact = survey("delete", call(client, "pod/web-1"))
    api.delete("pods", "web-1")
    api.put(pod("web-1"))
    with pytest.raises(Conflict, match="created again"):
        VERBS["delete"].do(call(client, "pod/web-1", **dict(impact.options)))
    assert api.get("pods", "web-1") is not None


def test_a_finalizer_that_holds_an_object_is_named_at_the_end_of_patience(api: ApiServer, client: KubeClient) -> None:
    held = pod("web-1")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    api.put(held)
    assert any("example.com/hold" in text for text in survey("delete", call(client, "pod/web-1")).sentences)
    with pytest.raises(WaitTimeout, match=r"held by example\.com/hold"):
        VERBS["delete"].do(call(client, "pod/web-1", timeout="0.2"))


def test_waiting_for_a_deletion_can_be_interrupted(api: ApiServer, client: KubeClient) -> None:
    held = pod("web-1")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    api.put(held)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted, match="still being deleted"):
        VERBS["delete"].do(call(client, "pod/web-1", stop=stop))


@pytest.mark.parametrize(
    ("replicas", "words"),
    [("1", "goes back to 2 or more"), ("9", "goes back to 5 or fewer"), ("3", "decides again"), ("0", "rests")],
)
def test_an_autoscaler_that_undoes_it_is_named(api: ApiServer, client: KubeClient, replicas: str, words: str) -> None:
    api.put(deployment("web", replicas=2), autoscaler("web", 2, 5), deployment("other"))
    assert words in " ".join(survey("scale", call(client, "deployment/web", replicas=replicas)).sentences)
    other = survey("scale", call(client, "deployment/other", replicas=replicas))
    assert "HorizontalPodAutoscaler" not in " ".join(other.sentences)


def test_scaling_to_nothing_asks_and_what_has_no_replicas_is_no_workload(api: ApiServer, client: KubeClient) -> None:
    api.put(deployment("web", replicas=2), pod("web-1"))
    assert survey("scale", call(client, "deployment/web", replicas="0")).confirm
    with pytest.raises(UsageError, match="cannot be scaled"):
        survey("scale", call(client, "pod/web-1", replicas="2"))
    with pytest.raises(UsageError, match="not a number"):
        survey("scale", call(client, "deployment/web", replicas="-1"))


def test_an_eviction_that_a_budget_forbids_is_explained_in_numbers(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("web-1", labels={"app": "web"}), budget("keep", "web", 0), budget("other", "db", 0))
    impact = survey("evict", call(client, "pod/web-1"))
    assert "allows no disruption now" in impact.sentences[0]
    assert impact.losses == ("pod default/web-1: nothing makes it again",)
    with pytest.raises(TooManyRequests) as caught:
        VERBS["evict"].do(call(client, "pod/web-1"))
    assert "PodDisruptionBudget keep (minAvailable 2)" in caught.value.message
    assert "2 pods are healthy and 2 must be" in caught.value.message
    assert "other" not in caught.value.message
    assert api.get("pods", "web-1") is not None
    api.put(budget("keep", "web", 1))
    VERBS["evict"].do(call(client, "pod/web-1"))
    assert api.get("pods", "web-1") is None


def test_a_node_is_closed_and_opened_and_being_the_only_one_is_said(api: ApiServer, client: KubeClient) -> None:
    assert "only node" in survey("cordon", call(client, "node/minikube")).sentences[-1]
    VERBS["cordon"].do(call(client, "node/minikube"))
    found = api.get("nodes", "minikube")
    assert found is not None
    assert found["spec"]["unschedulable"] is True
    VERBS["uncordon"].do(call(client, "node/minikube"))
    found = api.get("nodes", "minikube")
    assert found is not None
    assert not found["spec"].get("unschedulable")
    with pytest.raises(UsageError, match="not a node"):
        survey("cordon", call(client, "pod/minikube"))


def database(api: ApiServer, replicas: int = 1) -> None:
    """Put a StatefulSet whose pods keep their data in an emptyDir, and its Service."""
    labels = {"app": "db"}
    made = template("db", "db:1")
    made["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    spec = {"serviceName": "db", "replicas": replicas, "selector": {"matchLabels": labels}, "template": made}
    spec["updateStrategy"] = {"type": "RollingUpdate"}
    about = {"name": "db", "namespace": "default"}
    owner = api.put({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": about, "spec": spec})
    api.put({"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": {"selector": labels}})
    for number in range(replicas):
        item = pod(f"db-{number}", labels=labels, owner=owner)
        item["spec"]["volumes"] = made["spec"]["volumes"]
        api.put(item)


LOCAL = "the local data of pod default/db-0: emptyDir data"
LAST = (
    "Takes the last ready pod of statefulset/default/db, service/default/db: nothing serves until another one is ready."
)


@pytest.mark.parametrize(
    ("verb", "target", "options"),
    [
        ("delete", "pod/db-0", {}),
        ("evict", "pod/db-0", {}),
        ("drain", "node/minikube", {}),
        ("delete", "statefulset/db", {}),
        ("scale", "statefulset/db", {"replicas": "0"}),
        ("restart", "statefulset/db", {}),
    ],
)
def test_whatever_takes_the_last_ready_pod_says_so_with_its_local_data_and_asks(
    api: ApiServer, client: KubeClient, verb: str, target: str, options: dict[str, str]
) -> None:
    database(api)
    impact = survey(verb, call(client, target, **options))
    assert impact.confirm
    assert LOCAL in impact.losses
    assert LAST in impact.sentences


def test_a_pod_that_is_not_the_last_ready_one_is_deleted_with_a_question_too(
    api: ApiServer, client: KubeClient
) -> None:
    database(api, replicas=2)
    impact = survey("delete", call(client, "pod/db-0"))
    assert impact.confirm
    assert impact.losses == (LOCAL,)
    assert not any("last ready" in text for text in impact.sentences)
    api.change("pods", "db-1", {"status": {"conditions": [{"type": "Ready", "status": "False"}]}})
    assert LAST in survey("delete", call(client, "pod/db-0")).sentences


def test_pods_of_a_namespace_and_those_left_by_an_orphaning_delete(api: ApiServer, client: KubeClient) -> None:
    database(api)
    assert LOCAL not in survey("delete", call(client, "statefulset/db", cascade="orphan")).losses
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    local = pod("x", namespace="team")
    local["spec"]["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    api.put(local)
    assert "the local data of pod team/x: emptyDir scratch" in survey("delete", call(client, "ns/team")).losses


@pytest.mark.parametrize(
    ("strategy", "asks"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, False),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, True),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}}, True),
        ({"type": "Recreate"}, True),
    ],
)
def test_a_restart_asks_only_where_nothing_serves_meanwhile(
    api: ApiServer, client: KubeClient, strategy: dict[str, Any], asks: bool
) -> None:
    content = deployment("web")
    content["spec"]["strategy"] = strategy
    content["spec"]["template"]["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    api.controllers.rollout(content)
    impact = survey("restart", call(client, "deployment/web"))
    assert impact.confirm is asks
    assert ("emptyDir tmp" in " ".join(impact.losses)) is asks
    assert "emptyDir tmp" in " ".join((*impact.losses, *impact.sentences))
    assert ("last ready pod of deployment/default/web" in " ".join(impact.sentences)) is asks


@pytest.mark.parametrize("word", ["web", "a/b/c/d", "pod/", "/web"])
def test_what_names_no_object_is_refused(client: KubeClient, word: str) -> None:
    with pytest.raises(UsageError):
        parse_ref(word, client)


def test_targets_may_be_written_as_for_kubectl(client: KubeClient) -> None:
    assert [ref.target for ref in parse_refs(("deploy", "a", "b"), client)] == [
        "deployment/default/a",
        "deployment/default/b",
    ]
    assert parse_ref("no/minikube", client).target == "node/minikube"
    assert parse_ref("kubernetes:pod/other/x", client).namespace == "other"
    with pytest.raises(NotFound, match="deploymint"):
        parse_ref("deploymint/web", client)


def test_a_target_that_is_not_there_is_named_with_its_namespace(client: KubeClient) -> None:
    with pytest.raises(NotFound, match="There is no pod/gone in namespace default"):
        survey("delete", call(client, "pod/gone"))
