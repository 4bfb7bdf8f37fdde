"""One object in the book, and its names there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from devenv.backends.kube.kinds import KNOWN, Kind
from devenv.backends.kube.parse import Parsed
from devenv.backends.kube.parse.service import Endpoints
from devenv.core.model import Resource, Scaling

WORKLOADS: Final = ("deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob", "replicationcontroller")


@dataclass(slots=True)
class Entry:
    """An object: as it tells itself, and as it is shown with what others tell about it."""

    kind: Kind
    parsed: Parsed
    shown: Resource
    deadline: float | None = None  # when it should have been gone
    endpoints: Endpoints | None = None
    scaling: Scaling | None = None


def source_of(backend: str, kind: Kind) -> str:
    """Return the name of a list as a source of records."""
    return f"{backend}#{kind.plural if kind in KNOWN else kind.full_name}"


def target_of(scaler: Resource) -> tuple[str, str, str]:
    """Return the name in the book of what an autoscaler scales."""
    kind, _, name = dict(scaler.facts).get("reference", "").partition("/")
    return kind.lower(), scaler.namespace, name


def same_scaling(new: Scaling, old: Scaling | None) -> bool:
    """Whether nothing changed but the time at which it was read."""
    return old is not None and replace(new, at=0.0) == replace(old, at=0.0)


def uid_of(key: str) -> str:
    """Return the object's uid; "" for the few kinds whose objects have none."""
    return "" if "/" in key else key.removeprefix("kubernetes:")
