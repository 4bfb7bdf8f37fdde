"""Waiting for rollouts against the API server in this process, whose controllers behave as the cluster's do."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden
from devenv.control.kube.wait import Patience, Waiting, WaitResult, look, wait_for
from fakes.api_server import ApiServer, deployment, template

WEB = (("deployment", "default", "web"),)
QUICK = Patience(timeout=10, pull=0.3, config=0.3, schedule=0.3, quota=0.3)


def rolled_out(api: ApiServer, **facts: Any) -> None:
    api.controllers.rollout(deployment("web", **facts))


def change_image(api: ApiServer, image: str) -> None:
    containers = [{"name": "main", "image": image, "ports": [{"containerPort": 8080}]}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    content = api.get("deployments", "web")
    assert content is not None
    api.change("deployments", "web", {**patch, "metadata": {"generation": content["metadata"]["generation"] + 1}})


def test_a_new_deployment_is_waited_for_until_its_pods_are_ready(api: ApiServer, client: KubeClient) -> None:
    api.put({**deployment("web", replicas=2), "metadata": {**deployment("web")["metadata"], "generation": 1}})
    told: list[Waiting] = []

    def report(waiting: Waiting) -> None:
        if not told:  # once it is waited for: the first lists take longer than a rollout here
            api.controllers.start(pace=0.02)
        told.append(waiting)

    outcome = wait_for(client, WEB, QUICK, report=report)
    api.controllers.stop()
    assert outcome.done
    assert outcome.reason == ""
    assert [pod.workload for pod in outcome.pods] == ["deployment/web"] * 2
    assert all(set(pod.seconds) == {"scheduled", "pulled", "started", "ready"} for pod in outcome.pods)
    assert any("new pods" in words for waiting in told for words in waiting.words)


def test_a_changed_template_waits_for_the_new_pods_and_the_end_of_the_old(live: ApiServer, client: KubeClient) -> None:
    rolled_out(live, replicas=2)
    change_image(live, "web:2")
    outcome = wait_for(client, WEB, QUICK)
    assert outcome.done
    sets = {item["spec"]["template"]["spec"]["containers"][0]["image"]: item for item in live.objects("replicasets")}
    assert sets["web:1"]["status"]["replicas"] == 0
    assert {pod.name for pod in outcome.pods} == {
        item["metadata"]["name"]
        for item in live.objects("pods")
        if item["spec"]["containers"][0]["image"] == "web:2" and "deletionTimestamp" not in item["metadata"]
    }


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", r"ErrImagePull|ImagePullBackOff"),
        ("crash", r"CrashLoopBackOff|Error"),
        ("unschedulable", "Unschedulable"),
    ],
)
def test_what_cannot_heal_ends_the_wait_early(live: ApiServer, client: KubeClient, behaviour: str, reason: str) -> None:
    rolled_out(live)
    live.controllers.behave("web:2", behaviour)
    change_image(live, "web:2")
    outcome = wait_for(client, WEB, QUICK)
    assert not outcome.done
    assert outcome.stuck is not None
    assert re.search(reason, outcome.stuck.reason)
    assert outcome.stuck.workload == "deployment/web"
    assert outcome.seconds < QUICK.timeout / 2


def test_an_exceeded_quota_ends_the_wait_early(live: ApiServer, client: KubeClient) -> None:
    rolled_out(live)
    live.controllers.quota["default"] = 1
    change_image(live, "web:2")
    outcome = wait_for(client, WEB, QUICK)
    assert outcome.stuck is not None
    assert outcome.stuck.reason == "exceeded quota"
    assert "used: pods=1, limited: pods=1" in outcome.reason


def test_only_the_new_revision_is_judged(live: ApiServer, client: KubeClient) -> None:
    live.controllers.behave("web:1", "crash")
    live.put(deployment("web"))
    stuck = wait_for(client, WEB, QUICK)
    assert stuck.stuck is not None
    change_image(live, "web:2")
    assert wait_for(client, WEB, QUICK).done


def test_without_a_trouble_the_deadline_ends_it_with_what_it_waited_for(live: ApiServer, client: KubeClient) -> None:
    live.controllers.behave("web:1", "unready")
    live.put(deployment("web"))
    outcome = wait_for(client, WEB, Patience(timeout=1.5))
    assert (outcome.done, outcome.stuck) == (False, None)
    assert "not rolled out within" in outcome.reason
    assert "Readiness probe failed: HTTP probe failed with statuscode: 503" in outcome.reason


def test_the_progress_deadline_of_the_deployment_ends_it(live: ApiServer, client: KubeClient) -> None:
    live.controllers.behave("web:1", "never-starts")
    content = deployment("web")
    content["spec"]["progressDeadlineSeconds"] = 1
    live.put(content)
    outcome = wait_for(client, WEB, QUICK)
    assert outcome.stuck is not None
    assert outcome.stuck.reason == "ProgressDeadlineExceeded"


def test_a_deadline_is_told_with_what_the_pods_waited_for(live: ApiServer, client: KubeClient) -> None:
    live.controllers.behave("web:1", "unready")
    content = deployment("web")
    content["spec"]["progressDeadlineSeconds"] = 1
    live.put(content)
    outcome = wait_for(client, WEB, QUICK)
    assert outcome.stuck is not None
    assert "nothing moved within its progressDeadlineSeconds (1 s); web-" in outcome.reason
    assert "Readiness probe failed: HTTP probe failed with statuscode: 503" in outcome.reason


def test_a_node_that_an_autoscaler_brings_is_waited_for(live: ApiServer, client: KubeClient) -> None:
    live.controllers.behave("web:1", "unschedulable")
    live.put(deployment("web"))
    pod = until(lambda: next(iter(live.objects("pods")), None))
    live.controllers.tell(pod, "TriggeredScaleUp", "pod triggered scale-up: 1->2", component="cluster-autoscaler")
    outcome = wait_for(client, WEB, Patience(timeout=1.5, schedule=0.3))
    assert outcome.stuck is None
    assert "a node is being added" in outcome.reason


def test_stateful_sets_daemon_sets_and_jobs_are_waited_for(live: ApiServer, client: KubeClient) -> None:
    spec = {"selector": {"matchLabels": {"app": "store"}}, "template": template("store", "store:1")}
    about = {"namespace": "default", "generation": 1}
    live.put(
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "store", **about}, "spec": spec},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", **about}, "spec": spec},
    )
    job = template("once", "once:1")
    job["spec"]["restartPolicy"] = "Never"
    live.put(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", **about}, "spec": {"template": job}}
    )
    wanted = (("statefulset", "default", "store"), ("daemonset", "default", "agent"), ("job", "default", "once"))
    outcome = wait_for(client, wanted, QUICK)
    assert outcome.done, outcome.reason


def test_an_account_that_may_not_read_events_waits_with_less_to_say(live: ApiServer, client: KubeClient) -> None:
    live.faults.forbidden.add("events")
    live.put(deployment("web"))
    outcome = wait_for(client, WEB, QUICK)
    assert outcome.done
    assert [text for text in outcome.limits if text.startswith("events cannot be read")]


def test_an_account_that_may_not_read_the_workloads_is_told_so(live: ApiServer, client: KubeClient) -> None:
    live.faults.forbidden.add("deployments")
    with pytest.raises(Forbidden, match="deployments"):
        wait_for(client, WEB, QUICK)


def test_a_server_that_comes_back_is_waited_for(live: ApiServer, client: KubeClient) -> None:
    live.controllers.behave("web:1", "unready")
    live.put(deployment("web"))
    seen = threading.Event()
    result: list[WaitResult] = []
    patience = Patience(timeout=30)
    thread = threading.Thread(
        target=lambda: result.append(wait_for(client, WEB, patience, report=lambda _: seen.set()))
    )
    thread.start()
    assert seen.wait(10)
    live.stop()
    live.controllers.behave("web:1", "ok")
    live.start()
    thread.join(20)
    assert result[0].done, result[0].reason


def test_a_server_that_stays_away_is_no_verdict(live: ApiServer, client: KubeClient) -> None:
    live.controllers.behave("web:1", "unready")
    live.put(deployment("web"))
    seen = threading.Event()

    def away(_: Waiting) -> None:
        if not seen.is_set():
            seen.set()
            live.stop()

    outcome = wait_for(client, WEB, Patience(timeout=2), report=away)
    assert (outcome.done, outcome.stuck) == (False, None)
    assert "could not be asked any more" in outcome.reason


def test_a_paused_deployment_never_rolls_out(live: ApiServer, client: KubeClient) -> None:
    rolled_out(live)
    live.change("deployments", "web", {"spec": {"paused": True}})
    outcome = wait_for(client, WEB, QUICK)
    assert outcome.stuck is not None
    assert outcome.stuck.reason == "Paused"


def test_look_returns_what_is_there_without_waiting(live: ApiServer, client: KubeClient) -> None:
    rolled_out(live)
    live.controllers.behave("web:2", "missing")
    change_image(live, "web:2")
    until(lambda: len(live.objects("replicasets")) == 2)
    began = time.monotonic()
    seen = look(client, (*WEB, ("deployment", "default", "absent")))
    assert time.monotonic() - began < 20
    assert [state.done for state in seen.states] == [False, False]
    assert list(seen.objects) == [WEB[0]]


def until(probe: Callable[[], Any], timeout: float = 5.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := probe()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found
