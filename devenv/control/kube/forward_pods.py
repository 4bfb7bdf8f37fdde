"""Which pod a port-forward leads to: the ready pods behind a Service, of a workload, or a pod and its successor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound
from devenv.backends.kube.fields import owner_of
from devenv.backends.kube.kinds import (
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    KNOWN,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Kind,
    find_kind,
)
from devenv.backends.kube.pod import Pod, read_pod
from devenv.control.kube.change import label_selector, pods_in
from devenv.core.errors import UsageError
from devenv.core.text import sanitize

SERVICE_LABEL = "kubernetes.io/service-name"  # https://kubernetes.io/docs/concepts/services-networking/endpoint-slices

_OWNERS = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS)  # what makes a pod again


class NoPod(KubeError):
    """There is no ready pod to lead to now; the message says why, and it may come."""

    title = "no pod"


@dataclass(frozen=True, slots=True)
class PodPort:
    """A port of a pod. `uid` tells a pod from the one of the same name that replaces it."""

    namespace: str
    pod: str
    uid: str
    port: int


class PodFinder:
    """Finds the pods for one target; every call asks the server anew, so that a replaced pod is found."""

    def __init__(
        self, client: KubeClient, kind: str, name: str, port: int | str, namespace: str, *, unready: bool = False
    ) -> None:
        self._client = client
        self.kind: Kind = find_kind(kind, KNOWN)
        self.name = name
        self.namespace = namespace
        self._port = port
        self._unready = unready
        self._owner: tuple[Kind, str] | None = None  # what the pod belonged to, when it was last seen

    @property
    def title(self) -> str:
        """Return "service/web:80"."""
        return sanitize(f"{self.kind.name.lower()}/{self.name}:{self._port}")

    def find(self) -> list[PodPort]:
        """Return the ready pods, never none. Raises NoPod, NotFound for a target that is gone, and other KubeErrors."""
        if self.kind == SERVICES:
            return self._of_service()
        if self.kind != PODS:
            return self._of_workload(self.kind, self.name)
        try:
            pod = read_pod(self._client.get(PODS.path(self.namespace, self.name)))
        except NotFound:
            if self._owner is None:
                raise
            return self._of_workload(*self._owner)
        if self._owner is None:
            self._owner = self._top_owner(pod)
        is_ending = pod.is_leaving or pod.is_finished
        if not pod.is_serving and self._owner is not None and is_ending:
            return self._of_workload(*self._owner)
        return self._ready([pod])

    def _of_service(self) -> list[PodPort]:
        service = self._client.get(SERVICES.path(self.namespace, self.name))
        port_name = self._service_port(service)
        slices, _ = self._client.list(ENDPOINT_SLICES, self.namespace, labels=f"{SERVICE_LABEL}={self.name}")
        ready: list[PodPort] = []
        waiting: list[str] = []
        for item in slices:
            port = next(
                (entry.get("port") for entry in item.get("ports") or () if (entry.get("name") or "") == port_name), None
            )
            for endpoint in item.get("endpoints") or ():
                reference = endpoint.get("targetRef") or {}
                if reference.get("kind") != "Pod":
                    continue
                if (endpoint.get("conditions") or {}).get("ready") is False or port is None:
                    waiting.append(str(reference.get("name")))
                else:
                    ready.append(PodPort(self.namespace, str(reference["name"]), str(reference.get("uid")), int(port)))
        if not ready:
            why = f"not ready: {', '.join(waiting[:5])}" if waiting else "no pod matches its selector"
            raise NoPod(sanitize(f"Service {self.name} has no ready endpoint ({why})"))
        return ready

    def _service_port(self, service: Mapping[str, Any]) -> str:
        """Return the name of the service's port: slices know ports by their names."""
        ports = (service.get("spec") or {}).get("ports") or []
        for entry in ports:
            if str(self._port) in (str(entry.get("port")), entry.get("name")):
                return str(entry.get("name") or "")
        known = ", ".join(f"{entry.get('port')} {entry.get('name') or ''}".strip() for entry in ports)
        raise UsageError(sanitize(f"Service {self.name} has no port {self._port}"), sanitize(f"It has: {known}"))

    def _of_workload(self, kind: Kind, name: str) -> list[PodPort]:
        workload = self._client.get(kind.path(self.namespace, name))
        selector = (workload.get("spec") or {}).get("selector")
        if not isinstance(selector, dict) or not selector:
            raise UsageError(f"A {kind.name} has no pods to forward to", "Name a Service, a workload or a pod.")
        pods = pods_in(self._client, self.namespace, labels=label_selector(selector))
        if not pods:
            replicas = (workload.get("spec") or {}).get("replicas")
            raise NoPod(f"{kind.name} {sanitize(name)} has no pods" + (" (0 replicas)" if replicas == 0 else ""))
        return self._ready(pods)

    def _ready(self, pods: list[Pod]) -> list[PodPort]:
        ready = [pod for pod in pods if pod.is_serving]
        if not ready and self._unready:
            ready = [pod for pod in pods if pod.phase == "Running" and not pod.is_leaving]
        if not ready:
            named = ", ".join(f"{pod.name} {_state(pod)}" for pod in pods[:5])
            raise NoPod(sanitize(f"no pod is ready: {named}"))
        return [
            PodPort(self.namespace, pod.name, pod.uid, self._number(pod))
            for pod in sorted(ready, key=lambda pod: pod.created or 0.0, reverse=True)
        ]

    def _number(self, pod: Pod) -> int:
        if str(self._port).isdecimal():
            return int(self._port)
        for container in pod.spec.get("containers") or ():
            for port in container.get("ports") or ():
                if port.get("name") == self._port:
                    return int(port["containerPort"])
        raise UsageError(f"No container of the pod has a port named {self._port}", "Give its number.")

    def _top_owner(self, pod: Pod) -> tuple[Kind, str] | None:
        """Return the workload that will replace the pod: of a ReplicaSet its Deployment."""
        top: tuple[Kind, str] | None = None
        owner = pod.owner
        for _ in range(3):
            kind = next((one for one in _OWNERS if one.name == owner[0]), None)
            if kind is None:
                break
            top = (kind, owner[1])
            try:
                owner = owner_of(self._client.get(kind.path(self.namespace, owner[1]))["metadata"])
            except NotFound:
                break
        return top


def _state(pod: Pod) -> str:
    if pod.is_leaving:
        return "Terminating"
    return next((item.waiting for item in pod.mains if item.waiting), pod.phase or "Pending")
