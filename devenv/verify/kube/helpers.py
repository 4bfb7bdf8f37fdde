"""Pods that tests make beside the services: to call them from inside, and to see what the network lets through."""

from __future__ import annotations

from typing import Any, Final

from devenv.backends.kube.errors import Conflict
from devenv.backends.kube.kinds import PODS, Kind
from devenv.control.kube.pod_trouble import pod_trouble
from devenv.control.kube.wait import Patience
from devenv.core.errors import UsageError
from devenv.verify.kube.cluster import EVERY, read_pod
from devenv.verify.kube.source import Object, containers_of
from devenv.verify.kube.stack import KubeStack
from devenv.verify.waiting import Lasting, wait_until

POLICIES: Final = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
ROLE: Final = "devenv.io/role"
CLIENT: Final = "devenv-client"
WAITS: Final = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); signal.sigwait([15])"
_WITHIN: Final = 60.0


def client_pod(stack: KubeStack) -> str:
    """Return the name of a pod that may call every service, made at the first call; whatever the overlay's policies."""
    labels = {ROLE: CLIENT}
    _make(stack, POLICIES, _policy(stack, f"{CLIENT}-out", labels, {"egress": [{}], "policyTypes": ["Egress"]}))
    source = {"from": [{"podSelector": {"matchLabels": labels}}]}
    _make(stack, POLICIES, _policy(stack, f"{CLIENT}-in", {}, {"ingress": [source], "policyTypes": ["Ingress"]}))
    return helper_pod(stack, CLIENT, labels)


def helper_pod(stack: KubeStack, name: str, labels: dict[str, str], program: str = WAITS) -> str:
    """Return the name of a pod that runs a Python program, made where it is not there, when it runs."""
    pod = like_service(stack, _client_service(stack), name, labels)
    container = pod["spec"]["containers"][0]
    container["command"] = ["python3", "-c", program]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle", "envFrom", "ports"):
        container.pop(probe, None)
    pod["spec"]["terminationGracePeriodSeconds"] = 1
    kept = [volume for volume in pod["spec"].get("volumes") or () if "emptyDir" in volume]
    pod["spec"]["volumes"] = kept
    names = {volume["name"] for volume in kept}
    container["volumeMounts"] = [item for item in container.get("volumeMounts") or () if item["name"] in names]
    _make(stack, PODS, pod)

    lasting = Lasting()

    def look() -> str:
        found = read_pod(stack.client.get(PODS.path(stack.name, name)), "")
        trouble = pod_trouble(found.data)
        if trouble is not None:
            lasting.look(f"the pod {name} cannot run: {trouble.reason}, {trouble.text}", Patience().allows(trouble))
        return found.status

    wait_until(f"the pod {name} to run", look, _WITHIN, lambda status: status == "Running", every=EVERY)
    return name


def like_service(stack: KubeStack, service: str, name: str, labels: dict[str, str]) -> Object:
    """Return a pod with what a service's pods are made of, but for labels: no Service and no policy knows it."""
    template = stack.engine.workload(service)["spec"]["template"]
    spec: dict[str, Any] = dict(template["spec"])
    spec.pop("topologySpreadConstraints", None)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": stack.name, "labels": labels},
        "spec": spec,
    }


def _client_service(stack: KubeStack) -> str:
    name = stack.settings.kubernetes.client or next(iter(stack.services), "")
    if name not in stack.services:
        raise UsageError(
            f"devenv.toml: verify.kubernetes.client is {name!r}, which is no workload of the overlay",
            f"There are: {', '.join(stack.services)}.",
        )
    assert containers_of(stack.services[name]["spec"]["template"]["spec"])
    return name


def _policy(stack: KubeStack, name: str, pods: dict[str, str], rules: dict[str, Any]) -> Object:
    return {
        "apiVersion": POLICIES.api,
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": stack.name},
        "spec": {"podSelector": {"matchLabels": pods} if pods else {}, **rules},
    }


def _make(stack: KubeStack, kind: Kind, item: Object) -> None:
    try:
        stack.engine.create(kind, item)
    except Conflict:
        stack.mark(f"{kind.name} {item['metadata']['name']} is there")
