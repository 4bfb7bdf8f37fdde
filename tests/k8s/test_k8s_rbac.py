"""The deployer can apply every overlay and nothing that would lift its own limits; the viewer can change nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from k8s_rendering import K8S, Object, Rendering

Render = Callable[[str], Rendering]

PLURALS = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}


def may(role: Object, verb: str, group: str, resource: str) -> bool:
    assert not any("*" in rule[key] for rule in role["rules"] for key in ("apiGroups", "resources", "verbs")), (
        "a wildcard"
    )
    return any(
        group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"] for rule in role["rules"]
    )


def group_and_resource(item: Object) -> tuple[str, str]:
    group = item["apiVersion"].rpartition("/")[0]
    return group, PLURALS.get(item["kind"], item["kind"].lower() + "s")


def test_deployer_applies_what_is_not_the_platforms(render: Render, rendered: Rendering) -> None:
    role = render("rbac").one("Role", "deployer")
    for item in rendered.objects:
        platform = item["metadata"]["labels"].get("app.kubernetes.io/component") == "platform"
        for verb in ("create", "patch"):
            assert may(role, verb, *group_and_resource(item)) is not platform, item["kind"]


def test_the_platforms_part_is_what_bounds_the_deployer(rendered: Rendering) -> None:
    kinds = {
        item["kind"]
        for item in rendered.objects
        if item["metadata"]["labels"].get("app.kubernetes.io/component") == "platform"
    }
    assert kinds == {"Namespace", "PriorityClass", "ResourceQuota", "LimitRange"}


@pytest.mark.parametrize("account", ["deployer", "viewer"])
def test_neither_reaches_secrets_or_rights(render: Render, account: str) -> None:
    role = render("rbac").one("Role", account)
    granted = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert not granted & {
        "secrets",
        "roles",
        "rolebindings",
        "serviceaccounts/token",
        "pods/exec",
        "pods/attach",
        "nodes",
    }
    assert not {verb for rule in role["rules"] for verb in rule["verbs"]} & {
        "delete",
        "deletecollection",
        "bind",
        "escalate",
        "impersonate",
    }


def test_viewer_only_looks(render: Render) -> None:
    role = render("rbac").one("Role", "viewer")
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    for group, resource in (("", "pods"), ("apps", "deployments"), ("autoscaling", "horizontalpodautoscalers")):
        assert all(may(role, verb, group, resource) for verb in ("get", "list", "watch"))
    assert may(role, "get", "", "pods/log")
    assert may(role, "list", "metrics.k8s.io", "pods")
    assert not may(role, "get", "", "configmaps")


def test_rights_are_the_namespaces_only(render: Render) -> None:
    objects = render("rbac").objects
    assert {item["kind"] for item in objects} == {"ServiceAccount", "Role", "RoleBinding"}
    assert {item["metadata"]["namespace"] for item in objects} == {"docsearch"}
    for binding in render("rbac").all("RoleBinding"):
        assert [subject["name"] for subject in binding["subjects"]] == [binding["roleRef"]["name"]]


def test_prover_adds_a_forward_to_pods_and_nothing_else(render: Render) -> None:
    """And it is no part of what an administrator applies for the accounts: it is decided by itself."""
    added = render("rbac/prover")
    assert added.one("Role", "prover")["rules"] == [
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]},
    ]
    (binding,) = added.all("RoleBinding")
    assert [(subject["kind"], subject["name"]) for subject in binding["subjects"]] == [("ServiceAccount", "deployer")]
    assert not [item for item in render("rbac").objects if item["metadata"]["name"] == "prover"]


def test_the_page_lists_every_verb_of_the_deployer(render: Render) -> None:
    page = (K8S.parent / "docs/SECURITY.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    told = {(row[0].strip("`"), verb) for row in rows if len(row) == 3 for verb in row[1].strip("`").split(", ")}
    rules = [*render("rbac").one("Role", "deployer")["rules"], *render("rbac/prover").one("Role", "prover")["rules"]]
    held = {
        (f"{resource}.{group}" if group else resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert held == told


def test_no_overlay_grants_rights(rendered: Rendering) -> None:
    assert not [item["kind"] for item in rendered.objects if item["apiVersion"].startswith("rbac.")]
