"""Starting, stopping, rolling and draining: the figures of different objects that must fit each other."""

from __future__ import annotations

from k8s_rendering import Object, Rendering, container, cpu, mebibytes

PROBES = {
    "livenessProbe": ("/health", {"initialDelaySeconds": 30, "periodSeconds": 10, "failureThreshold": 3}),
    "readinessProbe": ("/ready", {"initialDelaySeconds": 5, "periodSeconds": 5, "failureThreshold": 3}),
}


def test_probes_are_the_ones_asked_for(rendered: Rendering) -> None:
    for deployment in rendered.all("Deployment"):
        first = container(deployment["spec"])
        for name, (path, figures) in PROBES.items():
            assert first[name]["httpGet"] == {"path": path, "port": "http"}
            assert figures.items() <= first[name].items()
        assert first["startupProbe"]["httpGet"]["path"] == "/health"
        assert first["startupProbe"]["periodSeconds"] * first["startupProbe"]["failureThreshold"] >= 60


def test_readiness_waits_longer_than_the_service_does(rendered: Rendering) -> None:
    """The backend gives its store 2 s, the frontend gives the backend 1.5 s: a shorter probe would lose the reason."""
    for deployment in rendered.all("Deployment"):
        assert container(deployment["spec"])["readinessProbe"]["timeoutSeconds"] > 2


def test_grace_period_holds_the_sleep_the_drain_and_the_shutdown(rendered: Rendering) -> None:
    for deployment in rendered.all("Deployment"):
        sleep = container(deployment["spec"])["lifecycle"]["preStop"]["sleep"]["seconds"]
        config = rendered.config(deployment)
        drain, shutdown = int(config.get("DRAIN_TIMEOUT", 0)), int(config["SHUTDOWN_TIMEOUT"])
        assert sleep >= 5
        assert sleep + drain + shutdown + 5 <= deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def test_a_backend_that_rolls_drains_longer_than_idle_connections_live(rendered: Rendering) -> None:
    """The frontend keeps an idle connection to the backend for 4 s; a backend that is alone is recreated at once."""
    backend = rendered.one("Deployment", "backend")
    drain = int(rendered.config(backend).get("DRAIN_TIMEOUT", 0))
    assert drain > 4 if backend["spec"]["strategy"]["type"] == "RollingUpdate" else drain == 0


def test_a_drain_may_always_take_one(rendered: Rendering) -> None:
    budgets = {str(item["spec"]["selector"]): item["spec"] for item in rendered.all("PodDisruptionBudget")}
    for workload in rendered.workloads():
        budget = budgets.pop(str(workload["spec"]["selector"]))
        assert budget["maxUnavailable"] == 1
        assert "minAvailable" not in budget
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert not budgets


def test_quota_holds_the_largest_rollout(rendered: Rendering) -> None:
    """At the autoscaler's maximum, with a surge pod and one that still terminates in every Deployment."""
    need = dict.fromkeys(("requests.cpu", "requests.memory", "limits.cpu", "limits.memory", "pods"), 0.0)
    scaler = rendered.one("HorizontalPodAutoscaler", "frontend")["spec"]
    for workload in rendered.workloads():
        count = scaler["maxReplicas"] if workload["metadata"]["name"] == "frontend" else workload["spec"]["replicas"]
        count += 2
        for kind in ("requests", "limits"):
            values = container(workload["spec"])["resources"][kind]
            need[f"{kind}.cpu"] += count * cpu(values["cpu"])
            need[f"{kind}.memory"] += count * mebibytes(values["memory"])
        need["pods"] += count
    hard = rendered.one("ResourceQuota", "docsearch")["spec"]["hard"]
    have = {key: mebibytes(hard[key]) if key.endswith("memory") else cpu(hard[key]) for key in need}
    assert {key: (need[key], have[key]) for key in need if need[key] > have[key]} == {}


def test_no_container_is_larger_than_the_limit_range_allows(rendered: Rendering) -> None:
    (entry,) = rendered.one("LimitRange", "docsearch")["spec"]["limits"]
    for workload in rendered.workloads():
        limits = container(workload["spec"])["resources"]["limits"]
        assert cpu(limits["cpu"]) <= cpu(entry["max"]["cpu"])
        assert mebibytes(limits["memory"]) <= mebibytes(entry["max"]["memory"])


def test_pods_are_closed(rendered: Rendering) -> None:
    for workload in rendered.workloads():
        pod: Object = workload["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["serviceAccountName"] == workload["metadata"]["name"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert rendered.one("ServiceAccount", pod["serviceAccountName"])["automountServiceAccountToken"] is False
        assert rendered.one("PriorityClass", pod["priorityClassName"])["preemptionPolicy"] == "Never"
        assert {item["whenUnsatisfiable"] for item in pod["topologySpreadConstraints"]} == {"ScheduleAnyway"}


def test_namespace_states_the_level_and_its_version(rendered: Rendering) -> None:
    labels = rendered.one("Namespace", "docsearch")["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"]
