"""NetworkPolicies: nothing flows that is not said, and what is said flows."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.flows import EGRESS, INGRESS, Flows, Port, directions, local_peers, rule_ports
from devenv.manifests.model import Manifest, ObjectPath, Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering, Workload, same_namespace

_DNS = (Port(53, "UDP"), Port(53, "TCP"))  # TCP for answers that do not fit a datagram (RFC 7766)


def _selects_all(policy: Manifest) -> bool:
    return not access.mapping(policy.data, "spec", "podSelector")


@rule(
    "network-default-deny",
    source="issue: NetworkPolicies, default deny both ways; Kubernetes: network policies, default policies",
    fix="Add a NetworkPolicy with podSelector: {}, policyTypes: [Ingress, Egress] and no rules.",
)
def network_default_deny(rendering: Rendering) -> Iterator[Problem]:
    """Without a default, a pod that no policy thought of is open to the cluster and may call the internet."""
    denied: dict[str, set[str]] = {}
    for policy in Flows(rendering).policies:
        if _selects_all(policy):
            for direction in directions(policy):
                if not access.sequence(policy.data, "spec", direction.lower()):
                    denied.setdefault(policy.namespace, set()).add(direction)
    told: set[str] = set()
    for workload in rendering.workloads:
        namespace = workload.manifest.namespace
        if namespace in told:
            continue
        told.add(namespace)
        found = {item for name, ways in denied.items() if same_namespace(name, namespace) for item in ways}
        for direction in sorted({INGRESS, EGRESS} - found):
            message = f"namespace {namespace or '(any)'} has no default deny for {direction.lower()}"
            yield Problem(workload.manifest, ("metadata", "namespace"), message)


@rule(
    "network-policy-missing",
    source="issue: missing network policy; Polaris missingNetworkPolicy; kube-linter non-isolated-pod",
    fix="Add a NetworkPolicy that selects these pods by label and says what they may reach and who may reach them.",
)
def network_policy_missing(rendering: Rendering) -> Iterator[Problem]:
    """Nobody has said who talks to these pods: they are open to all, or cut off from what they need."""
    flows = Flows(rendering)
    for workload in rendering.workloads:
        if all(_selects_all(policy) for policy in flows.of(workload)):
            yield Problem(
                workload.manifest, (*workload.template, "metadata", "labels"), "no NetworkPolicy names its pods"
            )


@rule(
    "network-policy-selector",
    source="kube-linter dangling-networkpolicy",
    fix="Correct podSelector; compare it with the labels of the pod template.",
    severity=ERROR,
)
def network_policy_selector(rendering: Rendering) -> Iterator[Problem]:
    """A policy that selects no pods allows and forbids nothing."""
    flows = Flows(rendering)
    for policy in flows.policies:
        if not _selects_all(policy) and not flows.selected(policy):
            message = "selects no pods of this rendering"
            yield Problem(policy, ("spec", "podSelector"), message, doubt=rendering.absence(""))


@rule(
    "network-policy-peer",
    source="kube-linter dangling-networkpolicypeer-podselector",
    fix="Correct the peer's podSelector, or add namespaceSelector if the pods are elsewhere.",
    severity=ERROR,
)
def network_policy_peer(rendering: Rendering) -> Iterator[Problem]:
    """A peer that is no pod of its namespace allows nothing; without namespaceSelector, others are not meant."""
    for policy in Flows(rendering).policies:
        for direction, field in ((INGRESS, "from"), (EGRESS, "to")):
            for index, place, _, selector in local_peers(policy, direction):
                if not rendering.selected(selector, policy.namespace):
                    path: ObjectPath = ("spec", direction.lower(), index, field, place, "podSelector")
                    doubt = rendering.absence("")
                    yield Problem(policy, path, "selects no pods of this rendering", doubt=doubt)


@rule(
    "network-policy-port",
    source="issue: ingress -> frontend, ingress and frontend -> backend; Kubernetes: NetworkPolicy, ports",
    fix="Use the pod's port (not the Service's), by number or by name.",
    severity=ERROR,
)
def network_policy_port(rendering: Rendering) -> Iterator[Problem]:
    """A policy counts the pod's own ports: one that the pods do not open allows nothing."""
    flows = Flows(rendering)
    for policy in flows.policies if rendering.workloads else ():
        for index, item in access.mappings(policy.data, "spec", "ingress"):
            for place, entry in access.mappings(item, "ports"):
                port = entry.get("port")
                servers = [] if _selects_all(policy) else flows.selected(policy)
                ranged = "endPort" in entry or port is None
                if servers and not ranged and not any(_may_open(rendering, server, port) for server in servers):
                    path = ("spec", "ingress", index, "ports", place, "port")
                    message = f"port {port} is no port of the pods that it selects"
                    yield Problem(policy, path, message, doubt=rendering.part)


@rule(
    "network-unreachable",
    source="issue: NetworkPolicies, ingress -> frontend, ingress and frontend -> backend, backend -> database",
    fix="Add a policy that allows ingress to the pods on the Service's target port.",
    severity=ERROR,
)
def network_unreachable(rendering: Rendering) -> Iterator[Problem]:
    """A Service whose pods let nobody in: every connection to it runs into a timeout."""
    flows = Flows(rendering)
    for service in rendering.services:
        for index, port in access.mappings(service.data, "spec", "ports"):
            for workload in rendering.behind(service):
                number = workload.port_number(port.get("targetPort", port.get("port")))
                protocol = access.text(port, "protocol") or "TCP"
                declared = number in workload.port_numbers()  # of another one, service-port tells
                if number and declared and not flows.allows(workload, INGRESS, Port(number, protocol), None):
                    message = f"no policy lets anybody reach {workload.manifest.title} on port {number}"
                    yield Problem(service, ("spec", "ports", index), message, doubt=rendering.part)


@rule(
    "network-dns",
    source="issue: NetworkPolicies, DNS",
    fix="Allow egress to the cluster's DNS on port 53, UDP and TCP.",
    severity=ERROR,
)
def network_dns(rendering: Rendering) -> Iterator[Problem]:
    """A pod that may not ask DNS finds no Service by its name, whatever else it may reach."""
    flows = Flows(rendering)
    for workload in rendering.workloads:
        missing = [port.protocol for port in _DNS if not flows.allows(workload, EGRESS, port, None)]
        if missing and _speaks(flows, workload.manifest, rendering):
            path = (*workload.template, "metadata", "labels")
            yield Problem(
                workload.manifest,
                path,
                f"its pods may not ask DNS ({', '.join(missing)} port 53)",
                doubt=rendering.part,
            )


@rule(
    "network-one-sided",
    source="issue: NetworkPolicies, default deny both ways; Kubernetes: both sides must allow a connection",
    fix="Allow it on the other side too: egress of the client and ingress of the server.",
    severity=ERROR,
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
                                message = (
                                    f"{theirs.manifest.title} does not allow the same {other.lower()} on {port.number}"
                                )
                                path = ("spec", direction.lower(), index)
                                yield Problem(policy, path, message, doubt=rendering.part)


def _may_open(rendering: Rendering, server: Workload, port: object) -> bool:
    """Say whether the pods may listen on a port: a number need not be declared, but may be a Service's."""
    if isinstance(port, str) or port in server.port_numbers():
        return server.port_number(port) is not None
    ports = [
        item for service in rendering.services_of(server) for _, item in access.mappings(service.data, "spec", "ports")
    ]
    return not any(item.get("port") == port and item.get("targetPort", port) != port for item in ports)


def _speaks(flows: Flows, manifest: Manifest, rendering: Rendering) -> bool:
    """Say whether any policy allows the pods to reach something; a pod that calls nobody needs no names."""
    for workload in rendering.workloads:
        if workload.manifest is manifest:
            return any(access.sequence(policy.data, "spec", "egress") for policy in flows.of(workload))
    return False
