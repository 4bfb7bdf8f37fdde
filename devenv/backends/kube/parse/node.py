"""Nodes: readiness, pressures, cordons, and what they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devenv.backends.kube.parse.common import (
    Parsed,
    base,
    conditions,
    facts,
    joined,
    mapping,
    mappings,
    quantity,
    why_not,
    word,
)
from devenv.core.model import Health, State
from devenv.core.text import human_bytes

_ROLE: Final = "node-role.kubernetes.io/"
_OLD_ROLE: Final = "kubernetes.io/role"
_PRESSURES: Final = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def parse_node(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a node."""
    spec, status, meta = mapping(raw.get("spec")), mapping(raw.get("status")), mapping(raw.get("metadata"))
    told = conditions(status)
    ready = mapping(told.get("Ready"))
    pressures = [told[name] for name in _PRESSURES if mapping(told.get(name)).get("status") == "True"]
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
