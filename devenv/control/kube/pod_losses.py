"""What is lost when pods go, in the same words for whatever removes them: drain, evict, delete, scale, restart.

Local data (emptyDir) go with their pod, nothing makes a pod without a controller again, and without its last ready
pod a workload or a Service serves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden
from devenv.backends.kube.kinds import PODS, SERVICES, Kind
from devenv.control.kube.change import counted
from devenv.core.text import sanitize

_NAMED: Final = 8  # pods of which the local data are named one by one
_HASH: Final = "pod-template-hash"


def pod_name(pod: Mapping[str, Any]) -> str:
    """Return "NAMESPACE/NAME"."""
    return sanitize(f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}")


def owner_kind(pod: Mapping[str, Any]) -> str:
    """Return the kind of the controller that makes the pod again; "" where there is none."""
    return str(_owner(pod).get("kind") or "")


def is_finished(pod: Mapping[str, Any]) -> bool:
    """Whether its containers have all ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def local_volumes(spec: Mapping[str, Any]) -> str:
    """Return "emptyDir a, b" of a pod's spec; "" where it has none."""
    names = [str(volume["name"]) for volume in spec.get("volumes") or () if "emptyDir" in volume]
    return sanitize(f"emptyDir {', '.join(names)}") if names else ""


def losses_with(pods: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what goes for ever with these pods. What has ended is not missed."""
    alive = [pod for pod in pods if not is_finished(pod)]
    local = [pod for pod in alive if local_volumes(pod["spec"])]
    lost = [f"the local data of pod {pod_name(pod)}: {local_volumes(pod['spec'])}" for pod in local[:_NAMED]]
    if local[_NAMED:]:
        lost.append(f"the local data of {counted(len(local) - _NAMED, 'pod')} more")
    return (*lost, *(f"pod {pod_name(pod)}: nothing makes it again" for pod in alive if not owner_kind(pod)))


def last_ready(client: KubeClient, leaving: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a sentence that names the workloads and Services whose last ready pod is among those that leave."""
    gone = {pod["metadata"].get("uid") for pod in leaving}
    named: dict[str, None] = {}
    for namespace in dict.fromkeys(str(pod["metadata"].get("namespace")) for pod in leaving if _is_ready(pod)):
        going = [pod for pod in leaving if pod["metadata"].get("namespace") == namespace and _is_ready(pod)]
        others = [pod for pod in _list(client, PODS, namespace) if pod["metadata"].get("uid") not in gone]
        staying = [pod for pod in others if _is_ready(pod)]
        workloads = {_workload(pod) for pod in staying}
        named |= dict.fromkeys(name for pod in going if (name := _workload(pod)) and name not in workloads)
        for service in _list(client, SERVICES, namespace):
            selector = (service.get("spec") or {}).get("selector")
            served = [pod for pod in (*going, *staying) if selector and _selects(selector, pod)]
            if served and all(pod in going for pod in served):
                named[sanitize(f"service/{namespace}/{service['metadata']['name']}")] = None
    if not named:
        return ()
    return (f"Takes the last ready pod of {', '.join(named)}: nothing serves until another one is ready.",)


def _workload(pod: Mapping[str, Any]) -> str:
    """Return "deployment/NAMESPACE/NAME" of what runs it for good; "" for Jobs and pods of their own."""
    owner, metadata = _owner(pod), pod["metadata"]
    kind, name = str(owner.get("kind") or ""), str(owner.get("name") or "")
    pod_hash = (metadata.get("labels") or {}).get(_HASH)
    if kind == "ReplicaSet" and pod_hash and name.endswith(f"-{pod_hash}"):  # a Deployment names its ReplicaSets so
        kind, name = "Deployment", name.removesuffix(f"-{pod_hash}")
    return sanitize(f"{kind.lower()}/{metadata.get('namespace')}/{name}") if kind and kind != "Job" else ""


def _owner(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((one for one in owners if one.get("controller")), {})


def _is_ready(pod: Mapping[str, Any]) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def _selects(selector: Mapping[str, str], pod: Mapping[str, Any]) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _list(client: KubeClient, kind: Kind, namespace: str) -> list[dict[str, Any]]:
    try:
        return client.list(kind, namespace)[0]
    except Forbidden:
        return []  # what may not be read is not judged
