"""Proof of a deployment through the cluster: every endpoint answers, and what was written is there after the change.

It goes the way of the application's own Services: a port-forward takes the pods that the Service leads to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import httpx

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError, NotFound
from devenv.control.deploy.outcome import Check, Status
from devenv.control.kube.forward import Forward
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize
from devenv.core.verify_settings import EndpointSettings, VerifySettings
from devenv.runs.evidence import Probe
from devenv.verify.http import Endpoint, ForwardedEndpoint, Persistence, endpoint_named, new_nonce
from devenv.verify.waiting import VerificationFailed, wait_until

SERVED_WITHIN: Final = 15.0  # seconds: a Service hears of a ready pod within one or two
PREPARE_WITHIN: Final = 5.0  # seconds for what serves now; when it is broken, that is no reason not to deploy
_KINDS: Final = ("Service", "Deployment", "StatefulSet", "DaemonSet")


class ClusterProver:
    """`devenv.control.deploy.outcome.Prover` by the `[verify]` tables of devenv.toml."""

    def __init__(
        self,
        client: KubeClient,
        objects: Sequence[Mapping[str, Any]],
        namespace: str,
        settings: VerifySettings,
        workloads: Mapping[str, str],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._settings = settings
        self.probes: list[Probe] = []
        self._endpoints: dict[str, ForwardedEndpoint] = {}
        self._missing: dict[str, str] = {}
        for endpoint in settings.endpoints:
            item = _behind(workloads.get(endpoint.service, endpoint.service), objects)
            if item is None:
                self._missing[endpoint.name] = f"nothing that is deployed is called {endpoint.service}"
            else:
                forward = _forward(endpoint, item, client)
                self._endpoints[endpoint.name] = ForwardedEndpoint(endpoint, forward, self.probes.append)
        self._persistence = Persistence(settings.persistence, self._endpoint) if settings.persistence else None
        self._written: list[str] = []

    def prepare(self) -> Check:
        """Write data into what serves now. A failure of it is reported, and is no verdict on what comes."""
        name = "data before"
        refused = self._refused()
        if refused or self._persistence is None:
            return Check(name, Status.SKIPPED, refused or "devenv.toml has no [verify.persistence]")
        try:
            nonce = self._write(PREPARE_WITHIN)
        except (DevenvError, httpx.HTTPError, VerificationFailed) as error:
            self._persistence.forget()
            return Check(name, Status.SKIPPED, f"nothing could be written before the change: {_words(error)}")
        self._written.append(nonce)
        return Check(name, Status.DONE, "written, to be found after the change")

    def prove(self, objects: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
        """Ask every endpoint until it answers; then read what was written before, and write and read something new."""
        refused = self._refused()
        if refused:
            return (Check("endpoints", Status.INCONCLUSIVE, refused),)
        checks = [self._served(name) for name in self._endpoints]
        checks += [Check(name, Status.INCONCLUSIVE, why) for name, why in self._missing.items()]
        if not checks:
            return (Check("endpoints", Status.INCONCLUSIVE, "devenv.toml names no [[verify.endpoint]]"),)
        if self._persistence is not None and all(check.status is Status.DONE for check in checks):
            checks += [*self._kept(), self._fresh()]
        return tuple(checks)

    def close(self) -> None:
        """Close every forward."""
        for endpoint in self._endpoints.values():
            endpoint.close()

    def _served(self, name: str) -> Check:
        endpoint, began = self._endpoints[name], time.monotonic()
        try:
            endpoint.open()
            for path in dict.fromkeys((endpoint.settings.path, endpoint.settings.ready)):
                endpoint.wait_served(SERVED_WITHIN, path or None)
        except KubeError as error:
            return Check(name, Status.INCONCLUSIVE, f"it cannot be reached from here: {_words(error)}")
        except (DevenvError, VerificationFailed) as error:
            return Check(name, Status.FAILED, _words(error))
        paths = ", ".join(filter(None, (endpoint.settings.path, endpoint.settings.ready))) or "/"
        return Check(name, Status.DONE, f"answers {paths} ({time.monotonic() - began:.1f} s)")

    def _kept(self) -> list[Check]:
        checks = []
        for nonce in self._written:
            try:
                self._read(nonce)
            except (DevenvError, httpx.HTTPError, VerificationFailed) as error:
                checks.append(
                    Check("data kept", Status.FAILED, f"what was written before is not there: {_words(error)}")
                )
            else:
                checks.append(Check("data kept", Status.DONE, "what was written before the change is there"))
        return checks

    def _fresh(self) -> Check:
        try:
            self._read(self._write(SERVED_WITHIN))
        except (DevenvError, httpx.HTTPError, VerificationFailed) as error:
            return Check("data", Status.FAILED, f"it cannot be written and read: {_words(error)}")
        return Check("data", Status.DONE, "written and read")

    def _write(self, timeout: float) -> str:
        persistence = self._persistence
        assert persistence is not None
        nonce = new_nonce()
        wait_until("a write to be acknowledged", lambda: persistence.write(nonce), timeout, every=0.5)
        return nonce

    def _read(self, nonce: str) -> None:
        persistence = self._persistence
        assert persistence is not None
        wait_until("what was written to be found", lambda: persistence.read(nonce), SERVED_WITHIN, every=0.5)

    def _endpoint(self, name: str) -> Endpoint:
        return endpoint_named(self._endpoints, name)

    def _refused(self) -> str:
        """Ask whether the account may forward ports; the deployer of k8s/rbac may not, and a pipeline should know."""
        try:
            allowed = self._client.may("create", "pods", subresource="portforward", namespace=self._namespace)
        except (Forbidden, NotFound):
            return ""  # it cannot be asked: the forward itself will tell
        except KubeError as error:
            return f"the cluster does not answer: {_words(error)}"
        return "" if allowed else f"this account may not forward ports in {self._namespace} (create pods/portforward)"


def _behind(name: str, objects: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    named = [item for item in objects if (item.get("metadata") or {}).get("name") == name]
    return next((item for kind in _KINDS for item in named if item.get("kind") == kind), None)


def _forward(settings: EndpointSettings, item: Mapping[str, Any], client: KubeClient) -> Callable[[], Forward]:
    """Return what begins a forward to the rendered Service or workload; raises DevenvError without a port."""
    kind, name = str(item["kind"]).lower(), str(item["metadata"]["name"])
    namespace = str(item["metadata"].get("namespace") or client.target.namespace)
    port = settings.port or _only_port(item)
    return lambda: Forward(client, kind, name, port, namespace=namespace, patience=2.0)


def _only_port(item: Mapping[str, Any]) -> int:
    ports = list((item.get("spec") or {}).get("ports") or [])
    if len(ports) != 1:
        raise DevenvError(
            f"{item['kind']} {item['metadata']['name']} has {len(ports)} ports", "Name one in [[verify.endpoint]]."
        )
    return int(ports[0]["port"])


def _words(error: Exception) -> str:
    text = error.message if isinstance(error, DevenvError) else str(error)
    return sanitize(" ".join(text.split()))[:400]
