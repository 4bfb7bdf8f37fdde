"""The HTTP addresses of a namespace: port-forwards that outlive the pods that they lead to."""

from __future__ import annotations

from collections.abc import Callable

from devenv.control.kube.forward import Forward
from devenv.core.errors import DevenvError
from devenv.core.model import Resource
from devenv.core.verify_settings import EndpointSettings
from devenv.runs.evidence import Probe
from devenv.verify.http import Endpoint
from devenv.verify.kube.cluster import Cluster
from devenv.verify.kube.source import Object, containers_of
from devenv.verify.waiting import Never

PATIENCE = 1.0  # seconds that a connection is held while no pod takes it: a test shall see that nothing answers


class KubeEndpoint(Endpoint):
    """One address. The forward begins at the first call; a pod that is not ready is reached too, as tests ask why."""

    def __init__(self, settings: EndpointSettings, cluster: Cluster, record: Callable[[Probe], None]) -> None:
        super().__init__(settings, _nobody, record)
        self._cluster = cluster
        self._forward: Forward | None = None
        self._local = 0

    @property
    def url(self) -> str:
        """The base address; raises DevenvError while there is no such workload."""
        if self._forward is None:
            cluster, service = self._cluster, self.settings.service
            cluster.path(service)  # notes that a test touched it, and knows the names where there is none
            item = cluster.workloads[service]
            forward = Forward(
                cluster.client,
                str(item["kind"]).lower(),
                service,
                self.settings.port or _only_port(item),
                namespace=cluster.namespace,
                unready=True,
                patience=PATIENCE,
            )
            self._local = forward.start()
            self._forward = forward
        return f"http://127.0.0.1:{self._local}"

    def in_vain(self) -> str:
        """Say why no pod will ever answer, "" where one may."""
        return self._cluster.in_vain(self.settings.service)

    def close(self) -> None:
        """Close the connections and the forward."""
        super().close()
        forward, self._forward = self._forward, None
        if forward is not None:
            forward.close()


def _only_port(item: Object) -> int:
    found = [
        int(port["containerPort"])
        for container in containers_of(item["spec"]["template"]["spec"])
        for port in container.get("ports") or ()
    ]
    if len(found) != 1:
        raise Never(
            f"{item['kind']} {item['metadata']['name']} has {len(found)} ports", "Name one in [[verify.endpoint]]."
        )
    return found[0]


def _nobody(service: str) -> Resource:
    raise DevenvError(f"{service} is no container")
