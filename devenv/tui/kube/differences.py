"""In what a service differs between Compose and a cluster: image, environment, ports, health check and resources.

Compose's side is its canonical document (`docker compose config --format json`), the cluster's the workload's object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from devenv.core.errors import DevenvError
from devenv.core.masking import MASK, mask_secrets
from devenv.core.model import Resource
from devenv.manifests import access
from devenv.tui.detail import Difference
from devenv.tui.kube.session import ClusterSession

Differences = tuple[Difference, ...] | str  # or why they are not known


def differences(
    service: Mapping[str, Any], workload: Mapping[str, Any], configs: Mapping[str, Mapping[str, str]]
) -> tuple[Difference, ...]:
    """Compare a service of Compose with a workload's first container; `configs` are ConfigMaps that it takes in."""
    return tuple(_differences(service, _container(workload), configs))


def shared_configs(workload: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the ConfigMaps whose entries are the container's environment."""
    sources = access.mappings(_container(workload), "envFrom")
    names = (access.get(source, "configMapRef", "name") for _, source in sources)
    return tuple(str(name) for name in names if name)


def _container(workload: Mapping[str, Any]) -> dict[str, Any]:
    template = access.get(workload, "spec", "template", "spec") or access.get(workload, "spec")
    return next((item for _, item in access.mappings(template, "containers")), {})


def _differences(
    service: Mapping[str, Any], container: Any, configs: Mapping[str, Mapping[str, str]]
) -> Iterator[Difference]:
    pairs = (
        ("image", _text(service, "image"), _text(container, "image")),
        ("ports", _compose_ports(service), _cluster_ports(container)),
        ("health check", _compose_health(service), _cluster_health(container)),
        ("memory limit", _compose_limit(service, "memory", "mem_limit"), _limit(container, "memory")),
        ("cpu limit", _compose_limit(service, "cpus", "cpus"), _limit(container, "cpu")),
    )
    for what, compose, cluster in pairs:
        if compose != cluster and not _same_quantity(what, compose, cluster):
            yield Difference(what, compose, cluster)
    yield from _environment(service, container, configs)


def _environment(
    service: Mapping[str, Any], container: Any, configs: Mapping[str, Mapping[str, str]]
) -> Iterator[Difference]:
    own = {str(name): str(value) for name, value in access.mapping(service, "environment").items()}
    there: dict[str, str] = {}
    secrets = []
    for _, source in access.mappings(container, "envFrom"):
        name = str(access.get(source, "configMapRef", "name") or "")
        there |= {f"{source.get('prefix', '')}{key}": str(value) for key, value in configs.get(name, {}).items()}
        secrets += [str(access.get(source, "secretRef", "name"))] if source.get("secretRef") else []
    for _, item in access.mappings(container, "env"):
        value = item.get("value")
        there[str(item.get("name"))] = str(value) if value is not None else _source(item.get("valueFrom"))
    for name in sorted(own.keys() | there.keys()):
        mine, other = own.get(name, ""), there.get(name, "")
        if name not in there and secrets:
            other = f"perhaps from secret {', '.join(secrets)}"
        if mine != other:
            yield Difference(f"environment {name}", _hidden(name, mine), _hidden(name, other))


def _hidden(name: str, value: str) -> str:
    if not value or value.startswith(("from ", "perhaps from ")):
        return value
    return MASK if mask_secrets(f"{name}={value}") != f"{name}={value}" else value


def _source(value: Any) -> str:
    for kind in ("configMapKeyRef", "secretKeyRef"):
        name = access.get(value, kind, "name")
        if name:
            return f"from {kind.removesuffix('KeyRef')} {name}, key {access.get(value, kind, 'key')}"
    path = access.get(value, "fieldRef", "fieldPath") or access.get(value, "resourceFieldRef", "resource")
    return f"from {path}" if path else "from elsewhere"


def _compose_ports(service: Mapping[str, Any]) -> str:
    targets = {str(port.get("target")) for _, port in access.mappings(service, "ports")}
    return ", ".join(sorted(targets | {str(port) for port in access.sequence(service, "expose")}))


def _cluster_ports(container: Any) -> str:
    return ", ".join(sorted({str(port.get("containerPort")) for _, port in access.mappings(container, "ports")}))


def _compose_health(service: Mapping[str, Any]) -> str:
    test = access.get(service, "healthcheck", "test")
    words = [str(word) for word in test] if isinstance(test, list) else [str(test)] if test else []
    return " ".join(word for word in words if word not in ("CMD", "CMD-SHELL", "NONE"))


def _cluster_health(container: Any) -> str:
    probe = access.mapping(container, "readinessProbe") or access.mapping(container, "livenessProbe")
    get = access.mapping(probe, "httpGet")
    if get:
        return f"GET {get.get('path', '/')} on port {get.get('port')}"
    command = access.sequence(probe, "exec", "command")
    if command:
        return " ".join(str(word) for word in command)
    return f"TCP port {access.get(probe, 'tcpSocket', 'port')}" if probe.get("tcpSocket") else ""


def _compose_limit(service: Mapping[str, Any], name: str, own: str) -> str:
    value = access.get(service, "deploy", "resources", "limits", name) or service.get(own)
    return str(value) if value else ""


def _limit(container: Any, name: str) -> str:
    return str(access.get(container, "resources", "limits", name) or "")


def _same_quantity(what: str, compose: str, cluster: str) -> bool:
    if not what.endswith("limit") or not (compose and cluster):
        return False
    return access.quantity(compose) == access.quantity(cluster)


def _text(item: Any, name: str) -> str:
    return str(access.get(item, name) or "")


def read_differences(session: ClusterSession, service: str, workload: Resource) -> Differences:
    """Read both sides of a service, which blocks; a sentence says why that was not possible."""
    try:
        declared = session.compose_service(service)
        whole = session.read(workload)
        configs = {name: session.config_map(workload.namespace, name) for name in shared_configs(whole)}
    except DevenvError as error:
        return f"not known: {error.message}"
    return differences(declared, whole, configs)
