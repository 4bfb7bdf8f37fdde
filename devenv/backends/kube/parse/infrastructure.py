"""What pods need of the cluster: nodes, and persistent volumes with their claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devenv.backends.kube.fields import conditions, mapping, mappings, text, why_not, word
from devenv.backends.kube.parse.common import Parsed, base, facts, joined, quantity
from devenv.core.model import Health, State
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
