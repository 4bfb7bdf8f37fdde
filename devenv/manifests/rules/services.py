"""Services: that they reach pods, on ports that the pods open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering

_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?")  # RFC 6335, section 5.1


@rule(
    "service-dangling",
    source="issue: dangling service; kube-linter dangling-service",
    fix="Correct spec.selector; compare it with the labels of the pod template.",
    severity=ERROR,
)
def service_dangling(rendering: Rendering) -> Iterator[Problem]:
    """A Service whose selector matches no pods answers every connection with a refusal."""
    for service in rendering.services:
        if access.mapping(service.data, "spec", "selector") and not rendering.behind(service):
            doubt = rendering.absence("")
            yield Problem(service, ("spec", "selector"), "selects no pods of this rendering", doubt=doubt)


@rule(
    "service-port",
    source="Kubernetes: Service, field targetPort",
    fix="Let targetPort be the name of a port that the pods' containers declare, or the number that they listen on.",
    severity=ERROR,
)
def service_port(rendering: Rendering) -> Iterator[Problem]:
    """A target port by a name that no container has leads nowhere. A number need not be declared; where pod and
    Service have one port each and the numbers differ, it is most likely the wrong one."""
    for service in rendering.services:
        ports = list(access.mappings(service.data, "spec", "ports"))
        for index, port in ports:
            target = port.get("targetPort", port.get("port"))
            for workload in rendering.behind(service):
                declared = workload.port_numbers()
                doubt = rendering.part
                if isinstance(target, int):
                    if target in declared or len(declared) != 1 or len(ports) != 1:
                        continue
                    doubt = f"it declares {min(declared)}; a number need not be declared"
                elif workload.port_number(target) is not None:
                    continue
                message = f"targetPort {target} is no port of {workload.manifest.title}"
                yield Problem(service, ("spec", "ports", index, "targetPort"), message, doubt=doubt)


@rule(
    "service-type",
    source="issue: ClusterIP services; kube-linter exposed-services",
    fix="type: ClusterIP, with an Ingress or a Gateway route for what is public.",
)
def service_type(rendering: Rendering) -> Iterator[Problem]:
    """A NodePort or LoadBalancer is an open door past the ingress, its TLS and its policy."""
    for service in rendering.services:
        kind = access.text(service.data, "spec", "type")
        if kind not in ("", "ClusterIP", "ExternalName"):
            yield Problem(service, ("spec", "type"), f"is of type {kind}")


@rule(
    "port-name",
    source="kube-linter invalid-target-ports; RFC 6335, section 5.1",
    fix="Name ports in at most 15 lower-case letters, digits and single dashes.",
    severity=ERROR,
)
def port_name(rendering: Rendering) -> Iterator[Problem]:
    """A port name that is no IANA service name is refused by the API server."""
    for container in rendering.containers:
        for index, port in access.mappings(container.data, "ports"):
            name = port.get("name")
            if name is not None and not (isinstance(name, str) and _PORT_NAME.fullmatch(name)):
                path = (*container.path, "ports", index, "name")
                yield Problem(container.manifest, path, f"port name {name} of container {container.name} is not valid")
    for service in rendering.services:
        for index, port in access.mappings(service.data, "spec", "ports"):
            target = port.get("targetPort")
            if isinstance(target, str) and not _PORT_NAME.fullmatch(target):
                yield Problem(service, ("spec", "ports", index, "targetPort"), f"port name {target} is not valid")
