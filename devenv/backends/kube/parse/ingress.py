"""Ingresses: hosts, paths and the services behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devenv.backends.kube.parse.common import Parsed, base, facts, mapping, mappings, word
from devenv.core.model import State


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
