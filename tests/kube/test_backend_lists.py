"""What is on screen is read and kept up to date, joined over all lists."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.backends.kube.cache import Cache
from devenv.backends.kube.errors import NotFound
from devenv.backends.kube.kinds import CONFIG_MAPS, DEPLOYMENTS, PODS, Kind
from devenv.backends.kube.kubeconfig import ContextInfo, Target
from devenv.core.model import Health, Scaling, Seen, State
from fakes.api_server import ApiServer, deployment, event, owner_reference, pod, waiting
from tests.kube.watching import watching

Environ = dict[str, str]


def replica_set(name: str, owner: dict[str, object]) -> dict[str, object]:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "labels": {"pod-template-hash": name.rpartition("-")[2]},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {"replicas": 2},
        "status": {"replicas": 2, "readyReplicas": 1},
    }


def test_pods_of_many_pages_are_shown_and_followed(
    api: ApiServer, target: Target, environ: Environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[dict[str, Any]] = []
    page = Cache.page

    def noted(cache: Cache, kind: Kind, items: list[dict[str, Any]]) -> None:
        read.extend(items if kind is PODS else ())
        page(cache, kind, items)

    monkeypatch.setattr(Cache, "page", noted)
    api.put(*(pod(f"web-{number}") for number in range(1_100)))
    with watching(target, environ) as seen:
        seen.until(lambda: len(seen.names()) == 1_100)
        api.put(pod("late"))
        seen.until(lambda: "late" in seen.names())
        api.delete("pods", "web-7")
        seen.until(lambda: "web-7" not in seen.names())
        assert len(seen.names()) == 1_100
        assert api.count("GET", "/pods") == 3, "pages of 500"
    assert len(read) == 1_100, "and of each only what is shown"
    assert not any("kind" in item or "resourceVersion" in item["metadata"] for item in read)


def test_it_is_live_when_every_list_is_there(api: ApiServer, target: Target, environ: Environ) -> None:
    api.faults.slow = 0.2
    api.put(pod("web-1"))
    with watching(target, environ) as seen:
        assert seen.names("node") == {"minikube"}
        assert seen.names() == {"web-1"}
        assert seen.states() in (["connecting", "live"], ["live"])


def test_only_what_is_on_screen_is_watched(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"), deployment("web"))
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        assert api.count("", "/deployments") == 0
        seen.backend.watch_kinds((DEPLOYMENTS,), "default")
        seen.until(lambda: seen.names("deployment") == {"web"} and not seen.names())
        seen.until(lambda: api.watches.count("pods") == 0)


def test_a_namespace_is_left_behind_with_all_that_was_in_it(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"), pod("db-1", namespace="other"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        nodes = api.count("GET", "/nodes")
        seen.backend.switch(Target(target.context, "other"))
        seen.until(lambda: seen.names() == {"db-1"})
        assert api.count("GET", "/nodes") == nodes, "nodes are in no namespace"
        seen.backend.watch_kinds(seen.backend.kinds, None)
        seen.until(lambda: seen.names() == {"web-1", "db-1"})


def test_another_context_takes_the_place_of_the_first(
    api: ApiServer, target: Target, environ: Environ, tmp_path_factory: pytest.TempPathFactory
) -> None:
    api.put(pod("web-1"))
    with ApiServer() as second:
        second.put(pod("other-1"))
        path = second.kubeconfig(tmp_path_factory.mktemp("second") / "config", context="kind-second")
        environ["KUBECONFIG"] += f":{path}"
        with watching(target, environ) as seen:
            seen.until(lambda: seen.names() == {"web-1"})
            seen.backend.switch(Target(ContextInfo("kind-second", server=second.url), "default"))
            assert seen.backend.name == "kubernetes/kind-second"
            seen.until(lambda: seen.names() == {"other-1"} and seen.state == "live")
            assert {r.context for r in seen.store.resources.values()} == {"kind-second"}
            seen.until(lambda: api.watches.count() == 0)


def test_a_workload_says_which_pod_holds_it_back(api: ApiServer, target: Target, environ: Environ) -> None:
    owner = api.put(deployment("web", replicas=2))
    owner = api.change("deployments", "web", {"status": {"observedGeneration": 9, "replicas": 2, "readyReplicas": 1}})
    owned = api.put(replica_set("web-abc", owner))
    with watching(target, environ) as seen:
        bad = pod("web-abc-2", owner=owned, labels={"pod-template-hash": "abc"})
        bad["status"] = {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [waiting("main", "web:1", "ErrImagePull", "no such tag")],
        }
        api.put(pod("web-abc-1", owner=owned, labels={"pod-template-hash": "abc"}), bad)
        seen.until(lambda: "web-abc-2" in seen.why("deployment", "web"))
        shown = seen.named("deployment", "web")
        assert "1 pod waits: web-abc-2: main: its image cannot be pulled (ErrImagePull): no such tag" in shown.why
        assert shown.health is Health.UNHEALTHY
        assert seen.named("pod", "web-abc-2").service == "web"
        api.put(pod("web-abc-2", owner=owned, labels={"pod-template-hash": "abc"}))
        seen.until(lambda: "web-abc-2" not in seen.why("deployment", "web"))
        assert seen.named("replicaset", "web-abc").why == ""


def test_a_probe_is_explained_by_its_event(api: ApiServer, target: Target, environ: Environ) -> None:
    slow = pod("web-1")
    slow["status"]["containerStatuses"][0]["ready"] = False
    slow["status"]["conditions"][-1]["status"] = "False"
    stored = api.put(slow)
    with watching(target, environ) as seen:
        seen.until(lambda: seen.why("pod", "web-1") == "main is not ready")
        told = event(stored, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503\n")
        told["type"], told["count"] = "Warning", 4
        told["involvedObject"]["fieldPath"] = "spec.containers{main}"
        api.put(told)
        words = "main is not ready; readiness probe failed: HTTP probe failed with statuscode: 503 (4 times)"
        seen.until(lambda: seen.why("pod", "web-1") == words)
        [happening] = seen.store.happenings(seen.named("pod", "web-1").key)
        assert happening.action == "Unhealthy"
        assert {("count", "4"), ("type", "Warning"), ("container", "main")} <= set(happening.attributes)
        assert seen.named("pod", "web-1").health is Health.STARTING
        api.put(told | {"count": 40})
        seen.until(lambda: seen.named("pod", "web-1").health is Health.UNHEALTHY)
        api.put(pod("web-1"))
        seen.until(lambda: seen.why("pod", "web-1") == "")


def test_an_event_is_told_once_however_often_it_is_listed(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(event(api.put(pod("web-1")), "Pulled", "image is there"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.happenings())
        api.store.compact()
        api.put(event(api.get("pods", "web-1") or {}, "Started", "started"))
        seen.until(lambda: len(seen.happenings()) == 2)
        assert [item.action for item in seen.happenings()] == ["Pulled", "Started"]


def test_a_service_says_that_it_leads_nowhere(api: ApiServer, target: Target, environ: Environ) -> None:
    made = api.put(pod("web-1", labels={"app.kubernetes.io/name": "web"}))
    api.put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "spec": {"selector": {"app": "x"}}})
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "front-1", "labels": {"kubernetes.io/service-name": "front"}},
        "endpoints": None,
    }
    api.put(slices)
    with watching(target, environ) as seen:
        seen.until(lambda: seen.why("service", "front") == "no pod matches its selector app=x")
        target_ref = {"kind": "Pod", "name": "web-1", "uid": made["metadata"]["uid"]}
        endpoint = {"addresses": ["10.0.0.1"], "conditions": {"ready": False}, "targetRef": target_ref}
        api.put(slices | {"endpoints": [endpoint]})
        seen.until(lambda: seen.why("service", "front") == "none of its 1 pods is ready")
        api.put(slices | {"endpoints": [endpoint | {"conditions": {"ready": True}}]})
        seen.until(lambda: seen.named("service", "front").health is Health.HEALTHY)
        assert seen.named("service", "front").ready == (1, 1)
        assert seen.named("service", "front").service == "web"


def test_an_autoscaler_is_told_as_figures_and_at_its_workload(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(deployment("web"))
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 3},
        "status": {
            "currentReplicas": 3,
            "desiredReplicas": 3,
            "conditions": [{"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}],
        },
    }
    api.put(scaler)
    with watching(target, environ) as seen:
        seen.until(lambda: "autoscaler web: held at its maximum" in seen.why("deployment", "web"))
        key = seen.named("horizontalpodautoscaler", "web").key
        seen.until(lambda: seen.store.scaling(key) is not None)
        scaling = seen.store.scaling(key)
        assert isinstance(scaling, Scaling)
        assert (scaling.current, scaling.maximum, scaling.target) == (3, 3, "Deployment/web")


def test_an_object_that_should_be_gone_says_what_keeps_it(api: ApiServer, target: Target, environ: Environ) -> None:
    held = pod("web-1")
    held["metadata"] |= {"finalizers": ["example.com/hold"], "deletionTimestamp": "2026-01-31T12:00:00Z"}
    api.put(held)
    with watching(target, environ) as seen:
        seen.until(lambda: "kept by the finalizer example.com/hold" in seen.why("pod", "web-1"))
        shown = seen.named("pod", "web-1")
        assert shown.state is State.REMOVING
        assert "should have been gone" in shown.why


def test_a_change_costs_the_screen_nothing_where_nothing_is_shown(
    api: ApiServer, target: Target, environ: Environ
) -> None:
    api.put(pod("web-1"))
    with watching(target, environ) as seen:
        seen.until(lambda: "web-1" in seen.names())
        told = sum(isinstance(record, Seen) for record in seen.records)
        api.change("pods", "web-1", {"metadata": {"annotations": {"checked": "again"}}})
        api.put(pod("mark"))
        seen.until(lambda: "mark" in seen.names())
        assert sum(isinstance(record, Seen) for record in seen.records) == told + 1


def test_the_whole_object_is_read_when_it_is_asked_for(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"))
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}})
    with watching(target, environ) as seen:
        seen.until(lambda: "web-1" in seen.names())
        assert seen.backend.read(seen.named("pod", "web-1").key)["spec"]["nodeName"] == "minikube"
        assert seen.backend.read(kind=CONFIG_MAPS, namespace="default", name="settings")["data"] == {"a": "b"}
        with pytest.raises(NotFound):
            seen.backend.read("kubernetes:nobody")
