"""The hash of what pods are made of: the same for a copy, another one for what changes the pods."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from devenv.backends.kube.parse.workload import parse_deployment, template_hash
from fakes.api_server import deployment

Change = Callable[[dict[str, Any]], object]


def changed(change: Change) -> dict[str, Any]:
    item = copy.deepcopy(deployment("web"))
    change(item)
    return item


def template(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = item["spec"]["template"]
    return found


def annotate(item: dict[str, Any], name: str) -> None:
    template(item)["metadata"].setdefault("annotations", {})[name] = "now"


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item["metadata"].update(namespace="devenv-1", generation=7, labels={"devenv.run": "1"}),
        lambda item: item["spec"].update(replicas=9, paused=True),
        lambda item: annotate(item, "kubectl.kubernetes.io/restartedAt"),
        lambda item: template(item)["spec"].update(priorityClassName="devenv-1-web", priority=1),
        lambda item: template(item)["spec"]["containers"][0].update(image="docker.io/library/other:2"),
    ],
)
def test_a_copy_and_a_restart_are_the_same(change: Change) -> None:
    assert template_hash(changed(change)) == template_hash(deployment("web"))


@pytest.mark.parametrize(
    "change",
    [
        lambda item: template(item)["spec"]["containers"][0].update(env=[{"name": "A", "value": "1"}]),
        lambda item: template(item)["spec"].update(terminationGracePeriodSeconds=1),
        lambda item: template(item)["metadata"]["labels"].update(tier="front"),
        lambda item: annotate(item, "checksum/config"),
    ],
)
def test_what_changes_pods_is_another_one(change: Change) -> None:
    assert template_hash(changed(change)) != template_hash(deployment("web"))


def test_a_workload_carries_it() -> None:
    assert parse_deployment(deployment("web"), "minikube").resource.config_hash == template_hash(deployment("web"))


@pytest.mark.parametrize("raw", [{}, {"spec": None}, {"spec": {"template": {"spec": {"containers": "\ud800"}}}}])
def test_what_is_no_workload_breaks_nothing(raw: dict[str, Any]) -> None:
    assert template_hash(raw)
