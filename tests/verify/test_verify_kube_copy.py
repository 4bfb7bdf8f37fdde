"""What an overlay becomes so that a copy of it runs beside others, and what is refused with the reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from devenv.core.errors import ProjectError, UsageError
from devenv.core.settings import load_config
from devenv.verify.kube.environment import CopyPlan, make_copy, written
from devenv.verify.kube.source import (
    choose,
    containers_of,
    exchanged,
    full_name,
    on_nodes,
    overlay_folder,
    pod_specs,
    read_flags,
    read_overlay,
)

ROOT = Path(__file__).parents[2]
PLAN = CopyPlan("devenv-r1-1", {"devenv.run": "r1"}, {"devenv.owner": "m/b/1/2"}, {"docsearch-backend": "other:1"})


def objects(**changes: Any) -> list[dict[str, Any]]:
    spec: dict[str, Any] = {
        "priorityClassName": "shop",
        "containers": [{"name": "web", "image": "shop-web:dev", "ports": [{"containerPort": 80}]}],
    }
    spec |= changes.pop("pod", {})
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"level": "restricted"}}},
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "shop"}, "value": 1},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": spec}},
        },
        *changes.pop("more", []),
    ]


def in_shop(kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "web", "namespace": "shop"}, **fields}


def by_kind(found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(item for item in found if item["kind"] == kind)


@pytest.mark.parametrize("overlay", ["dev", "staging", "production"])
def test_every_overlay_of_ours_can_be_copied(overlay: str) -> None:
    config = load_config(ROOT, {})
    original = read_overlay(overlay_folder(config, overlay, ROOT), os.environ)
    copied = make_copy(original, PLAN)
    assert "docsearch" in {item["metadata"].get("namespace") for item in original}
    assert len(copied) == len(original)
    assert {item["metadata"].get("namespace") for item in copied} == {None, PLAN.namespace}
    assert all(item["metadata"]["labels"]["devenv.run"] == "r1" for item in copied)
    without = {item["metadata"]["name"] for item in copied if "namespace" not in item["metadata"]}
    assert without == {PLAN.namespace, f"{PLAN.namespace}-docsearch"}
    classes = {spec.get("priorityClassName") for item in copied for spec in pod_specs(item)}
    assert classes == {f"{PLAN.namespace}-docsearch"}
    (host,) = by_kind(copied, "Ingress")["spec"]["tls"][0]["hosts"]
    assert host.startswith(f"{PLAN.namespace}.docsearch.")
    assert by_kind(copied, "Ingress")["spec"]["rules"][0]["host"] == host
    levels = by_kind(copied, "Namespace")["metadata"]["labels"]
    assert levels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_owner_is_an_annotation_of_what_doctor_looks_for() -> None:
    copied = make_copy(objects(), PLAN)
    noted = [item["kind"] for item in copied if "devenv.owner" in item["metadata"].get("annotations", {})]
    assert sorted(noted) == ["Namespace", "PriorityClass"]


def test_the_original_is_left_as_it_was() -> None:
    original = objects()
    make_copy(original, PLAN)
    assert original == objects()


def test_without_the_right_to_make_a_priority_class_there_is_none() -> None:
    copied = make_copy(objects(), CopyPlan("copy", priorities=False))
    assert "PriorityClass" not in {item["kind"] for item in copied}
    assert [spec.get("priorityClassName") for item in copied for spec in pod_specs(item)] == [None]


def test_a_priority_class_of_the_cluster_stays() -> None:
    (spec,) = (
        spec
        for item in make_copy(objects(pod={"priorityClassName": "system-node-critical"}), PLAN)
        for spec in pod_specs(item)
    )
    assert spec["priorityClassName"] == "system-node-critical"


def test_a_namespace_is_made_where_the_overlay_has_none() -> None:
    copied = make_copy(objects()[2:], PLAN)
    assert by_kind(copied, "Namespace")["metadata"]["name"] == PLAN.namespace


def test_ports_of_the_nodes_are_left_to_the_cluster_and_subjects_move() -> None:
    service = in_shop("Service", spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})
    binding = in_shop("RoleBinding", subjects=[{"kind": "ServiceAccount", "name": "x", "namespace": "shop"}])
    copied = make_copy(objects(more=[service, binding]), PLAN)
    assert by_kind(copied, "Service")["spec"]["ports"] == [{"port": 80}]
    assert by_kind(copied, "RoleBinding")["subjects"][0]["namespace"] == PLAN.namespace


def test_hosts_with_a_star_keep_it_in_front() -> None:
    ingress = in_shop("Ingress", spec={"rules": [{"host": "*.shop.test"}], "tls": [{"hosts": ["*.shop.test"]}]})
    copied = make_copy(objects(more=[ingress]), PLAN)
    assert by_kind(copied, "Ingress")["spec"]["rules"][0]["host"] == f"*.{PLAN.namespace}.shop.test"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pod": {"hostNetwork": True}}, "Deployment web uses the node's network"),
        (
            {"pod": {"containers": [{"name": "web", "image": "x", "ports": [{"hostPort": 80}]}]}},
            "Deployment web takes a port of the node",
        ),
        ({"more": [in_shop("PersistentVolumeClaim", spec={"volumeName": "pv1"})]}, "names the one volume"),
        ({"more": [{"kind": "ClusterRole", "metadata": {"name": "all"}}]}, "ClusterRole all is the whole cluster's"),
        ({"more": [{"kind": "Secret", "metadata": {"name": "s", "namespace": "other"}}]}, "other, shop"),
    ],
    ids=["host-network", "host-port", "one-volume", "cluster-role", "two-namespaces"],
)
def test_what_cannot_be_there_twice_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProjectError, match="No isolated copy") as error:
        make_copy(objects(**changes), PLAN)
    assert reason in error.value.message


def test_an_overlay_without_a_namespace_is_refused_with_what_to_write() -> None:
    bare = [{"kind": "Deployment", "metadata": {"name": "web"}, "spec": {}}]
    with pytest.raises(ProjectError) as error:
        make_copy(bare, PLAN)
    assert "namespace: NAME" in error.value.hint


def test_a_copy_is_written_as_a_folder_that_kustomize_renders_to_the_same(tmp_path: Path) -> None:
    copied = make_copy(objects(), PLAN)
    again = read_overlay(written(copied, tmp_path / "overlay"), os.environ)
    assert sorted(again, key=str) == sorted(copied, key=str)


def test_an_overlay_that_is_not_there_is_an_error_with_the_names() -> None:
    with pytest.raises(UsageError) as error:
        overlay_folder(load_config(ROOT, {}), "devv", ROOT)
    assert "dev, staging, production" in error.value.hint


def test_images_are_exchanged_by_name_whatever_tag_or_digest_the_overlay_gives() -> None:
    instead = {"postgres": "localhost/postgres:mine", "registry.test:5000/a/b": "c:1"}
    assert exchanged("docker.io/library/postgres:17@sha256:00", instead) == "localhost/postgres:mine"
    assert exchanged("registry.test:5000/a/b:9", instead) == "c:1"
    assert exchanged("registry.test:5000/a/c:9", instead) == "registry.test:5000/a/c:9"
    (container,) = (
        container
        for item in make_copy(objects(), CopyPlan("copy", images={"shop-web": "shop-web:other"}))
        for spec in pod_specs(item)
        for container in containers_of(spec)
    )
    assert container["image"] == "shop-web:other"


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("web", "docker.io/library/web:latest"),
        ("web:dev", "docker.io/library/web:dev"),
        ("team/web:dev", "docker.io/team/web:dev"),
        ("localhost/web:dev", "localhost/web:dev"),
        ("registry.test:5000/web", "registry.test:5000/web:latest"),
        ("ghcr.io/a/web@sha256:00", "ghcr.io/a/web@sha256:00"),
    ],
)
def test_names_are_read_as_nodes_list_them(short: str, full: str) -> None:
    assert full_name(short) == full


def node(*names: str, more: int = 0) -> dict[str, Any]:
    images = [{"names": [name]} for name in names] + [{"names": [f"more:{n}"]} for n in range(more)]
    return {"status": {"images": images}}


def test_one_image_of_the_same_last_name_stands_in_and_two_are_a_doubt() -> None:
    wanted = "docker.io/library/postgres:17"
    assert choose(wanted, on_nodes([node(wanted)])) == (wanted, "")
    chosen, why = choose(wanted, on_nodes([node("localhost/postgres:trial", "localhost/postgres@sha256:00")]))
    assert chosen == "localhost/postgres:trial"
    assert "stands in" in why
    chosen, why = choose(wanted, on_nodes([node("a/postgres:1"), node("b/postgres:2")]))
    assert chosen == wanted
    assert "a/postgres:1, b/postgres:2" in why
    assert choose(wanted, on_nodes([node("docker.io/library/web:1")])) == (wanted, f"no node has {wanted}")


def test_nothing_is_said_of_a_node_that_does_not_tell_all_its_images() -> None:
    assert on_nodes([node("docker.io/library/web:1", more=50)]) == []
    assert choose("postgres:17", []) == ("postgres:17", "")


def test_flags_name_two_images() -> None:
    assert read_flags(["a=b:1", "c.test/d=e@sha256:00"]) == {"a": "b:1", "c.test/d": "e@sha256:00"}
    for wrong in ("a", "=b", "a="):
        with pytest.raises(UsageError, match="--image"):
            read_flags([wrong])
