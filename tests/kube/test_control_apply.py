"""Server-side apply: the plan before, conflicts in words, secrets hidden, and what is left when it fails half way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.control.kube.apply import CHANGED, FieldConflicts, apply, masked_pair, plan_apply
from devenv.core.errors import DevenvError, UsageError
from devenv.core.masking import MASK
from fakes.api_server import ApiServer, Refusal, deployment, namespace_object

SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "database"},
    "data": {"password": "aHVudGVyMg==", "user": "YWRtaW4="},
}
CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"LEVEL": "debug"},
}


def test_the_plan_shows_what_would_change_and_changes_nothing(api: ApiServer, client: KubeClient) -> None:
    apply(client, [CONFIG])
    before = api.get("configmaps", "settings")
    plan = plan_apply(client, [{**CONFIG, "data": {"LEVEL": "info"}}, deployment("web")])
    assert [(change.title, change.action) for change in plan] == [
        ("ConfigMap default/settings", "changed"),
        ("Deployment default/web", "created"),
    ]
    assert "-  LEVEL: debug" in plan[0].diff
    assert "+  LEVEL: info" in plan[0].diff
    assert api.get("configmaps", "settings") == before
    assert api.get("deployments", "web") is None


def test_applying_twice_changes_nothing_the_second_time(client: KubeClient) -> None:
    told: list[str] = []
    apply(client, [CONFIG, deployment("web")], report=lambda change: told.append(change.action))
    again = apply(client, [CONFIG, deployment("web")])
    assert told == ["created", "created"]
    assert [change.action for change in again] == ["unchanged", "unchanged"]
    assert all(not change.diff for change in again)


def test_secrets_are_masked_and_a_new_value_is_still_seen(client: KubeClient) -> None:
    apply(client, [SECRET])
    (change,) = plan_apply(client, [{**SECRET, "data": {**SECRET["data"], "password": "bmV1"}}])
    text = "\n".join(change.diff)
    assert f"-  password: {MASK}" in text
    assert f"+  password: {CHANGED}" in text
    assert "aHVudGVyMg" not in text
    assert "bmV1" not in text
    assert f"   user: {MASK}" in text


def test_secrets_in_environments_and_texts_are_masked_and_names_of_secrets_are_not() -> None:
    def container(password: str) -> dict[str, Any]:
        env = [{"name": "DB_PASSWORD", "value": password}, {"name": "URL", "value": "postgres://u:hunter2@db/x"}]
        source = {"secretKeyRef": {"name": "database", "key": "password"}}
        return {
            "kind": "Pod",
            "spec": {"containers": [{"env": [*env, {"name": "OTHER_PASSWORD", "valueFrom": source}]}]},
        }

    before, after = masked_pair(container("old"), container("new"))
    first, second = before["spec"]["containers"][0]["env"], after["spec"]["containers"][0]["env"]
    assert first[0] == {"name": "DB_PASSWORD", "value": MASK}
    assert second[0] == {"name": "DB_PASSWORD", "value": CHANGED}
    assert "hunter2" not in second[1]["value"]
    assert second[2]["valueFrom"] == {"secretKeyRef": {"name": "database", "key": "password"}}


def test_a_conflict_names_owner_field_and_way_out(api: ApiServer, client: KubeClient) -> None:
    apply(client, [deployment("web", replicas=1)])
    path, query = "/apis/apps/v1/namespaces/default/deployments/web/scale", {"fieldManager": "kubectl-scale"}
    merge = "application/merge-patch+json"
    client.request("PATCH", path, query=query, body={"spec": {"replicas": 4}}, content_type=merge)
    (change,) = plan_apply(client, [deployment("web", replicas=2)])
    assert [(one.manager, one.field) for one in change.conflicts] == [("kubectl-scale", ".spec.replicas")]
    assert "+  replicas: 2" in change.diff
    with pytest.raises(FieldConflicts) as caught:
        apply(client, [CONFIG, deployment("web", replicas=2)])
    assert ".spec.replicas is owned by kubectl-scale: scaled by hand" in caught.value.message
    assert "1 objects before it were applied" in caught.value.message
    assert "Leave replicas out of the manifest" in caught.value.hint
    forced = apply(client, [deployment("web", replicas=2)], force_conflicts=True)
    assert forced[0].action == "changed"
    found = api.get("deployments", "web")
    assert found is not None
    assert found["spec"]["replicas"] == 2


def test_objects_of_a_namespace_that_comes_with_them_are_planned_and_applied(
    api: ApiServer, client: KubeClient
) -> None:
    objects = [deployment("web", namespace="new"), namespace_object("new")]
    plan = plan_apply(client, objects)
    assert [(change.kind, change.action, change.problem) for change in plan] == [
        ("Namespace", "created", ""),
        ("Deployment", "created", ""),
    ]
    apply(client, objects)
    assert api.get("deployments", "web", "new") is not None


def test_a_missing_namespace_and_an_unknown_kind_are_problems_with_a_hint(client: KubeClient) -> None:
    unknown = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}}
    plan = plan_apply(client, [deployment("web", namespace="absent"), unknown])
    assert {change.kind: bool(change.problem) for change in plan} == {"Deployment": True, "Gadget": True}
    by_kind = {change.kind: change for change in plan}
    assert "kubectl create namespace absent" in by_kind["Deployment"].hint
    assert "serves no example.com/v1 Gadget" in by_kind["Gadget"].problem
    with pytest.raises(DevenvError, match="Gadget"):
        apply(client, [unknown])


def test_what_the_server_refuses_is_named_and_keeps_its_kind_of_error(api: ApiServer, client: KubeClient) -> None:
    def admit(verb: str, kind: object, content: dict[str, Any]) -> None:
        if content["kind"] == "Deployment":
            raise Refusal(403, "exceeded quota: small, requested: pods=2", "Forbidden")

    api.operations.admission.append(admit)
    (_, refused) = plan_apply(client, [CONFIG, deployment("web")])
    assert "exceeded quota" in refused.problem
    with pytest.raises(KubeError) as caught:
        apply(client, [CONFIG, deployment("web")])
    assert caught.value.status == 403
    assert caught.value.message.startswith("Deployment default/web: ")
    assert "1 objects before it were applied" in caught.value.message


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"kind": "ConfigMap", "metadata": {"name": "x"}}, "no apiVersion"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, "has no name"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}, "has no name"),
    ],
)
def test_what_is_no_object_is_refused_before_anything_is_sent(
    api: ApiServer, client: KubeClient, broken: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        apply(client, [CONFIG, broken])
    assert api.objects("configmaps", "default") == []


def test_a_list_is_taken_apart_and_put_in_order(client: KubeClient, make_client: Callable[..., KubeClient]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [deployment("web"), SECRET, CONFIG]}
    assert [change.kind for change in apply(client, [listed])] == ["ConfigMap", "Secret", "Deployment"]
