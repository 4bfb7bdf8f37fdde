"""A pod as tests look at it, by the names that a container of Compose has too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devenv.control.kube.pod_stages import time_of
from devenv.verify.kube.overlay import Object


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. `health` is "healthy" when it is ready; `data` is the whole object.

    `container_id` is the pod's uid: another pod of the same name is another one. `restarts` counts all its containers.
    """

    service: str
    name: str
    container_id: str
    ready: bool
    leaving: bool
    restarts: int
    started_at: float | None
    image: str
    image_id: str
    ip: str
    exit_code: int | None
    data: Object

    @property
    def health(self) -> str:
        """What its readiness says, in Compose's words."""
        return "healthy" if self.ready else "unhealthy"

    @property
    def status(self) -> str:
        """Its phase, or why it waits."""
        for state in _states(self.data):
            reason = (state.get("waiting") or state.get("terminated") or {}).get("reason")
            if reason:
                return str(reason)
        phase = str((self.data.get("status") or {}).get("phase", ""))
        return phase if self.ready else f"{phase}, not ready"


def read_pod(item: Object, service: str) -> Pod:
    """Read a pod's object."""
    metadata, status = item["metadata"], item.get("status") or {}
    conditions = {entry.get("type"): entry.get("status") for entry in status.get("conditions") or ()}
    containers = status.get("containerStatuses") or []
    states = _states(item)
    started = [time_of((state.get("running") or {}).get("startedAt")) for state in states]
    ended = [state["terminated"].get("exitCode") for state in states if state.get("terminated")]
    first = containers[0] if containers else {}
    return Pod(
        service=service,
        name=metadata["name"],
        container_id=metadata["uid"],
        ready=conditions.get("Ready") == "True",
        leaving=bool(metadata.get("deletionTimestamp")),
        restarts=sum(int(entry.get("restartCount") or 0) for entry in containers),
        started_at=max((at for at in started if at is not None), default=None),
        image=str(first.get("image", "")),
        image_id=str(first.get("imageID", "")),
        ip=str(status.get("podIP", "")),
        exit_code=max(ended) if ended else None,
        data=item,
    )


def _states(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    statuses = (item.get("status") or {}).get("containerStatuses") or ()
    return [entry.get("state") or {} for entry in statuses]
