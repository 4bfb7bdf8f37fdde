"""The way in as users come: where the ingress controller listens, and a certificate for the copy's host."""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from devenv.backends.kube.errors import Forbidden
from devenv.backends.kube.kinds import INGRESSES, NODES, SECRETS, Kind
from devenv.backends.programs import output_of
from devenv.core.errors import DevenvError
from devenv.verify.kube.driver import KubeStack
from devenv.verify.kube.source import Object

INGRESS_CLASSES: Final = Kind("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False)
# Where controllers listen on a node or, on a laptop's cluster, on loopback: the standard port, and those that a
# controller takes where it may not have that one.
PORTS: Final = (443, 8443, 8843)
PATIENCE: Final = 2.0  # seconds for one try
NOBODY: Final = 10.0  # seconds in which every connection is refused: there is no controller


class CannotReach(DevenvError):
    """There is no ingress controller, or it is not known where it listens."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """A controller's address, the host that leads to the copy, and the certificate that is trusted."""

    address: str
    port: int
    host: str
    certificate: str

    def client(self, host: str = "", *, verify: bool | None = None) -> httpx.Client:
        """Return a client; `verify` True trusts the public authorities instead, False whatever is shown."""
        name = host or self.host
        context: ssl.SSLContext | bool = ssl.create_default_context(cadata=self.certificate)
        if verify is not None:
            context = ssl.create_default_context() if verify else False
        transport = _Named(name, verify=context)
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return httpx.Client(
            base_url=f"https://{shown}:{self.port}",
            headers={"Host": name},
            transport=transport,
            trust_env=False,
            timeout=10.0,
        )


class _Named(httpx.HTTPTransport):
    """Calls an address by a host's name: in TLS's server name, and when the certificate is checked."""

    def __init__(self, name: str, verify: ssl.SSLContext | bool) -> None:
        super().__init__(verify=verify, trust_env=False)
        self._name = name

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": self._name}
        return super().handle_request(request)


def make_certificate(stack: KubeStack) -> str:
    """Make a certificate for the copy's host, put it into the Secret that its Ingress names, and return it."""
    ingress = _ingress(stack)
    entry = ingress["spec"]["tls"][0]
    with TemporaryDirectory(prefix="devenv-") as folder:
        key, certificate = Path(folder, "tls.key"), Path(folder, "tls.crt")
        command = [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
            *("-days", "2", "-subj", f"/CN={stack.name[:60]}", "-addext", f"subjectAltName=DNS:{entry['hosts'][0]}"),
            *("-keyout", str(key), "-out", str(certificate)),
        ]
        output_of(command, timeout=60, what="openssl", install="Install openssl.")
        data = {file.name: base64.b64encode(file.read_bytes()).decode() for file in (key, certificate)}
        text = certificate.read_text("ascii")
    name = str(entry["secretName"])
    secret: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": stack.name},
        "type": "kubernetes.io/tls",
        "data": data,
    }
    stack.engine.delete(SECRETS, name)
    stack.engine.create(SECRETS, secret)
    return text


def find_way_in(stack: KubeStack, chosen: str, certificate: str, within: float) -> WayIn:
    """Find where the controller serves the copy's host; raises CannotReach with the reason.

    Asked are the chosen address, else what the Ingress's status says, else the nodes and loopback on the usual ports.
    """
    ingress = _ingress(stack)
    host = str(ingress["spec"]["rules"][0]["host"])
    class_name = str(ingress["spec"].get("ingressClassName") or "")
    try:
        classes, _ = stack.driver.client.list(INGRESS_CLASSES)
    except Forbidden as error:
        raise CannotReach(f"it is not known whether there is an ingress controller: {error.message}") from error
    names = [item["metadata"]["name"] for item in classes]
    if class_name not in names and (class_name or not names):
        named = f" {class_name!r}" if class_name else ""
        raise CannotReach(f"the cluster has no IngressClass{named} (it has: {', '.join(names) or 'none'})")
    ways = [WayIn(address, port, host, certificate) for address, port in _candidates(stack, ingress, chosen)]
    began = time.monotonic()
    tried = ""
    while True:
        for way in ways:
            answer = _try(way)
            if answer == "":
                return way
            tried = answer if "refused" not in answer.lower() else tried
        # A controller that is there learns of the Ingress in a moment; one that listens nowhere does not come.
        if time.monotonic() - began >= (within if tried else min(within, NOBODY)):
            break
        time.sleep(0.5)
    asked = ", ".join(f"{way.address}:{way.port}" for way in ways)
    hint = f"; {_unlabelled(stack)}" if _unlabelled(stack) else ""
    seen = tried or "connections refused"
    raise CannotReach(
        f"IngressClass {class_name or ', '.join(names)} is there, but nobody serves {host} at {asked} ({seen}){hint}: "
        "name the controller's address with --ingress or in devenv.toml: [verify.kubernetes] ingress"
    )


def _ingress(stack: KubeStack) -> Object:
    ingresses = [item for item in stack.driver.objects if item["kind"] == "Ingress"]
    if not ingresses:
        raise CannotReach("the overlay has no Ingress")
    name = ingresses[0]["metadata"]["name"]
    live: Object = stack.driver.client.get(INGRESSES.path(stack.name, name))
    return live


def _candidates(stack: KubeStack, ingress: Object, chosen: str) -> Iterator[tuple[str, int]]:
    chosen = chosen or stack.settings.kubernetes.ingress
    if chosen:
        parts = urlsplit(chosen if "://" in chosen else f"https://{chosen}")
        yield parts.hostname or "", parts.port or 443
        return
    balancers = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    published = [str(item.get("ip") or item.get("hostname")) for item in balancers]
    yield from ((address, 443) for address in published)
    for address in dict.fromkeys([*_node_addresses(stack), "127.0.0.1"]):
        yield from ((address, port) for port in PORTS)


def _node_addresses(stack: KubeStack) -> list[str]:
    try:
        nodes, _ = stack.driver.client.list(NODES)
    except Forbidden:
        return []
    addresses: list[dict[str, Any]] = [
        item for node in nodes for item in (node.get("status") or {}).get("addresses") or ()
    ]
    return [str(item["address"]) for item in addresses if item.get("type") == "InternalIP"]


def _try(way: WayIn) -> str:
    """Return "" where the copy is served, else what came."""
    try:
        with way.client() as client:
            answer = client.get("/health", timeout=PATIENCE)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:100]!r}"


def _unlabelled(stack: KubeStack) -> str:
    """Say that no namespace has the label by which the policies know the controller, where that is so."""
    selected = {
        label
        for item in stack.driver.objects
        if item["kind"] == "NetworkPolicy"
        for rule in (item["spec"].get("ingress") or ())
        for source in rule.get("from") or ()
        for label in ((source.get("namespaceSelector") or {}).get("matchLabels") or {}).items()
    }
    try:
        namespaces, _ = stack.driver.client.list(Kind("", "v1", "namespaces", "Namespace", namespaced=False))
    except Forbidden:
        return ""
    there = {label for item in namespaces for label in (item["metadata"].get("labels") or {}).items()}
    missing = [f"{key}={value}" for key, value in sorted(selected - there)]
    return f"no namespace has the label {', '.join(missing)}, by which policies know the controller" if missing else ""
