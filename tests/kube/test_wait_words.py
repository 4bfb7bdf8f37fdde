"""What a pod or a workload waits for, in words, and how long that may last."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.backends.kube.pod import read_pod
from devenv.backends.kube.pod_start import Healing, creation_trouble, pod_trouble, stages_of
from devenv.backends.kube.workload import progress_of, read_workload
from devenv.control.kube.wait import Patience, RolloutView, StuckClock, WorkloadState

NO_SUCH_HOST = 'Head "https://registry.test/v2/web/manifests/2": dial tcp: lookup registry.test: no such host'


def pod(*states: dict[str, Any], phase: str = "Pending", scheduled: bool = True, **facts: Any) -> dict[str, Any]:
    conditions = [{"type": "PodScheduled", "status": "True"}] if scheduled else []
    return {
        "metadata": {"name": "web-1", "namespace": "shop", "creationTimestamp": "2026-11-23T19:35:32Z"},
        "spec": {"containers": [{"name": "web", "image": "web:2"}]},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": list(states), **facts},
    }


def waits(reason: str, message: str = "", restarts: int = 0, **rest: Any) -> dict[str, Any]:
    return {
        "name": "web",
        "restartCount": restarts,
        "state": {"waiting": {"reason": reason, "message": message}},
        **rest,
    }


ENDED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}


@pytest.mark.parametrize(
    ("item", "reason", "healing", "words"),
    [
        (pod(waits("InvalidImageName", "invalid reference format")), "InvalidImageName", Healing.NEVER, "web:2 cannot"),
        (pod(waits("ErrImageNeverPull")), "ErrImageNeverPull", Healing.NEVER, "web:2 cannot be used"),
        (pod(waits("ErrImagePull", "web:2: not found")), "ErrImagePull", Healing.NEVER, "cannot be pulled: web:2: not"),
        (pod(waits("ErrImagePull", "pull access denied")), "ErrImagePull", Healing.NEVER, "access denied"),
        (pod(waits("ImagePullBackOff", NO_SUCH_HOST)), "ImagePullBackOff", Healing.PULL, "no such host"),
        (pod(waits("ErrImagePull", "i/o timeout")), "ErrImagePull", Healing.PULL, "i/o timeout"),
        (
            pod(waits("CreateContainerConfigError", 'secret "database" not found')),
            *("CreateContainerConfigError", Healing.CONFIG, 'secret "database" not found'),
        ),
        (
            pod(waits("CrashLoopBackOff", restarts=3, lastState=ENDED), phase="Running"),
            *("CrashLoopBackOff", Healing.CRASH, "ended with exit code 137 (OOMKilled), restarted 3 times"),
        ),
        (
            pod({"name": "web", "restartCount": 0, "state": {"terminated": {"exitCode": 1}}}, phase="Running"),
            *("Error", Healing.CRASH, "ended with exit code 1"),
        ),
        (pod(waits("ContainerCreating")), "ContainerCreating", Healing.TIME, "are being created"),
        (pod(scheduled=False), "Pending", Healing.TIME, "waits for the scheduler"),
        (
            pod({"name": "web", "state": {"running": {}}}, phase="Running"),
            *("ContainersNotReady", Healing.TIME, "is not ready yet"),
        ),
        (pod(phase="Failed", reason="Evicted", message="low on memory"), "Evicted", Healing.TIME, "low on memory"),
    ],
)
def test_a_pods_trouble_is_told_with_what_waiting_can_do(
    item: dict[str, Any], reason: str, healing: Healing, words: str
) -> None:
    found = pod_trouble(read_pod(item))
    assert found is not None
    assert (found.reason, found.healing) == (reason, healing)
    assert words in found.text


def test_an_init_container_that_crashes_is_told() -> None:
    item = pod(
        waits("PodInitializing"), initContainerStatuses=[{**waits("CrashLoopBackOff", restarts=2), "name": "init"}]
    )
    found = pod_trouble(read_pod(item))
    assert found is not None
    assert found.healing is Healing.CRASH
    assert "container init" in found.text


def test_a_ready_pod_and_one_that_has_completed_have_no_trouble() -> None:
    ready = pod(phase="Running")
    ready["status"]["conditions"].append({"type": "Ready", "status": "True"})
    assert pod_trouble(read_pod(ready)) is None
    assert pod_trouble(read_pod(pod(phase="Succeeded"))) is None


def test_a_probe_that_fails_without_a_word_leaves_no_colon() -> None:
    item = pod({"name": "web", "state": {"running": {}}}, phase="Running")
    found = pod_trouble(
        read_pod(item), [{"type": "Warning", "reason": "Unhealthy", "message": "Readiness probe failed: "}]
    )
    assert found is not None
    assert found.text == "Readiness probe failed"


def test_messages_are_made_safe_and_passwords_are_hidden() -> None:
    found = pod_trouble(read_pod(pod(waits("ErrImagePull", "\x1b[31mpassword=hunter2 denied"))))
    assert found is not None
    assert "\x1b" not in found.text
    assert "hunter2" not in found.text


@pytest.mark.parametrize(
    ("message", "reason", "healing"),
    [
        ('pods "web-1" is forbidden: exceeded quota: q, requested: pods=1', "exceeded quota", Healing.QUOTA),
        ('pods "web-1" is forbidden: violates PodSecurity "restricted:latest"', "FailedCreate", Healing.NEVER),
        ('failed calling webhook "w": context deadline exceeded', "FailedCreate", Healing.CONFIG),
    ],
)
def test_a_pod_that_may_not_be_created_is_told(message: str, reason: str, healing: Healing) -> None:
    found = creation_trouble("web-abc", {"reason": "FailedCreate", "message": message})
    assert (found.reason, found.healing) == (reason, healing)


def state(*troubles: Any) -> WorkloadState:
    return WorkloadState("deployment", "shop", "web", False, troubles=troubles)


def test_a_trouble_has_its_time_and_begins_anew_when_it_comes_again() -> None:
    trouble = pod_trouble(read_pod(pod(waits("ErrImagePull", NO_SUCH_HOST))))
    clock = StuckClock(Patience(pull=10))
    assert clock.look([state(trouble)], 100.0) is None
    assert clock.look([state(trouble)], 109.0) is None
    assert clock.look([state()], 109.5) is None
    assert clock.look([state(trouble)], 110.0) is None
    found = clock.look([state(trouble)], 120.0)
    assert found is not None
    assert (found.workload, found.subject, found.seconds) == ("deployment/web", "web-1", 10.0)


def test_two_names_of_one_trouble_share_their_time() -> None:
    clock = StuckClock(Patience(pull=10))
    first = pod_trouble(read_pod(pod(waits("ErrImagePull", NO_SUCH_HOST))))
    second = pod_trouble(read_pod(pod(waits("ImagePullBackOff", NO_SUCH_HOST))))
    assert clock.look([state(first)], 100.0) is None
    assert clock.look([state(second)], 110.0) is not None


def test_a_crash_is_stuck_by_its_restarts_and_a_quota_waits_for_pods_that_go() -> None:
    clock = StuckClock(Patience(crash_restarts=2, quota=0))
    once = pod_trouble(read_pod(pod(waits("CrashLoopBackOff", restarts=1))))
    assert clock.look([state(once)], 0.0) is None
    assert clock.look([state(pod_trouble(read_pod(pod(waits("CrashLoopBackOff", restarts=2)))))], 1.0) is not None
    quota = creation_trouble("web-abc", {"message": "exceeded quota"})
    assert clock.look([state(quota)], 2.0, lambda namespace: namespace == "shop") is None
    assert clock.look([state(quota)], 2.0) is not None


@pytest.mark.parametrize(
    ("kind", "spec", "status", "done", "words"),
    [
        ("deployment", {"replicas": 2}, {"observedGeneration": 1}, False, "has not seen the change yet"),
        ("deployment", {"replicas": 2}, {"updatedReplicas": 1}, False, "1 of 2 new pods are there"),
        ("deployment", {"replicas": 1}, {"updatedReplicas": 1, "replicas": 2}, False, "1 old pod is still there"),
        ("deployment", {"replicas": 0}, {}, True, ""),
        (
            *("deployment", {"minReadySeconds": 5}, {"updatedReplicas": 1, "replicas": 1, "readyReplicas": 1}, False),
            "0 of 1 new pods are available, once they were ready for 5 s (minReadySeconds)",
        ),
        (
            *("statefulset", {"replicas": 2}, {"readyReplicas": 2, "updatedReplicas": 1, "updateRevision": "b"}, False),
            "1 of 2 pods are updated",
        ),
        (
            "statefulset",
            {"replicas": 2, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
            {"readyReplicas": 2, "availableReplicas": 2, "updatedReplicas": 1, "updateRevision": "b"},
            *(True, ""),
        ),
        (
            "statefulset",
            {"updateStrategy": {"type": "OnDelete"}},
            {"readyReplicas": 1, "updateRevision": "b"},
            True,
            "",
        ),
        ("daemonset", {}, {"desiredNumberScheduled": 3, "updatedNumberScheduled": 1}, False, "1 of 3 pods are updated"),
        ("daemonset", {}, {"desiredNumberScheduled": 0}, True, ""),
        ("job", {"completions": 3}, {"succeeded": 1}, False, "1 of 3 have completed"),
        ("job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}, True, ""),
        ("configmap", {}, {}, True, ""),
    ],
)
def test_a_workload_is_rolled_out_as_kubectl_says(
    kind: str, spec: dict[str, Any], status: dict[str, Any], done: bool, words: str
) -> None:
    item = {"metadata": {"name": "web", "generation": 2}, "spec": spec, "status": {"observedGeneration": 2, **status}}
    found = progress_of(read_workload(kind, item))
    assert found.done is done
    assert words in found.words


def test_a_failed_job_is_stuck_with_its_reason() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "it failed too often"}
    view = RolloutView((("job", "shop", "once"),))
    view.put("job", {"metadata": {"name": "once", "namespace": "shop"}, "spec": {}, "status": {"conditions": [failed]}})
    found = StuckClock(Patience()).look(view.states(), 0.0)
    assert str(found) == "job/once: BackoffLimitExceeded, it failed too often"


def test_the_stages_of_a_recorded_pod() -> None:
    """From a kubelet of Kubernetes 1.36.2: whole seconds, `Pulled` also for an image that was there."""
    item = pod(
        {
            "name": "web",
            "restartCount": 0,
            "imageID": "ghcr.io/docsearch/backend@sha256:cf9073fe",
            "state": {"running": {"startedAt": "2026-11-23T19:35:36Z"}},
        },
        conditions=[
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T19:35:37Z"},
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-23T19:35:32Z"},
        ],
    )
    pulled = {"reason": "Pulled", "firstTimestamp": "2026-11-23T19:35:35Z", "eventTime": None}
    found = stages_of(read_pod(item), [pulled], "deployment/web")
    assert found.seconds == {"scheduled": 0, "pulled": 3, "started": 4, "ready": 5}
    assert found.digests == {"web": "sha256:cf9073fe"}


def test_what_went_wrong_before_the_wait_is_not_of_this_rollout() -> None:
    overdue = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    status = {"replicas": 1, "updatedReplicas": 1, "conditions": [{**overdue, "lastTransitionTime": "10:00"}]}
    about = {"name": "web", "namespace": "shop", "uid": "d1"}
    owner = [{"uid": "r1", "controller": True}]
    replica_set = {
        "name": "web-1",
        "namespace": "shop",
        "uid": "r1",
        "ownerReferences": [{"uid": "d1", "controller": True}],
    }
    old = pod(waits("CrashLoopBackOff", restarts=7, lastState=ENDED), phase="Running")
    old["metadata"] |= {"uid": "p1", "ownerReferences": owner}
    view, clock = RolloutView((("deployment", "shop", "web"),)), StuckClock(Patience())
    view.put("deployment", {"metadata": about, "spec": {}, "status": status})
    view.put("replicaset", {"metadata": replica_set, "spec": {}, "status": {"replicas": 1}})
    view.put("pod", old)
    without = RolloutView(view.workloads, after_change=False)
    for kind, item in (("deployment", {"metadata": about, "spec": {}, "status": status}), ("pod", old)):
        without.put(kind, item)
    found = StuckClock(Patience()).look(without.states(), 0.0)
    assert found is not None
    assert found.reason == "ProgressDeadlineExceeded"
    assert clock.look(view.states(), 0.0) is None
    assert "restarted 7 times" in view.states()[0].waits
    old["status"]["containerStatuses"][0]["restartCount"] = 9
    view.put("pod", old)
    found = clock.look(view.states(), 1.0)
    assert found is not None
    assert found.reason == "CrashLoopBackOff"
    status["conditions"] = [{**overdue, "lastTransitionTime": "10:09"}]
    view.put("deployment", {"metadata": about, "spec": {}, "status": status})
    found = clock.look(view.states(), 2.0)
    assert found is not None
    assert found.reason == "ProgressDeadlineExceeded"


def test_an_old_pod_that_stays_is_not_confused_with_the_new_one_that_holds_it() -> None:
    def replica_set(name: str, image: str) -> dict[str, Any]:
        about = {"name": name, "namespace": "shop", "uid": name, "ownerReferences": [{"uid": "d1", "controller": True}]}
        template = {"spec": {"containers": [{"name": "web", "image": image}]}}
        return {"metadata": about, "spec": {"template": template}, "status": {"replicas": 1}}

    new, old = replica_set("web-2", "web:2"), replica_set("web-1", "web:1")
    about = {"name": "web", "namespace": "shop", "uid": "d1"}
    status = {"replicas": 2, "updatedReplicas": 1}
    fresh = pod(waits("ErrImagePull", message="manifest unknown"), phase="Pending")
    fresh["metadata"] |= {"name": "web-2-x", "uid": "p2", "ownerReferences": [{"uid": "web-2", "controller": True}]}
    view = RolloutView((("deployment", "shop", "web"),))
    view.put("deployment", {"metadata": about, "spec": new["spec"], "status": status})
    for item in (new, old):
        view.put("replicaset", item)
    view.put("pod", fresh)
    assert view.states()[0].waits.startswith("1 old pod is still there; the new web-2-x: ErrImagePull, image ")
