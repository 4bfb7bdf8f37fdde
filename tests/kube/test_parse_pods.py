"""A pod's state, health and why in words, from pods that a real kubelet and scheduler wrote."""

from __future__ import annotations

import json

import pytest

from devenv.backends.kube.parse import PAGES, parse
from devenv.core.decode import from_json
from devenv.core.model import Health, Resource, State
from tests.kube.recorded_objects import one, parsed, recorded, shown


def pod(name: str) -> Resource:
    return shown("pods", "Pod", name)


@pytest.mark.parametrize(
    ("name", "state", "health", "why"),
    [
        (
            "crash-loop",
            State.RESTARTING,
            Health.UNHEALTHY,
            "web: crash loop, exit code 3, restarted 7 times, next start within 5m0s",
        ),
        (
            "out-of-memory",
            State.RESTARTING,
            Health.UNHEALTHY,
            "web: crash loop, out of memory, exit code 137, restarted 7 times, next start within 5m0s",
        ),
        (
            "not-live",
            State.RESTARTING,
            Health.UNHEALTHY,
            "web: crash loop, exit code 137 (SIGKILL), restarted 9 times, next start within 5m0s",
        ),
        (
            "init-fails",
            State.RESTARTING,
            Health.UNHEALTHY,
            "init container migrate: crash loop, exit code 7, restarted 7 times, next start within 5m0s",
        ),
        ("not-ready", State.RUNNING, Health.STARTING, "web is not ready"),
        (
            "not-started",
            State.RUNNING,
            Health.STARTING,
            "web has not passed its startup probe; restarted once, last exit code 137 (SIGKILL)",
        ),
        (
            "no-config",
            State.CREATED,
            Health.UNHEALTHY,
            'web: its configuration is incomplete (CreateContainerConfigError): configmap "absent" not found',
        ),
        ("no-volume", State.CREATED, Health.STARTING, "being created"),
        (
            "gated",
            State.RUNNING,
            Health.STARTING,
            "waits for a readiness gate: corresponding condition of pod readiness gate "
            '"example.com/balanced" does not exist.',
        ),
        (
            "evicted",
            State.EXITED,
            Health.NONE,
            'evicted: Usage of EmptyDir volume "scratch" exceeds the limit "1Mi".',
        ),
        (
            "late",
            State.EXITED,
            Health.NONE,
            "DeadlineExceeded: Pod was active on the node longer than the specified deadline; "
            "web: exit code 137 (SIGKILL)",
        ),
        (
            "held",
            State.REMOVING,
            Health.NONE,
            "kept by the finalizer example.com/hold; web: exit code 137 (SIGKILL)",
        ),
        ("done", State.EXITED, Health.NONE, ""),
        ("sidecar", State.RUNNING, Health.HEALTHY, ""),
    ],
)
def test_why_a_pod_is_as_it_is(name: str, state: State, health: Health, why: str) -> None:
    found = pod(name)
    assert (found.state, found.health, found.why) == (state, health, why)


def test_an_image_that_cannot_be_pulled_says_which_and_why() -> None:
    found = pod("image-pull")
    assert found.health is Health.UNHEALTHY
    assert found.why.startswith("web: its image cannot be pulled (ImagePullBackOff): Back-off pulling image")
    assert "no such host" in found.why
    assert found.error == found.why


def test_the_scheduler_says_why_a_pod_has_no_node() -> None:
    found = pod("unschedulable")
    assert found.why.startswith("not scheduled: 0/1 nodes are available: 1 Insufficient cpu.")
    assert found.health is Health.UNHEALTHY


def test_an_absent_configuration_or_a_probe_is_explained_by_events_alone_where_the_pod_cannot() -> None:
    assert parsed("pods", "Pod", "not-ready").explained_by == ("Unhealthy/web",)
    assert "FailedMount" in parsed("pods", "Pod", "no-volume").explained_by
    assert parsed("pods", "Pod", "sidecar").explained_by == ()
    assert parsed("pods", "Pod", "no-config").explained_by == ()


def test_sidecars_count_as_containers_and_init_containers_do_not() -> None:
    assert pod("sidecar").ready == (2, 2)
    assert pod("init-fails").ready == (1, 2)
    assert dict(pod("sidecar").facts)["init containers"] == "proxy"


def test_exit_codes_restarts_and_out_of_memory() -> None:
    assert pod("out-of-memory").oom_killed
    assert (pod("crash-loop").exit_code, pod("crash-loop").restarts) == (3, 7)
    assert pod("init-fails").restarts == 7
    assert (pod("done").exit_code, pod("sidecar").exit_code) == (0, None)


def test_a_pod_belongs_to_the_workload_whose_replica_set_made_it() -> None:
    assert pod("web-78766b6f6f-2cz54").service == "web"
    assert pod("store-0").service == "store"
    assert pod("fails-bmjzs").service == "fails"
    assert pod("sidecar").service == "sidecar", "by its name label"
    assert pod("gated").service == ""


def test_facts_are_what_a_table_shows() -> None:
    facts = dict(pod("web-78766b6f6f-2cz54").facts)
    assert facts["node"] == "node-1"
    assert facts["cpu request"] == "10m"
    assert facts["memory request"] == "16 MiB"
    assert facts["controlled by"] == "ReplicaSet/web-78766b6f6f"
    assert dict(pod("store-0").facts)["claims"] == "data-store-0"
    assert parsed("pods", "Pod", "out-of-memory").memory_limit == 24 << 20
    assert parsed("pods", "Pod", "web-78766b6f6f-2cz54").memory_limit is None


def test_a_pod_that_was_ready_and_is_not_any_more_is_unhealthy() -> None:
    raw = one("pods", "web-78766b6f6f-2cz54")
    raw["status"]["containerStatuses"][0]["ready"] = False
    for condition in raw["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition |= {"status": "False", "lastTransitionTime": "2026-11-23T23:00:00Z"}
    found = parse(raw, "Pod", "minikube").resource
    assert (found.health, found.why) == (Health.UNHEALTHY, "web is not ready")


@pytest.mark.parametrize("part", ["metadata", "spec", "status"])
@pytest.mark.parametrize("value", [None, [], "text", 7])
def test_an_object_with_a_part_that_is_not_one_is_still_shown(part: str, value: object) -> None:
    for raw in recorded("pods"):
        found = parse({**raw, part: value}, "Pod", "minikube").resource
        assert found.kind == "pod"


def test_outside_text_is_made_safe() -> None:
    raw = one("pods", "no-config")
    raw["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = "\x1b]0;owned\x07 red\x1b[31m"
    assert "\x1b" not in parse(raw, "Pod", "minikube").resource.why


def test_a_page_has_all_that_is_read_of_a_pod_and_not_the_rest() -> None:
    whole = recorded("pods")
    items = from_json(json.dumps({"items": whole}), PAGES["Pod"])["items"]
    assert [parse(item, "Pod", "minikube") for item in items] == [parse(item, "Pod", "minikube") for item in whole]
    assert "tolerations" in json.dumps(whole)
    assert "tolerations" not in json.dumps(items)
