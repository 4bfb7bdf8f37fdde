"""Endpoint slices of services, claims that get a volume, and what disruption budgets allow."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from devenv.backends.kube.kinds import ENDPOINT_SLICES, PDBS, PODS, PVCS, SERVICES
from fakes.api_server.samples import owner_reference
from fakes.api_server.status import Object
from fakes.api_server.workloads import is_ready, leaving

if TYPE_CHECKING:
    from fakes.api_server.controllers import Controllers


def reconcile(controllers: Controllers) -> None:
    """Look once at all of them."""
    store = controllers.api.store
    for entry in store.all(SERVICES, None):
        if entry.content["spec"].get("selector"):
            _slice(controllers, entry.content)
    for entry in store.all(PVCS, None):
        if entry.content.get("status", {}).get("phase") != "Bound":
            claim = copy.deepcopy(entry.content)
            claim["spec"].setdefault("volumeName", f"pvc-{claim['metadata']['uid']}")
            claim["status"] = {"phase": "Bound", "capacity": claim["spec"].get("resources", {}).get("requests", {})}
            store.write(PVCS, claim)
    for entry in store.all(PDBS, None):
        _budget(controllers, copy.deepcopy(entry.content))


def _selected(controllers: Controllers, namespace: str, labels: dict[str, str]) -> list[Object]:
    return [
        entry.content
        for entry in controllers.api.store.all(PODS, namespace)
        if labels.items() <= (entry.content["metadata"].get("labels") or {}).items()
    ]


def _slice(controllers: Controllers, service: Object) -> None:
    about = service["metadata"]
    endpoints = []
    pods = _selected(controllers, about["namespace"], service["spec"]["selector"])
    for pod in pods:
        if not pod.get("status", {}).get("podIP"):
            continue
        ready = is_ready(pod) and not leaving(pod)
        endpoints.append(
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": ready, "serving": is_ready(pod), "terminating": leaving(pod)},
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]},
            }
        )
    ports = [
        {"name": port.get("name", ""), "port": _number(port.get("targetPort", port["port"]), pods), "protocol": "TCP"}
        for port in service["spec"].get("ports") or []
    ]
    controllers.save(
        ENDPOINT_SLICES,
        {
            "metadata": {
                "name": f"{about['name']}-slice",
                "namespace": about["namespace"],
                "labels": {"kubernetes.io/service-name": about["name"]},
                "ownerReferences": [owner_reference(service)],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        },
    )


def _number(target: int | str, pods: list[Object]) -> int | None:
    """Return the port that a Service leads to, which may be named as a container of its pods names it."""
    if isinstance(target, int):
        return target
    containers = [container for pod in pods for container in pod["spec"]["containers"]]
    named = [port for container in containers for port in container.get("ports") or [] if port.get("name") == target]
    return named[0]["containerPort"] if named else None


def _budget(controllers: Controllers, budget: Object) -> None:
    labels = budget["spec"].get("selector", {}).get("matchLabels", {})
    pods = _selected(controllers, budget["metadata"]["namespace"], labels)
    healthy = sum(1 for pod in pods if is_ready(pod) and not leaving(pod))
    if "minAvailable" in budget["spec"]:
        wanted = int(budget["spec"]["minAvailable"])
    else:
        wanted = len(pods) - int(budget["spec"].get("maxUnavailable", 1))
    allowed = max(0, healthy - wanted)
    told = {
        "currentHealthy": healthy,
        "desiredHealthy": wanted,
        "disruptionsAllowed": allowed,
        "expectedPods": len(pods),
    }
    budget["status"] = {**told, "observedGeneration": budget["metadata"].get("generation", 1)}
    controllers.save(PDBS, budget)
