"""What NetworkPolicies allow between pods. https://kubernetes.io/docs/concepts/services-networking/network-policies/"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from devenv.manifests import access
from devenv.manifests.model import Manifest
from devenv.manifests.rendering import Rendering, Workload

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
        if pods is not None and not access.labels_match(pods, peer.labels):
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
