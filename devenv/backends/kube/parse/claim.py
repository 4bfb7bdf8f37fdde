"""Persistent volume claims and volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devenv.backends.kube.parse.common import Parsed, base, conditions, facts, joined, mapping, text, why_not, word
from devenv.core.model import Health, State

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
