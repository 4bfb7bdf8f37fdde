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
from devenv.backends.kube.pod import Pod, read_pod
from devenv.control.kube.change import counted
from devenv.core.text import sanitize

_NAMED: Final = 8  # pods of which the local data are named one by one


def pod_name(pod: Pod) -> str:
    """Return "NAMESPACE/NAME"."""
    return f"{pod.namespace}/{pod.name}"


def local_volumes(spec: Mapping[str, Any]) -> str:
    """Return "emptyDir a, b" of a pod's spec; "" where it has none."""
    names = [str(volume["name"]) for volume in spec.get("volumes") or () if "emptyDir" in volume]
    return sanitize(f"emptyDir {', '.join(names)}") if names else ""


def losses_with(pods: Iterable[Pod]) -> tuple[str, ...]:
    """Return what goes for ever with these pods. What has ended is not missed."""
    alive = [pod for pod in pods if not pod.is_finished]
    local = [pod for pod in alive if local_volumes(pod.spec)]
    lost = [f"the local data of pod {pod_name(pod)}: {local_volumes(pod.spec)}" for pod in local[:_NAMED]]
    if local[_NAMED:]:
        lost.append(f"the local data of {counted(len(local) - _NAMED, 'pod')} more")
    return (*lost, *(f"pod {pod_name(pod)}: nothing makes it again" for pod in alive if not pod.owner[0]))


def last_ready(client: KubeClient, leaving: Sequence[Pod]) -> tuple[str, ...]:
    """Return a sentence that names the workloads and Services whose last ready pod is among those that leave."""
    gone = {pod.uid for pod in leaving}
    named: dict[str, None] = {}
    for namespace in dict.fromkeys(pod.namespace for pod in leaving if pod.is_serving):
        going = [pod for pod in leaving if pod.namespace == namespace and pod.is_serving]
        others = (read_pod(item) for item in _list(client, PODS, namespace))
        staying = [pod for pod in others if pod.uid not in gone and pod.is_serving]
        workloads = {_workload(pod) for pod in staying}
        named |= dict.fromkeys(name for pod in going if (name := _workload(pod)) and name not in workloads)
        for service in _list(client, SERVICES, namespace):
            selector = (service.get("spec") or {}).get("selector")
            served = [pod for pod in (*going, *staying) if selector and selector.items() <= pod.labels.items()]
            if served and all(pod.uid in gone for pod in served):
                named[sanitize(f"service/{namespace}/{service['metadata']['name']}")] = None
    if not named:
        return ()
    return (f"Takes the last ready pod of {', '.join(named)}: nothing serves until another one is ready.",)


def _workload(pod: Pod) -> str:
    """Return "deployment/NAMESPACE/NAME" of what runs it for good; "" for Jobs and pods of their own."""
    kind, name = pod.workload
    return f"{kind.lower()}/{pod.namespace}/{name}" if kind and kind != "Job" else ""


def _list(client: KubeClient, kind: Kind, namespace: str) -> list[dict[str, Any]]:
    try:
        return client.list(kind, namespace)[0]
    except Forbidden:
        return []  # what may not be read is not judged
