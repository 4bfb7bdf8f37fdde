"""Services, their endpoint slices, and Ingresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.backends.kube.fields import key_of, mapping, mappings, number, selector_text, word
from devenv.backends.kube.parse.common import Parsed, base, facts
from devenv.core.model import Health, Port, ServiceFacts, State

SERVICE_LABEL: Final = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What one endpoint slice holds: keys of pods that are ready and that are not; without a pod, their address."""

    namespace: str
    service: str
    ready: frozenset[str]
    unready: frozenset[str]


def parse_service(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a Service; how many endpoints it has is added by the cache."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    kind = word(spec.get("type")) or "ClusterIP"
    ports = mappings(spec.get("ports"))
    outside = [
        word(item.get("ip") or item.get("hostname"))
        for item in mappings(mapping(status.get("loadBalancer")).get("ingress"))
    ]
    outside += [word(address) for address in spec.get("externalIPs") or () if isinstance(address, str)]
    pending = kind == "LoadBalancer" and not outside
    selector = selector_text(spec.get("selector"))
    resource = base(
        raw,
        "service",
        context,
        State.CREATED if pending else State.RUNNING,
        service=word(mapping(raw.get("metadata")).get("name")),
        status=kind,
        why="waits for an address from a load balancer (on minikube: `minikube tunnel`)" if pending else "",
        health=Health.STARTING if pending else Health.NONE,
        ports=tuple(
            Port(
                number(item.get("port")),
                (word(item.get("protocol")) or "TCP").lower(),
                number(item.get("nodePort")) or None,
            )
            for item in ports
        ),
        kind_facts=ServiceFacts(selector),
        facts=facts(
            ("type", kind),
            ("cluster ip", word(spec.get("clusterIP"))),
            ("external", ",".join(outside) or ("<pending>" if pending else word(spec.get("externalName")))),
            ("ports", ",".join(map(_port, ports))),
            ("selector", selector),
        ),
    )
    return Parsed(resource, ("SyncLoadBalancerFailed",) if pending else ())


def parse_endpoint_slice(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of an endpoint slice."""
    endpoints = endpoints_of(raw)
    resource = base(
        raw,
        "endpointslice",
        context,
        State.RUNNING,
        service=endpoints.service,
        ready=(len(endpoints.ready), len(endpoints.ready) + len(endpoints.unready)),
        facts=facts(
            ("addresses", word(raw.get("addressType"))),
            ("ports", ",".join(_port(item) for item in mappings(raw.get("ports")))),
        ),
    )
    return Parsed(resource)


def endpoints_of(raw: Mapping[str, Any]) -> Endpoints:
    """Return which pods a slice sends traffic to; an unset `ready` means true (discovery/v1 EndpointConditions)."""
    meta = mapping(raw.get("metadata"))
    ready: set[str] = set()
    unready: set[str] = set()
    for item in mappings(raw.get("endpoints")):
        pod = mapping(item.get("targetRef"))
        addresses = item.get("addresses")
        uid = pod.get("uid")
        if isinstance(uid, str):
            name = key_of(uid)
        else:
            name = word(addresses[0]) if isinstance(addresses, list) and addresses else ""
        (unready if mapping(item.get("conditions")).get("ready") is False else ready).add(name)
    return Endpoints(
        word(meta.get("namespace")),
        word(mapping(meta.get("labels")).get(SERVICE_LABEL)),
        frozenset(ready),
        frozenset(unready - ready),
    )


def _port(port: Mapping[str, Any]) -> str:
    target = port.get("targetPort")
    shown = f"{number(port.get('port'))}"
    shown += f":{number(port.get('nodePort'))}" if port.get("nodePort") else ""
    if target not in (None, port.get("port")):
        shown += f"->{word(target) if isinstance(target, str) else number(target)}"
    protocol = word(port.get("protocol"))
    return shown if protocol in ("TCP", "") else f"{shown}/{protocol}"


def parse_ingress(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of an Ingress; it belongs to a service where it leads to one alone."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    rules = mappings(spec.get("rules"))
    paths = [
        (word(rule.get("host")) or "*", word(path.get("path")) or "/", _backend(mapping(path.get("backend"))))
        for rule in rules
        for path in mappings(mapping(rule.get("http")).get("paths"))
    ]
    default = _backend(mapping(spec.get("defaultBackend")))
    services = {target.partition(":")[0] for _, _, target in paths} | (
        {default.partition(":")[0]} if default else set()
    )
    addresses = [
        word(item.get("ip") or item.get("hostname"))
        for item in mappings(mapping(status.get("loadBalancer")).get("ingress"))
    ]
    ingress_class = word(spec.get("ingressClassName"))
    annotations = mapping(mapping(raw.get("metadata")).get("annotations"))
    no_class = not ingress_class and not annotations.get("kubernetes.io/ingress.class")
    tls = [host for item in mappings(spec.get("tls")) for host in item.get("hosts") or () if isinstance(host, str)]
    resource = base(
        raw,
        "ingress",
        context,
        State.RUNNING,
        service=next(iter(services)) if len(services) == 1 else "",
        status=",".join(addresses) or "no address",
        why="names no ingress class: only a default controller takes it" if no_class else "",
        facts=facts(
            ("class", ingress_class or word(annotations.get("kubernetes.io/ingress.class"))),
            ("hosts", ",".join(dict.fromkeys(host for host, _, _ in paths))),
            ("paths", ", ".join(f"{host}{path} -> {target}" for host, path, target in paths)),
            ("default backend", default),
            ("address", ",".join(addresses)),
            ("tls", ",".join(word(host) for host in tls)),
        ),
    )
    return Parsed(resource)


def _backend(backend: Mapping[str, Any]) -> str:
    service = mapping(backend.get("service"))
    if not service:
        return word(mapping(backend.get("resource")).get("name"))
    port = mapping(service.get("port"))
    return f"{word(service.get('name'))}:{port.get('number') or word(port.get('name'))}"
