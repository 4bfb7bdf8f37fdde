"""What becomes of the data when a claim or a volume is deleted.

Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, NotFound
from devenv.backends.kube.kinds import PVS
from devenv.core.text import sanitize


@dataclass(frozen=True, slots=True)
class VolumeFate:
    """One claim: `lost` whether its data go with it (None: cannot be told), and a sentence that says so."""

    claim: str
    lost: bool | None
    sentence: str


def fate_of_claim(client: KubeClient, claim: Mapping[str, Any]) -> VolumeFate:
    """Return what happens to the data of a PersistentVolumeClaim that is deleted; raises KubeError."""
    name = sanitize(str(claim["metadata"]["name"]))
    volume = str((claim.get("spec") or {}).get("volumeName") or "")
    size = str(((claim.get("status") or {}).get("capacity") or {}).get("storage") or "")
    about = f"claim {name} ({sanitize(size)})" if size else f"claim {name}"
    if not volume:
        return VolumeFate(name, False, f"{about} has no volume yet, so no data")
    try:
        found = client.get(PVS.path(name=volume))
    except Forbidden:
        return VolumeFate(name, None, f"{about}: you may not read its volume, so count its data as lost")
    except NotFound:
        return VolumeFate(name, False, f"{about}: its volume {sanitize(volume)} is gone already")
    return _fate(name, about, found)


def fate_of_volume(volume: Mapping[str, Any]) -> VolumeFate:
    """Return what happens to the data of a PersistentVolume that is deleted itself: its backing store stays."""
    name = sanitize(str(volume["metadata"]["name"]))
    return VolumeFate(name, False, f"volume {name}: the storage behind it stays, but nothing in the cluster names it")


def _fate(name: str, about: str, volume: Mapping[str, Any]) -> VolumeFate:
    shown = sanitize(str(volume["metadata"]["name"]))
    policy = (volume.get("spec") or {}).get("persistentVolumeReclaimPolicy")
    if policy == "Retain":
        return VolumeFate(name, False, f"{about}: its data stay on volume {shown} (reclaim policy Retain)")
    if policy == "Recycle":
        return VolumeFate(name, True, f"{about}: volume {shown} is emptied (reclaim policy Recycle)")
    return VolumeFate(name, True, f"{about}: volume {shown} and all data on it are deleted (reclaim policy Delete)")
