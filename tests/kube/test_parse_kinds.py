"""Workloads, jobs, autoscalers, services, claims, nodes and kinds that devenv does not know, from a real cluster."""

from __future__ import annotations

import pytest

from devenv.backends.kube.events import parse_event
from devenv.backends.kube.fields import quantity
from devenv.backends.kube.parse import parse
from devenv.backends.kube.parse.infrastructure import endpoints_of
from devenv.backends.kube.parse.workload import scaling_of
from devenv.core.model import AutoscalerFacts, Health, PodFacts, Port, ScalingMetric, ServiceFacts, State, WorkloadFacts
from tests.kube.recorded_objects import one, parsed, recorded, shown

EVERY = {
    "pods": "Pod",
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
    "cronjobs": "CronJob",
    "hpa": "HorizontalPodAutoscaler",
    "services": "Service",
    "endpointslices": "EndpointSlice",
    "ingresses": "Ingress",
    "nodes": "Node",
    "pvc": "PersistentVolumeClaim",
    "pvs": "PersistentVolume",
    "quotas": "ResourceQuota",
}


@pytest.mark.parametrize(("file", "kind"), EVERY.items())
def test_each_kind_keeps_its_identity_and_survives_missing_parts(file: str, kind: str) -> None:
    for raw in recorded(file):
        found = parse(raw, kind, "minikube").resource
        assert found.key == f"kubernetes:{raw['metadata']['uid']}"
        assert (found.kind, found.name, found.context) == (kind.lower(), raw["metadata"]["name"], "minikube")
        assert parse({"metadata": raw["metadata"]}, kind, "minikube").resource.key == found.key
        for part in raw:
            assert parse({**raw, part: None}, kind, "minikube").resource.kind == found.kind


def test_a_rollout_that_does_not_advance_says_so() -> None:
    found = shown("deployments", "Deployment", "web")
    assert found.why == (
        'rollout: 1 of 2 updated; no progress for 60 s: ReplicaSet "web-87d86d459" has timed out progressing.'
    )
    assert (found.health, found.ready, dict(found.facts)["revision"]) == (Health.UNHEALTHY, (2, 2), "2")


def test_pods_that_cannot_be_made_are_said_once() -> None:
    found = parsed("deployments", "Deployment", "refused")
    assert 'serviceaccount "absent" not found' in found.resource.why
    assert found.explained_by == ()


def test_a_paused_rollout_and_one_under_way() -> None:
    raw = one("deployments", "web")
    raw["status"]["conditions"] = []
    assert parse(raw, "Deployment", "x").resource.why == "rollout: 1 of 2 updated"
    raw["spec"]["paused"] = True
    assert parse(raw, "Deployment", "x").resource.why == "rollout paused; rollout: 1 of 2 updated"
    assert parse(raw, "Deployment", "x").resource.state is State.PAUSED
    raw["spec"]["paused"] = False
    raw["status"] |= {"updatedReplicas": 2, "replicas": 3}
    assert parse(raw, "Deployment", "x").resource.why == "rollout: 1 of the old revision still to end"
    raw["status"] |= {"replicas": 2, "availableReplicas": 1, "readyReplicas": 1}
    assert parse(raw, "Deployment", "x").resource.why == "1 of 2 available"
    raw["metadata"]["generation"] = 99
    assert parse(raw, "Deployment", "x").resource.why == "the controller has not seen the newest change yet"


def test_what_is_short_of_ready_pods_says_so() -> None:
    raw = one("statefulsets", "store")
    raw["status"]["readyReplicas"] = 1
    assert parse(raw, "StatefulSet", "x").resource.why == "1 of 2 ready"
    raw["status"] |= {"updateRevision": "next", "updatedReplicas": 1}
    assert parse(raw, "StatefulSet", "x").resource.why == "rollout: 1 of 2 updated"
    agent = one("daemonsets", "agent")
    agent["status"]["numberReady"] = 0
    assert parse(agent, "DaemonSet", "x").resource.why == "0 of 1 nodes ready"


def test_scaled_to_zero_is_neither_healthy_nor_ill() -> None:
    raw = one("statefulsets", "store")
    raw["spec"]["replicas"], raw["status"] = 0, {"observedGeneration": 9}
    found = parse(raw, "StatefulSet", "x").resource
    assert (found.state, found.health, found.why, found.status) == (State.EXITED, Health.NONE, "", "scaled to 0")


def test_jobs_that_failed_worked_and_wait() -> None:
    failed, worked = shown("jobs", "Job", "fails"), shown("jobs", "Job", "works")
    assert failed.why == "Job has reached the specified backoff limit; 2 of its pods failed"
    assert (failed.state, failed.exit_code, failed.health) == (State.EXITED, 1, Health.UNHEALTHY)
    assert (worked.state, worked.exit_code, worked.ready) == (State.EXITED, 0, (1, 1))
    assert shown("cronjobs", "CronJob", "hourly").why == "suspended: makes no jobs"


def test_an_autoscaler_says_what_it_sees_and_what_hinders_it() -> None:
    raw = one("hpa", "web")
    scaling = scaling_of(raw, "key", 1.0)
    assert (scaling.current, scaling.desired, scaling.minimum, scaling.maximum) == (2, 2, 2, 3)
    assert scaling.metrics == (ScalingMetric("cpu", "%", 10.0, 70.0),)
    assert scaling.target == "Deployment/web"
    assert scaling.conditions[2][:3] == ("ScalingLimited", "True", "TooFewReplicas")
    assert shown("hpa", "HorizontalPodAutoscaler", "web").why == "held at its minimum"
    lost = shown("hpa", "HorizontalPodAutoscaler", "lost")
    assert lost.why.startswith("cannot scale: the HPA controller was unable to get the target's current scale")
    assert lost.health is Health.UNHEALTHY
    assert dict(lost.facts)["targets"] == "cpu: <unknown>/80%"


def test_an_autoscaler_at_its_maximum_that_needs_more_is_not_healthy() -> None:
    raw = one("hpa", "web")
    raw["status"] |= {"currentReplicas": 3, "desiredReplicas": 3}
    raw["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"] = 310
    raw["status"]["conditions"] = [
        {"type": "ScalingActive", "status": "True"},
        {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"},
    ]
    found = parse(raw, "HorizontalPodAutoscaler", "x").resource
    assert (found.health, found.why) == (Health.UNHEALTHY, "held at its maximum; cpu is at 310%, wanted is 70%")
    raw["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"] = 76
    found = parse(raw, "HorizontalPodAutoscaler", "x").resource
    assert (found.health, found.why) == (Health.HEALTHY, "held at its maximum"), "within the controller's tolerance"
    fresh = parse(raw | {"status": {}}, "HorizontalPodAutoscaler", "x").resource
    assert (fresh.health, fresh.why) == (Health.STARTING, "its controller has not looked at it yet")


@pytest.mark.parametrize(
    ("conditions", "leaving", "word"),
    [
        ((), False, "Running"),
        (("Complete", "SuccessCriteriaMet"), True, "Complete"),
        (("Failed", "FailureTarget"), True, "Failed"),
        (("Suspended",), True, "Terminating"),
        (("Suspended",), False, "Suspended"),
        (("FailureTarget",), False, "FailureTarget"),
        (("SuccessCriteriaMet",), False, "SuccessCriteriaMet"),
    ],
)
def test_a_job_has_kubectl_s_words(conditions: tuple[str, ...], leaving: bool, word: str) -> None:
    meta = {"name": "j", "uid": "u"} | ({"deletionTimestamp": "2026-11-01T00:00:00Z"} if leaving else {})
    status = {"conditions": [{"type": name, "status": "True"} for name in conditions]}
    assert parse({"metadata": meta, "status": status}, "Job", "x").resource.status == word


def test_other_kinds_have_kubectl_s_words() -> None:
    leaving = {"name": "n", "uid": "u", "deletionTimestamp": "2026-11-01T00:00:00Z"}
    node = parse({"metadata": leaving | {"labels": {"kubernetes.io/role": "gpu"}}}, "Node", "x").resource
    assert (node.status, dict(node.facts)["roles"]) == ("Unknown", "gpu"), "a node under deletion is told as it is"
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    node = parse({"metadata": leaving, "status": ready, "spec": {"unschedulable": True}}, "Node", "x").resource
    assert node.status == "Ready,SchedulingDisabled"
    claim = parse({"metadata": leaving, "status": {"phase": "Bound"}}, "PersistentVolumeClaim", "x").resource
    assert claim.status == "Terminating"
    ports = [{"port": 80, "targetPort": 8080, "nodePort": 30080, "protocol": "TCP"}]
    spec = {"type": "LoadBalancer", "ports": ports}
    waits = parse({"metadata": {"name": "n", "uid": "u"}, "spec": spec}, "Service", "x").resource
    assert dict(waits.facts) | {"external": "<pending>", "ports": "80:30080->8080"} == dict(waits.facts)
    served = parse({"metadata": {}, "spec": spec | {"externalIPs": ["10.1.2.3"]}}, "Service", "x").resource
    assert (dict(served.facts)["external"], served.why) == ("10.1.2.3", "")


def test_metrics_of_every_type_are_read() -> None:
    value = {"type": "AverageValue", "averageValue": "500m"}
    metrics = [
        {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": value}},
        {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "10"}}},
        {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "web", "target": value}},
    ]
    current = [{"type": "Pods", "pods": {"metric": {"name": "rps"}, "current": {"averageValue": "250m"}}}]
    scaling = scaling_of({"spec": {"metrics": metrics}, "status": {"currentMetrics": current}}, "key", 0.0)
    assert [(metric.name, metric.current, metric.target) for metric in scaling.metrics] == [
        ("rps", 0.25, 0.5),
        ("queue", None, 10.0),
        ("cpu (web)", None, 0.5),
    ]


def test_an_endpoint_slice_tells_ready_pods_from_others() -> None:
    found = endpoints_of(next(item for item in recorded("endpointslices") if item["endpoints"]))
    assert (found.service, len(found.ready), len(found.unready)) == ("web", 2, 1)
    assert all(key.startswith("kubernetes:") for key in found.ready)


def test_a_service_and_an_ingress_say_where_they_lead() -> None:
    service = shown("services", "Service", "web")
    assert service.ports == (Port(80, "tcp"),)
    assert dict(service.facts)["ports"] == "80->http"
    ingress = shown("ingresses", "Ingress", "web")
    assert ingress.service == "web"
    assert dict(ingress.facts)["paths"] == "web.records.localhost/ -> web:http"
    pending = parse({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}, "Service", "x").resource
    assert "minikube tunnel" in pending.why


def test_a_claim_without_a_volume_waits_and_events_say_why() -> None:
    found = parsed("pvc", "PersistentVolumeClaim", "nowhere")
    assert found.resource.why == "waits for a volume"
    assert "ProvisioningFailed" in found.explained_by
    assert dict(shown("pvc", "PersistentVolumeClaim", "data-store-0").facts)["capacity"] == "10Mi"
    assert dict(parse(recorded("pvs")[0], "PersistentVolume", "x").resource.facts)["reclaim"] == "Retain"


def test_a_node_says_pressure_cordon_and_silence() -> None:
    raw = recorded("nodes")[0]
    found = parse(raw, "Node", "x")
    assert (found.resource.health, found.resource.why) == (Health.HEALTHY, "")
    assert found.memory_limit == 24_581_684 * 1024
    raw["spec"]["unschedulable"] = True
    assert parse(raw, "Node", "x").resource.why == "cordoned: takes no new pods"
    raw["status"]["conditions"] = [
        {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."},
        {"type": "DiskPressure", "status": "True", "message": "kubelet has disk pressure"},
    ]
    told = parse(raw, "Node", "x").resource
    assert told.why.startswith("not ready: Kubelet stopped posting node status.; kubelet has disk pressure")
    assert told.state is State.UNKNOWN


def test_a_kind_of_others_is_judged_by_its_conditions() -> None:
    raw = {
        "metadata": {"name": "cert", "uid": "u", "generation": 2},
        "status": {"conditions": [{"type": "Ready", "status": "False", "message": "issuer not found"}]},
    }
    found = parse(raw, "Certificate", "x").resource
    assert (found.kind, found.health, found.why) == ("certificate", Health.UNHEALTHY, "Ready: issuer not found")
    raw["status"] = {"observedGeneration": 1}
    assert parse(raw, "Certificate", "x").resource.health is Health.STARTING


def test_of_a_secret_only_the_names_are_kept() -> None:
    raw = {"metadata": {"name": "s", "uid": "u"}, "type": "Opaque", "data": {"password": "aHVudGVyMg=="}}
    found = parse(raw, "Secret", "x").resource
    assert "aHVudGVyMg" not in repr(found)
    assert dict(found.facts) == {"keys": "password", "type": "Opaque"}


def test_events_of_both_kinds_of_recorders() -> None:
    told = {(item.name, item.slot): item for item in map(parse_event, recorded("events"))}
    probe = told["not-ready", "Unhealthy/web"]
    assert probe.words.startswith("readiness probe failed: Get ")
    assert probe.count > 100
    assert told["not-live", "Unhealthy/web"].words == "liveness probe failed: index is locked"
    silent = {"reason": "Unhealthy", "message": "Startup probe failed: ", "involvedObject": {}}
    assert parse_event(silent).words == "startup probe failed"
    scheduled = told["agent-znm4p", "Scheduled"].happening
    assert scheduled.at > 1_700_000_000, "eventTime where there is no lastTimestamp"
    assert dict(scheduled.attributes)["component"] == "default-scheduler"


@pytest.mark.parametrize(
    ("text", "value"),
    [("250m", 0.25), ("1Gi", 2.0**30), ("501239n", 0.000501239), ("2", 2.0), (3, 3.0), ("1e3", 1000.0), ("1k", 1e3)],
)
def test_quantities(text: object, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "much", None, [], "1Zi", True])
def test_what_is_no_quantity_is_none(text: object) -> None:
    assert quantity(text) is None


def test_what_code_decides_by_is_typed() -> None:
    meta = {"name": "web", "uid": "u", "annotations": {"deployment.kubernetes.io/revision": "12"}}
    assert parse({"metadata": meta, "spec": {"paused": True}}, "Deployment", "x").resource.kind_facts == WorkloadFacts(
        paused=True, revision=12
    )
    assert parse({"metadata": meta}, "ReplicaSet", "x").resource.kind_facts == WorkloadFacts(revision=12)
    owned = {"name": "p", "uid": "u", "ownerReferences": [{"kind": "Job", "name": "j", "uid": "v", "controller": True}]}
    placed = parse({"metadata": owned, "spec": {"nodeName": "n1"}}, "Pod", "x").resource
    assert placed.kind_facts == PodFacts("n1", "Job")
    led = parse({"metadata": meta, "spec": {"selector": {"app": "web"}}}, "Service", "x").resource
    assert led.kind_facts == ServiceFacts("app=web")
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3}
    scaler = parse({"metadata": meta, "spec": target}, "HorizontalPodAutoscaler", "x").resource
    assert scaler.kind_facts == AutoscalerFacts("Deployment", "web")
