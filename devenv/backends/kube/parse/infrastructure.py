"""What pods need of the cluster, and what leads to them: nodes, volumes, services with their slices, Ingresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.backends.kube.fields import (
    Parsed,
    base,
    conditions,
    facts,
    joined,
    key_of,
    mapping,
    mappings,
    number,
    quantity,
    selector_text,
    text,
    why_not,
    word,
)
from devenv.core.model import Health, Port, ServiceFacts, State
from devenv.core.text import human_bytes

_ROLE: Final = "node-role.kubernetes.io/"
_OLD_ROLE: Final = "kubernetes.io/role"
_PRESSURES: Final = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def parse_node(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a node."""
    spec, status, meta = mapping(raw.get("spec")), mapping(raw.get("status")), mapping(raw.get("metadata"))
    states = conditions(status)
    ready = mapping(states.get("Ready"))
    pressures = [states[name] for name in _PRESSURES if mapping(states.get(name)).get("status") == "True"]
    cordoned = spec.get("unschedulable") is True
    info, allocatable = mapping(status.get("nodeInfo")), mapping(status.get("allocatable"))
    words = (
        "" if ready.get("status") == "True" else f"not ready: {why_not(ready, 'its kubelet says nothing')}",
        *(why_not(item) for item in pressures),
        "cordoned: takes no new pods" if cordoned else "",
    )
    is_up = ready.get("status") == "True"
    status_word = "Ready" if is_up else "NotReady" if ready else "Unknown"
    status_word += ",SchedulingDisabled" if cordoned else ""
    labels = mapping(meta.get("labels"))
    roles = {word(name.removeprefix(_ROLE)) for name in labels if name.startswith(_ROLE)}
    addresses = {item.get("type"): word(item.get("address")) for item in mappings(status.get("addresses"))}
    memory = quantity(allocatable.get("memory"))
    resource = base(
        raw,
        "node",
        context,
        (State.PAUSED if cordoned else State.RUNNING)
        if is_up
        else State.UNKNOWN
        if ready.get("status") == "Unknown"
        else State.DEAD,
        health=Health.HEALTHY if is_up and not pressures else Health.UNHEALTHY,
        status=status_word,
        leaving_status=status_word,
        why=joined(words),
        facts=facts(
            ("roles", ",".join(sorted({*roles, word(labels.get(_OLD_ROLE))} - {""}))),
            ("version", word(info.get("kubeletVersion"))),
            ("cpu", word(str(allocatable.get("cpu") or ""))),
            ("memory", human_bytes(memory) if memory is not None else ""),
            ("pods", word(str(allocatable.get("pods") or ""))),
            ("ip", addresses.get("InternalIP", "")),
            ("runtime", word(info.get("containerRuntimeVersion"))),
            ("os", word(info.get("osImage"))),
            ("taints", ",".join(f"{word(t.get('key'))}:{word(t.get('effect'))}" for t in mappings(spec.get("taints")))),
        ),
    )
    return Parsed(resource, memory_limit=int(memory) if memory is not None else None)


# Events of the volume controller (pkg/controller/volume/events/event.go).
_PENDING: Final = ("ProvisioningFailed", "FailedBinding", "WaitForFirstConsumer", "WaitForPodScheduled")
_MODES: Final = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_OLD_CLASS: Final = "volume.beta.kubernetes.io/storage-class"  # it still wins over spec.storageClassName
_STATES: Final = {
    "Bound": State.RUNNING,
    "Available": State.RUNNING,
    "Pending": State.CREATED,
    "Released": State.EXITED,
    "Lost": State.DEAD,
    "Failed": State.DEAD,
}


def parse_claim(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a claim."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    phase = word(status.get("phase"))
    annotations = mapping(mapping(raw.get("metadata")).get("annotations"))
    resizing = mapping(conditions(status).get("FileSystemResizePending"))
    pending = phase == "Pending"
    lost = "its volume is gone, and the data with it" if phase == "Lost" else ""
    resource = base(
        raw,
        "persistentvolumeclaim",
        context,
        _STATES.get(phase, State.UNKNOWN),
        status=phase,
        health=Health.UNHEALTHY if phase == "Lost" else Health.STARTING if pending else Health.HEALTHY,
        why=joined(("waits for a volume" if pending else "", lost, why_not(resizing) if resizing else "")),
        facts=facts(
            ("capacity", word(mapping(status.get("capacity")).get("storage"))),
            ("request", word(mapping(mapping(spec.get("resources")).get("requests")).get("storage"))),
            ("class", word(annotations.get(_OLD_CLASS) or spec.get("storageClassName"))),
            ("access", _access(status if status.get("accessModes") else spec)),
            ("volume", word(spec.get("volumeName"))),
        ),
    )
    return Parsed(resource, _PENDING if pending else ())


def parse_volume(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a volume: `reclaim` says whether its data goes with its claim."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    phase = word(status.get("phase"))
    claim = mapping(spec.get("claimRef"))
    resource = base(
        raw,
        "persistentvolume",
        context,
        _STATES.get(phase, State.UNKNOWN),
        status=phase,
        health=Health.UNHEALTHY if phase == "Failed" else Health.NONE,
        why=text(status.get("message")),
        facts=facts(
            ("capacity", word(mapping(spec.get("capacity")).get("storage"))),
            ("class", word(spec.get("storageClassName"))),
            ("access", _access(spec)),
            ("claim", f"{word(claim.get('namespace'))}/{word(claim.get('name'))}" if claim else ""),
            ("reclaim", word(spec.get("persistentVolumeReclaimPolicy"))),
        ),
    )
    return Parsed(resource, ("VolumeFailedDelete",) if phase in ("Failed", "Released") else ())


def _access(spec: Mapping[str, Any]) -> str:
    modes = spec.get("accessModes")
    return ",".join(_MODES.get(mode, word(mode)) for mode in modes) if isinstance(modes, list) else ""


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
