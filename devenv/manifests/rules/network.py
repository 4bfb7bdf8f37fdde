"""Services, Ingresses and NetworkPolicies: that what is to be reached is, and that nothing flows that is not said.

What NetworkPolicies allow: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from devenv.backends.kube.fields import labels_match
from devenv.manifests import access
from devenv.manifests.access import get, mapping, mappings, sequence, text
from devenv.manifests.model import Manifest, ObjectPath, Problem
from devenv.manifests.registry import SERVED, error, warning
from devenv.manifests.rendering import Rendering, Workload, same_namespace

INGRESS, EGRESS = "Ingress", "Egress"
_PEERS = {INGRESS: "from", EGRESS: "to"}
_ALL_ADDRESSES = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a connection."""

    number: int
    protocol: str = "TCP"


class Flows:
    """The policies of one rendering."""

    def __init__(self, rendering: Rendering) -> None:
        self.rendering = rendering
        self.policies = rendering.of("networking.k8s.io", "NetworkPolicy")

    @cached_property
    def _selecting(self) -> dict[int, list[Manifest]]:
        return access.grouped(
            (id(workload.manifest), policy) for policy in self.policies for workload in self.selected(policy)
        )

    def selected(self, policy: Manifest) -> list[Workload]:
        """Return the workloads that a policy holds for."""
        return self.rendering.selected(access.mapping(policy.data, "spec", "podSelector"), policy.namespace)

    def of(self, workload: Workload) -> list[Manifest]:
        """Return the policies that hold for a workload."""
        return self._selecting.get(id(workload.manifest), [])

    def isolated(self, workload: Workload, direction: str) -> bool:
        """Say whether only what a policy allows may flow in that direction."""
        return any(direction in directions(policy) for policy in self.of(workload))

    def allows(self, workload: Workload, direction: str, port: Port, peer: Workload | None) -> bool:
        """Say whether a workload's policies let a connection through; `peer` None: to or from anything will do.

        The port is the server's, which is the peer when the direction is egress.
        """
        if not self.isolated(workload, direction):
            return True
        server = workload if direction == INGRESS else peer
        for policy in self.of(workload):
            for _, item in access.mappings(policy.data, "spec", direction.lower()):
                if _port_matches(item, port, server) and self._peer_matches(policy, item, direction, peer):
                    return True
        return False

    def _peer_matches(self, policy: Manifest, item: Any, direction: str, peer: Workload | None) -> bool:
        peers = access.sequence(item, _PEERS[direction])
        if not peers or peer is None:
            return True
        return any(self.peer_selects(policy, entry, peer) for entry in peers)

    def peer_selects(self, policy: Manifest, entry: Any, peer: Workload) -> bool:
        """Say whether one peer of a policy's rule is (or may be) the workload."""
        if access.text(entry, "ipBlock", "cidr"):
            return access.text(entry, "ipBlock", "cidr") in _ALL_ADDRESSES
        pods = access.get(entry, "podSelector")
        if pods is not None and not labels_match(pods, peer.labels):
            return False
        spaces = access.get(entry, "namespaceSelector")
        if spaces is None:
            return not policy.namespace or peer.manifest.namespace in ("", policy.namespace)
        name = access.text(spaces, "matchLabels", "kubernetes.io/metadata.name")
        return not name or peer.manifest.namespace in ("", name)  # by other labels: the cluster knows, this does not


def directions(policy: Manifest) -> set[str]:
    """Return what a policy isolates; without policyTypes, Ingress, and Egress if it has egress rules."""
    stated = access.sequence(policy.data, "spec", "policyTypes")
    if stated:
        return {str(item) for item in stated}
    return {INGRESS, EGRESS} if access.sequence(policy.data, "spec", "egress") else {INGRESS}


def local_peers(policy: Manifest, direction: str) -> Iterator[tuple[int, int, Any, Any]]:
    """Yield the peers that are pods of the policy's own namespace: indexes of rule and peer, rule, podSelector."""
    for index, item in access.mappings(policy.data, "spec", direction.lower()):
        for place, entry in access.mappings(item, _PEERS[direction]):
            if "podSelector" in entry and "namespaceSelector" not in entry:
                yield index, place, item, entry["podSelector"]


def rule_ports(item: Any, server: Workload) -> list[Port]:
    """Return the server's ports that a rule names; all of its ports where the rule names none."""
    named = access.sequence(item, "ports")
    if not named:
        return [Port(number) for number in sorted(server.port_numbers())]
    ports = []
    for _, entry in access.mappings(item, "ports"):
        port = entry.get("port")
        number = server.port_names().get(port) if isinstance(port, str) else port
        if isinstance(number, int):
            ports.append(Port(number, access.text(entry, "protocol") or "TCP"))
    return ports


def _port_matches(item: Any, port: Port, server: Workload | None) -> bool:
    if not access.sequence(item, "ports"):
        return True
    for _, entry in access.mappings(item, "ports"):
        if (access.text(entry, "protocol") or "TCP") != port.protocol:
            continue
        named = entry.get("port")
        if isinstance(named, str) and server is None:
            return True
        number = server.port_names().get(named) if isinstance(named, str) and server else named
        last = access.whole(entry, "endPort") or number
        if number is None or (isinstance(number, int) and isinstance(last, int) and number <= port.number <= last):
            return True
    return False


_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?")  # RFC 6335, section 5.1
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
# Annotations by which a cloud's load balancer gets its certificate.
_TLS_ELSEWHERE = {
    "alb.ingress.kubernetes.io/certificate-arn",
    "ingress.gcp.kubernetes.io/pre-shared-cert",
    "networking.gke.io/managed-certificates",
}
_CONTROLLERS = re.compile(
    r"(?:^|\.)(?:ingress\.kubernetes\.io|nginx\.(?:org|com)|traefik\.(?:io|containo\.us)|haproxy\.(?:org|com)"
    r"|konghq\.com|projectcontour\.io|alb\.ingress\.kubernetes\.io|azure\.com|gke\.io|cilium\.io)/"
    r"|^ingress\.cilium\.io/|^networking\.gke\.io/|^appgw\."
)
_DNS = (Port(53, "UDP"), Port(53, "TCP"))  # TCP for answers that do not fit a datagram (RFC 7766)


def _services(rendering: Rendering) -> list[Manifest]:
    return rendering.services


def _ingresses(rendering: Rendering) -> list[Manifest]:
    return rendering.of("networking.k8s.io", "Ingress")


def _ports(service: Manifest) -> list[tuple[int, dict[str, object]]]:
    return list(mappings(service.data, "spec", "ports"))


# Services: that they reach pods, on ports that the pods open.


def _opened(service: Manifest) -> str | bool:
    kind = text(service.data, "spec", "type")
    return kind not in ("", "ClusterIP", "ExternalName") and f"is of type {kind}"


warning.each(
    "service-type",
    "A NodePort or LoadBalancer is an open door past the ingress, its TLS and its policy.",
    _services,
    _opened,
    at=("spec", "type"),
    source="issue: ClusterIP services; kube-linter exposed-services",
    fix="type: ClusterIP, with an Ingress or a Gateway route for what is public.",
)


@error(
    "service-dangling",
    source="issue: dangling service; kube-linter dangling-service",
    fix="Correct spec.selector; compare it with the labels of the pod template.",
)
def service_dangling(rendering: Rendering) -> Iterator[Problem]:
    """A Service whose selector matches no pods answers every connection with a refusal."""
    for service in rendering.services:
        if mapping(service.data, "spec", "selector") and not rendering.behind(service):
            yield rendering.selects_nothing(service, "spec", "selector")


@error(
    "service-port",
    source="Kubernetes: Service, field targetPort",
    fix="Let targetPort be the name of a port that the pods' containers declare, or the number that they listen on.",
)
def service_port(rendering: Rendering) -> Iterator[Problem]:
    """A target port by a name that no container has leads nowhere. A number need not be declared; where pod and
    Service have one port each and the numbers differ, it is most likely the wrong one."""
    for service in rendering.services:
        ports = _ports(service)
        for index, port in ports:
            target = port.get("targetPort", port.get("port"))
            for workload in rendering.behind(service):
                declared, unless = workload.port_numbers(), rendering.part
                if isinstance(target, int):
                    if target in declared or len(declared) != 1 or len(ports) != 1:
                        continue
                    unless = f"it declares {min(declared)}; a number need not be declared"
                elif workload.port_number(target) is not None:
                    continue
                message = f"targetPort {target} is no port of {workload.manifest.title}"
                yield service.problem(message, "spec", "ports", index, "targetPort", inconclusive=unless)


@error(
    "port-name",
    source="kube-linter invalid-target-ports; RFC 6335, section 5.1",
    fix="Name ports in at most 15 lower-case letters, digits and single dashes.",
)
def port_name(rendering: Rendering) -> Iterator[Problem]:
    """A port name that is no IANA service name is refused by the API server."""
    for container in rendering.containers:
        for index, port in mappings(container.data, "ports"):
            name = port.get("name")
            if name is not None and not (isinstance(name, str) and _PORT_NAME.fullmatch(name)):
                path = (*container.path, "ports", index, "name")
                message = f"port name {name} of container {container.name} is not valid"
                yield container.manifest.problem(message, *path)
    for service in rendering.services:
        for index, port in _ports(service):
            target = port.get("targetPort")
            if isinstance(target, str) and not _PORT_NAME.fullmatch(target):
                yield service.problem(f"port name {target} is not valid", "spec", "ports", index, "targetPort")


# Ingresses: that they lead somewhere, over TLS, with any controller.


def _backends(rendering: Rendering) -> Iterator[tuple[Manifest, ObjectPath, dict[str, object], str]]:
    """Yield each Service that an Ingress leads to: the Ingress, the path in it, what is there, the Service's name."""
    for ingress in _ingresses(rendering):
        places: list[tuple[ObjectPath, dict[str, object]]] = [
            (("spec", "defaultBackend", "service"), mapping(ingress.data, "spec", "defaultBackend", "service"))
        ]
        for index, item in mappings(ingress.data, "spec", "rules"):
            for place, path in mappings(item, "http", "paths"):
                where = ("spec", "rules", index, "http", "paths", place, "backend", "service")
                places.append((where, mapping(path, "backend", "service")))
        yield from ((ingress, where, backend, text(backend, "name")) for where, backend in places if backend)


@error(
    "ingress-service",
    source="kube-linter dangling-ingress",
    fix="Correct the backend's service name, or add the Service.",
)
def ingress_service(rendering: Rendering) -> Iterator[Problem]:
    """A path to a Service that is not there is answered with 503."""
    for ingress, path, _, name in _backends(rendering):
        target = ("", "Service", name)
        yield from rendering.dangling(ingress, (*path, "name"), target, f"leads to Service/{name}, which")


@error(
    "ingress-port",
    source="issue: ingress to a port that is not there",
    fix="Use a port name or number that the Service has.",
)
def ingress_port(rendering: Rendering) -> Iterator[Problem]:
    """A path to a port that the Service does not have is answered with 503."""
    for ingress, path, backend, name in _backends(rendering):
        service = rendering.find("", "Service", ingress.namespace, name)
        named = get(backend, "port", "name") or get(backend, "port", "number")
        ports = _ports(service) if service else []
        if service and not any(named in (port.get("name"), port.get("port")) for _, port in ports):
            yield ingress.problem(f"{service.title} has no port {named}", *path, "port")


@error(
    "ingress-tls",
    source="issue: TLS; Polaris tlsSettingsMissing",
    fix="Add spec.tls with the rule's host and a secretName.",
)
def ingress_tls(rendering: Rendering) -> Iterator[Problem]:
    """A host without TLS sends what people type, and their cookies, in the clear."""
    for ingress in _ingresses(rendering):
        entries = [entry for _, entry in mappings(ingress.data, "spec", "tls")]
        hosts = {str(host) for entry in entries for host in sequence(entry, "hosts")}
        if _TLS_ELSEWHERE & ingress.annotations.keys():
            continue
        if not sequence(ingress.data, "spec", "tls"):
            yield ingress.problem("has no TLS", "spec", "tls")
            continue
        for index, item in mappings(ingress.data, "spec", "rules"):
            host = text(item, "host")
            if host and hosts and host not in hosts and f"*.{host.partition('.')[2]}" not in hosts:
                yield ingress.problem(f"no entry of tls covers {host}", "spec", "rules", index, "host")


warning.each(
    "ingress-class",
    "Without a class, the cluster's default controller takes it, or none does.",
    _ingresses,
    lambda ingress: not text(ingress.data, "spec", "ingressClassName") and "names no ingress class",
    at=("spec", "ingressClassName"),
    source="issue: the class patched by the overlay; Kubernetes: IngressClass",
    fix="Patch spec.ingressClassName in the overlay.",
    environments=SERVED,
)


@warning(
    "ingress-annotation",
    source="issue: no controller's annotation",
    fix="Remove the annotation; say it with the Ingress's own fields, or in the application.",
)
def ingress_annotation(rendering: Rendering) -> Iterator[Problem]:
    """A controller's annotation means nothing to the next controller: the manifest works in one cluster only."""
    for ingress in _ingresses(rendering):
        for key in ingress.annotations:
            if key == _CLASS_ANNOTATION or _CONTROLLERS.search(key):
                yield ingress.problem(f"has the annotation {key}", "metadata", "annotations", key)


# NetworkPolicies: nothing flows that is not said, and what is said flows.


def _selects_all(policy: Manifest) -> bool:
    return not mapping(policy.data, "spec", "podSelector")


@warning(
    "network-default-deny",
    source="issue: NetworkPolicies, default deny both ways; Kubernetes: network policies, default policies",
    fix="Add a NetworkPolicy with podSelector: {}, policyTypes: [Ingress, Egress] and no rules.",
)
def network_default_deny(rendering: Rendering) -> Iterator[Problem]:
    """Without a default, a pod that no policy thought of is open to the cluster and may call the internet."""
    denied: dict[str, set[str]] = {}
    for policy in filter(_selects_all, Flows(rendering).policies):
        for direction in directions(policy):
            if not sequence(policy.data, "spec", direction.lower()):
                denied.setdefault(policy.namespace, set()).add(direction)
    firsts = {workload.manifest.namespace: workload for workload in reversed(rendering.workloads)}
    for namespace, workload in firsts.items():
        closed = {item for name, ways in denied.items() if same_namespace(name, namespace) for item in ways}
        for direction in sorted({INGRESS, EGRESS} - closed):
            message = f"namespace {namespace or '(any)'} has no default deny for {direction.lower()}"
            yield workload.manifest.problem(message, "metadata", "namespace")


@warning(
    "network-policy-missing",
    source="issue: missing network policy; Polaris missingNetworkPolicy; kube-linter non-isolated-pod",
    fix="Add a NetworkPolicy that selects these pods by label and says what they may reach and who may reach them.",
)
def network_policy_missing(rendering: Rendering) -> Iterator[Problem]:
    """Nobody has said who talks to these pods: they are open to all, or cut off from what they need."""
    flows = Flows(rendering)
    for workload in rendering.workloads:
        if all(_selects_all(policy) for policy in flows.of(workload)):
            yield workload.manifest.problem("no NetworkPolicy names its pods", *workload.template, "metadata", "labels")


@error(
    "network-policy-selector",
    source="kube-linter dangling-networkpolicy",
    fix="Correct podSelector; compare it with the labels of the pod template.",
)
def network_policy_selector(rendering: Rendering) -> Iterator[Problem]:
    """A policy that selects no pods allows and forbids nothing."""
    flows = Flows(rendering)
    for policy in flows.policies:
        if not _selects_all(policy) and not flows.selected(policy):
            yield rendering.selects_nothing(policy, "spec", "podSelector")


@error(
    "network-policy-peer",
    source="kube-linter dangling-networkpolicypeer-podselector",
    fix="Correct the peer's podSelector, or add namespaceSelector if the pods are elsewhere.",
)
def network_policy_peer(rendering: Rendering) -> Iterator[Problem]:
    """A peer that is no pod of its namespace allows nothing; without namespaceSelector, others are not meant."""
    for policy in Flows(rendering).policies:
        for direction, field in ((INGRESS, "from"), (EGRESS, "to")):
            for index, place, _, selector in local_peers(policy, direction):
                if not rendering.selected(selector, policy.namespace):
                    path = ("spec", direction.lower(), index, field, place, "podSelector")
                    yield rendering.selects_nothing(policy, *path)


@error(
    "network-policy-port",
    source="issue: ingress -> frontend, ingress and frontend -> backend; Kubernetes: NetworkPolicy, ports",
    fix="Use the pod's port (not the Service's), by number or by name.",
)
def network_policy_port(rendering: Rendering) -> Iterator[Problem]:
    """A policy counts the pod's own ports: one that the pods do not open allows nothing."""
    flows = Flows(rendering)
    for policy in flows.policies if rendering.workloads else ():
        servers = [] if _selects_all(policy) else flows.selected(policy)
        for index, item in mappings(policy.data, "spec", "ingress"):
            for place, entry in mappings(item, "ports"):
                port = entry.get("port")
                single = isinstance(port, int | str) and "endPort" not in entry
                if servers and single and not any(_may_open(rendering, server, port) for server in servers):
                    path = ("spec", "ingress", index, "ports", place, "port")
                    message = f"port {port} is no port of the pods that it selects"
                    yield policy.problem(message, *path, inconclusive=rendering.part)


def _may_open(rendering: Rendering, server: Workload, port: object) -> bool:
    """Say whether the pods may listen on a port: a number need not be declared, but may be a Service's."""
    if isinstance(port, str) or port in server.port_numbers():
        return server.port_number(port) is not None
    ports = [item for service in rendering.services_of(server) for _, item in _ports(service)]
    return not any(item.get("port") == port and item.get("targetPort", port) != port for item in ports)


@error(
    "network-unreachable",
    source="issue: NetworkPolicies, ingress -> frontend, ingress and frontend -> backend, backend -> database",
    fix="Add a policy that allows ingress to the pods on the Service's target port.",
)
def network_unreachable(rendering: Rendering) -> Iterator[Problem]:
    """A Service whose pods let nobody in: every connection to it runs into a timeout."""
    flows = Flows(rendering)
    for service in rendering.services:
        for index, port in _ports(service):
            for workload in rendering.behind(service):
                number = workload.port_number(port.get("targetPort", port.get("port")))
                protocol = text(port, "protocol") or "TCP"
                declared = number in workload.port_numbers()  # of another one, service-port tells
                if number and declared and not flows.allows(workload, INGRESS, Port(number, protocol), None):
                    message = f"no policy lets anybody reach {workload.manifest.title} on port {number}"
                    yield service.problem(message, "spec", "ports", index, inconclusive=rendering.part)


@error(
    "network-dns",
    source="issue: NetworkPolicies, DNS",
    fix="Allow egress to the cluster's DNS on port 53, UDP and TCP.",
)
def network_dns(rendering: Rendering) -> Iterator[Problem]:
    """A pod that may not ask DNS finds no Service by its name, whatever else it may reach."""
    flows = Flows(rendering)
    for workload in rendering.workloads:
        missing = [port.protocol for port in _DNS if not flows.allows(workload, EGRESS, port, None)]
        # A pod that no policy lets reach anything calls nobody, and needs no names.
        if missing and any(sequence(policy.data, "spec", "egress") for policy in flows.of(workload)):
            message = f"its pods may not ask DNS ({', '.join(missing)} port 53)"
            path = (*workload.template, "metadata", "labels")
            yield workload.manifest.problem(message, *path, inconclusive=rendering.part)


@error(
    "network-one-sided",
    source="issue: NetworkPolicies, default deny both ways; Kubernetes: both sides must allow a connection",
    fix="Allow it on the other side too: egress of the client and ingress of the server.",
)
def network_one_sided(rendering: Rendering) -> Iterator[Problem]:
    """A connection needs the client's egress and the server's ingress; allowed on one side only, it times out."""
    flows = Flows(rendering)
    for policy in flows.policies:
        for direction, other in ((EGRESS, INGRESS), (INGRESS, EGRESS)):
            for index, _, item, selector in local_peers(policy, direction):
                for ours in flows.selected(policy) if selector else ():
                    for theirs in rendering.selected(selector, policy.namespace):
                        server = theirs if direction == EGRESS else ours
                        for port in rule_ports(item, server):
                            if theirs.manifest is not ours.manifest and not flows.allows(theirs, other, port, ours):
                                title, way = theirs.manifest.title, other.lower()
                                message = f"{title} does not allow the same {way} on {port.number}"
                                path = ("spec", direction.lower(), index)
                                yield policy.problem(message, *path, inconclusive=rendering.part)
