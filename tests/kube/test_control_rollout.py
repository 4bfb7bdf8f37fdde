"""Rollouts: restart, history, undo, pause and resume; and a drain by the real kubectl with a budget in its way."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kinds import PODS
from devenv.control.kube.change import Call, parse_refs
from devenv.control.kube.control import VERBS
from devenv.control.kube.rollout import history, status_words
from devenv.core.errors import DevenvError, Interrupted, UsageError
from devenv.core.model import Progress
from fakes.api_server import ApiServer, deployment, pod, subresources
from fakes.api_server.handler import Handler
from fakes.api_server.served import document
from tests.kube.test_control_verbs import budget, call


def images(api: ApiServer, name: str = "web") -> str:
    found = api.get("deployments", name)
    assert found is not None
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def two_revisions(api: ApiServer, client: KubeClient) -> None:
    api.controllers.rollout(deployment("web", "web:1", replicas=2))
    changed = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}}}
    path, kind = "/apis/apps/v1/namespaces/default/deployments/web", "application/strategic-merge-patch+json"
    client.request("PATCH", path, body=changed, content_type=kind)
    api.controllers.settle()


def test_a_restart_replaces_every_pod(api: ApiServer, client: KubeClient) -> None:
    api.controllers.rollout(deployment("web", replicas=2))
    before = {item["metadata"]["uid"] for item in api.objects("pods", "default")}
    request = call(client, "deployment/web")
    assert VERBS["restart"].survey(request).sentences == ("Replaces every pod of deployment/web, some at a time.",)
    VERBS["restart"].do(request)
    api.controllers.settle()
    after = {item["metadata"]["uid"] for item in api.objects("pods", "default")}
    assert len(after) == 2
    assert not before & after


def test_the_gap_of_a_recreate_is_said_before(api: ApiServer, client: KubeClient) -> None:
    api.put(deployment("web", strategy="Recreate"))
    assert "nothing serves" in VERBS["restart"].survey(call(client, "deployment/web")).sentences[0]


def test_undo_brings_back_the_revision_before_and_says_what_differs(api: ApiServer, client: KubeClient) -> None:
    two_revisions(api, client)
    request = call(client, "deployment/web")
    found = history(request, request.refs[0])
    assert [(one.number, one.current, one.images) for one in found] == [(2, True, ("web:2",)), (1, False, ("web:1",))]
    sentences = VERBS["undo"].survey(request).sentences
    assert "Brings back revision 1 of deployment/web (web:1)." in sentences
    assert any(line.startswith("-") and "web:2" in line for line in sentences)
    VERBS["undo"].do(request)
    api.controllers.settle()
    assert images(api) == "web:1"
    assert {item["spec"]["containers"][0]["image"] for item in api.objects("pods", "default")} == {"web:1"}


@pytest.mark.parametrize(
    ("revision", "words"), [("9", "has no revision 9"), ("2", "is the current one"), ("x", "has no revision x")]
)
def test_a_revision_that_cannot_come_back_is_refused_with_those_that_can(
    api: ApiServer, client: KubeClient, revision: str, words: str
) -> None:
    two_revisions(api, client)
    with pytest.raises(UsageError, match=words) as caught:
        VERBS["undo"].survey(call(client, "deployment/web", revision=revision))
    assert caught.value.hint == "Revisions that are kept: 2, 1"


def test_the_first_revision_has_nothing_before_it(api: ApiServer, client: KubeClient) -> None:
    api.controllers.rollout(deployment("web"))
    with pytest.raises(UsageError, match="no earlier revision"):
        VERBS["undo"].do(call(client, "deployment/web"))


def test_a_paused_rollout_neither_restarts_nor_goes_back_until_it_is_resumed(
    api: ApiServer, client: KubeClient
) -> None:
    two_revisions(api, client)
    VERBS["pause"].do(call(client, "deployment/web"))
    api.controllers.settle()
    for verb in ("restart", "undo"):
        with pytest.raises(UsageError, match="is paused"):
            VERBS[verb].survey(call(client, "deployment/web"))
    request = call(client, "deployment/web")
    assert "paused" in status_words(request.refs[0], request.refs[0].read(client))
    VERBS["resume"].do(call(client, "deployment/web"))
    VERBS["undo"].do(call(client, "deployment/web"))
    assert images(api) == "web:1"


def test_what_is_not_rolled_out_is_refused(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("web-1"))
    for verb in ("restart", "undo"):
        with pytest.raises(UsageError, match="has no rollout"):
            VERBS[verb].survey(call(client, "pod/web-1"))
    with pytest.raises(UsageError, match="cannot be paused"):
        VERBS["pause"].survey(call(client, "pod/web-1"))


@pytest.fixture
def for_kubectl(api: ApiServer) -> None:
    api.aggregated_discovery = False  # kubectl takes the aggregated form only by its own media type

    def evict_by_path(handler: Handler, path: str, body: bytes) -> None:
        """kubectl sends its Eviction as protobuf, which says nothing that the path does not."""
        *_, namespace, _, name, _ = path.split("/")
        subresources.answer(handler, PODS, namespace, name, "eviction", {})

    def with_evictions(handler: Handler, path: str, body: bytes) -> None:
        """kubectl deletes pods where discovery does not name evictions."""
        told = document(["api", "v1"], api.served, False)
        eviction = {"name": "pods/eviction", "namespaced": True, "group": "policy", "version": "v1", "kind": "Eviction"}
        told["resources"].append({**eviction, "singularName": "", "verbs": ["create"]})
        handler.json(told)

    api.on("GET", r"/api/v1", with_evictions)
    api.on("POST", r"/api/v1/namespaces/[^/]+/pods/[^/]+/eviction", evict_by_path)


def drain_call(client: KubeClient, environ: dict[str, str], told: list[Progress], **options: str) -> Call:
    def report(record: Any) -> None:
        if isinstance(record, Progress):
            told.append(record)

    return Call(client, parse_refs(("node/minikube",), client), options, report, threading.Event(), environ)


def owned_pod(api: ApiServer, name: str, app: str) -> dict[str, Any]:
    owner = api.put(
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": f"rs-{name}"}, "spec": {"replicas": 0}}
    )
    return pod(name, labels={"app": app}, owner=owner)


def test_a_drain_says_before_what_holds_it_and_what_is_lost(
    api: ApiServer, client: KubeClient, environ: dict[str, str]
) -> None:
    local = owned_pod(api, "web-1", "web")
    local["spec"]["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    alone = pod("alone", namespace="default")
    api.put(local, alone, budget("keep", "web", 0))
    impact = VERBS["drain"].survey(drain_call(client, environ, []))
    assert "evicts 2 pods: default/alone, default/web-1" in impact.sentences[0]
    assert any("PodDisruptionBudget keep" in text and "holds the drain up" in text for text in impact.sentences)
    assert set(impact.losses) == {
        "the local data of pod default/web-1: emptyDir scratch",
        "pod default/alone: nothing makes it again",
    }
    assert impact.confirm


def test_a_drain_with_a_selector_names_the_other_namespaces_that_it_reaches(
    api: ApiServer, client: KubeClient, environ: dict[str, str]
) -> None:
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    api.put(pod("web-1", labels={"app": "web"}), pod("web-2", namespace="team", labels={"app": "web"}), pod("db"))
    sentences = VERBS["drain"].survey(drain_call(client, environ, [], selector="app=web")).sentences
    assert "default/db" not in sentences[0]
    assert "A drain reaches every namespace; here also team." in sentences


@pytest.mark.usefixtures("for_kubectl")
def test_kubectl_drains_and_the_node_stays_closed(api: ApiServer, client: KubeClient, environ: dict[str, str]) -> None:
    api.put(owned_pod(api, "web-1", "web"))
    told: list[Progress] = []
    VERBS["drain"].do(drain_call(client, environ, told, timeout="20"))
    assert api.objects("pods", "default") == []
    assert ("pod/web-1", "Evicted") in [(item.id, item.text) for item in told]
    node = api.get("nodes", "minikube")
    assert node is not None
    assert node["spec"]["unschedulable"] is True


@pytest.mark.usefixtures("for_kubectl")
def test_a_budget_that_holds_a_drain_up_is_named_while_it_tries(
    api: ApiServer, client: KubeClient, environ: dict[str, str]
) -> None:
    api.put(owned_pod(api, "web-1", "web"), budget("keep", "web", 0))
    told: list[Progress] = []
    with pytest.raises(DevenvError, match="was not drained") as caught:
        VERBS["drain"].do(drain_call(client, environ, told, timeout="1"))
    assert "devenv kubectl uncordon minikube" in caught.value.hint
    held = [item for item in told if item.text == "Held up"]
    assert held
    assert "PodDisruptionBudget keep" in held[0].details
    assert api.get("pods", "web-1") is not None


@pytest.mark.usefixtures("for_kubectl")
def test_a_drain_ends_when_it_is_interrupted(api: ApiServer, client: KubeClient, environ: dict[str, str]) -> None:
    api.put(owned_pod(api, "web-1", "web"), budget("keep", "web", 0))
    request = drain_call(client, environ, [])
    threading.Timer(0.8, request.stop.set).start()
    with pytest.raises(Interrupted) as caught:
        VERBS["drain"].do(request)
    assert "stays cordoned" in caught.value.hint


def job(name: str, **labels: str) -> dict[str, Any]:
    own = {"app": "seed", "batch.kubernetes.io/job-name": name, "controller-uid": "1-2-3"}
    template = {"metadata": {"labels": own}, "spec": {"containers": [{"name": "main", "image": "seed:1"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default", "labels": own | labels},
        "spec": {"selector": {"matchLabels": {"controller-uid": "1-2-3"}}, "template": template, "backoffLimit": 2},
        "status": {"failed": 1},
    }


@pytest.mark.parametrize("kind", ["job", "cronjob"])
def test_a_job_runs_again_under_a_new_name(api: ApiServer, client: KubeClient, kind: str) -> None:
    item = job("s" * 60)
    if kind == "cronjob":
        template = {"metadata": {"labels": {"app": "seed"}}, "spec": item["spec"]}
        item = {**item, "kind": "CronJob", "spec": {"schedule": "@daily", "jobTemplate": template}}
    api.put(item)
    request = call(client, f"{kind}/{'s' * 60}")
    (sentence,) = VERBS["restart"].survey(request).sentences
    assert "as a job of a new name; what ran before stays." in sentence
    VERBS["restart"].do(request)
    (made,) = (one for one in api.objects("jobs", "default") if one["metadata"]["name"] != "s" * 60)
    assert len(made["metadata"]["name"]) <= 63
    assert made["metadata"]["labels"] == {"app": "seed"}
    assert made["spec"]["backoffLimit"] == 2
    assert "controller-uid" not in str(made["spec"]["template"]["metadata"]["labels"])
    assert "selector" not in made["spec"] or made["spec"]["selector"] != {"matchLabels": {"controller-uid": "1-2-3"}}
