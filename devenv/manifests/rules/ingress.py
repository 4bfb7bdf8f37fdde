"""Ingresses: that they lead somewhere, over TLS, with any controller."""

from __future__ import annotations

import re
from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Manifest, ObjectPath, Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering

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


def _ingresses(rendering: Rendering) -> list[Manifest]:
    return rendering.of("networking.k8s.io", "Ingress")


def _backends(ingress: Manifest) -> Iterator[tuple[ObjectPath, dict[str, object]]]:
    default = access.mapping(ingress.data, "spec", "defaultBackend", "service")
    if default:
        yield ("spec", "defaultBackend", "service"), default
    for index, item in access.mappings(ingress.data, "spec", "rules"):
        for place, path in access.mappings(item, "http", "paths"):
            service = access.mapping(path, "backend", "service")
            if service:
                yield ("spec", "rules", index, "http", "paths", place, "backend", "service"), service


@rule(
    "ingress-service",
    source="kube-linter dangling-ingress",
    fix="Correct the backend's service name, or add the Service.",
    severity=ERROR,
)
def ingress_service(rendering: Rendering) -> Iterator[Problem]:
    """A path to a Service that is not there is answered with 503."""
    for ingress in _ingresses(rendering):
        for path, service in _backends(ingress):
            name = access.text(service, "name")
            if rendering.find("", "Service", ingress.namespace, name) is None:
                message = f"leads to Service/{name}, which is not in this rendering"
                yield Problem(ingress, (*path, "name"), message, doubt=rendering.absence("Service", name))


@rule(
    "ingress-port",
    source="issue: ingress to a port that is not there",
    fix="Use a port name or number that the Service has.",
    severity=ERROR,
)
def ingress_port(rendering: Rendering) -> Iterator[Problem]:
    """A path to a port that the Service does not have is answered with 503."""
    for ingress in _ingresses(rendering):
        for path, backend in _backends(ingress):
            service = rendering.find("", "Service", ingress.namespace, access.text(backend, "name"))
            if service is None:
                continue
            wanted = access.get(backend, "port", "name") or access.get(backend, "port", "number")
            ports = [port for _, port in access.mappings(service.data, "spec", "ports")]
            if not any(wanted in (port.get("name"), port.get("port")) for port in ports):
                yield Problem(ingress, (*path, "port"), f"{service.title} has no port {wanted}")


@rule(
    "ingress-tls",
    source="issue: TLS; Polaris tlsSettingsMissing",
    fix="Add spec.tls with the rule's host and a secretName.",
    severity=ERROR,
)
def ingress_tls(rendering: Rendering) -> Iterator[Problem]:
    """A host without TLS sends what people type, and their cookies, in the clear."""
    for ingress in _ingresses(rendering):
        hosts = {
            host for _, tls in access.mappings(ingress.data, "spec", "tls") for host in access.sequence(tls, "hosts")
        }
        if _TLS_ELSEWHERE & ingress.annotations.keys():
            continue
        if not access.sequence(ingress.data, "spec", "tls"):
            yield Problem(ingress, ("spec", "tls"), "has no TLS")
            continue
        for index, item in access.mappings(ingress.data, "spec", "rules"):
            host = access.text(item, "host")
            if host and hosts and host not in hosts and f"*.{host.partition('.')[2]}" not in hosts:
                yield Problem(ingress, ("spec", "rules", index, "host"), f"no entry of tls covers {host}")


@rule(
    "ingress-class",
    source="issue: the class patched by the overlay; Kubernetes: IngressClass",
    fix="Patch spec.ingressClassName in the overlay.",
)
def ingress_class(rendering: Rendering) -> Iterator[Problem]:
    """Without a class, the cluster's default controller takes it, or none does."""
    for ingress in _ingresses(rendering):
        if not access.text(ingress.data, "spec", "ingressClassName"):
            yield Problem(ingress, ("spec", "ingressClassName"), "names no ingress class")


@rule(
    "ingress-annotation",
    source="issue: no controller's annotation",
    fix="Remove the annotation; say it with the Ingress's own fields, or in the application.",
)
def ingress_annotation(rendering: Rendering) -> Iterator[Problem]:
    """A controller's annotation means nothing to the next controller: the manifest works in one cluster only."""
    for ingress in _ingresses(rendering):
        for key in ingress.annotations:
            if key == _CLASS_ANNOTATION or _CONTROLLERS.search(key):
                yield Problem(ingress, ("metadata", "annotations", key), f"has the annotation {key}")
