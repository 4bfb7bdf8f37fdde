"""The stages of a pod's start, with their times as the API server, the scheduler and the kubelet wrote them.

Kubernetes writes these times in whole seconds (metav1.Time), so a difference of two is exact to one second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devenv.core.text import sanitize

STAGES = ("created", "scheduled", "pulled", "started", "ready")


@dataclass(frozen=True, slots=True)
class PodStages:
    """When a pod reached each stage, in seconds since 1970; None: not yet, or nobody wrote it down.

    `digests` has the digest of each running container's image, as the kubelet reports it; "" where it does not.
    """

    namespace: str
    name: str
    workload: str  # "deployment/backend"
    created: float
    scheduled: float | None = None
    pulled: float | None = None
    started: float | None = None
    ready: float | None = None
    restarts: int = 0
    digests: Mapping[str, str] | None = None

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds from the creation to each stage that was reached."""
        times = {stage: getattr(self, stage) for stage in STAGES[1:]}
        return {stage: max(0.0, at - self.created) for stage, at in times.items() if at is not None}


def stages_of(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]], workload: str) -> PodStages:
    """Read the stages of a pod. `events` are those about it: only they know when an image was pulled."""
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or () if item.get("status") == "True"}
    containers = [*(status.get("containerStatuses") or ())]
    running = [time_of(((item.get("state") or {}).get("running") or {}).get("startedAt")) for item in containers]
    started = None if not running or None in running else max(at for at in running if at is not None)
    pulls = [at for event in events if event.get("reason") == "Pulled" and (at := first_time(event)) is not None]
    return PodStages(
        namespace=str(metadata.get("namespace", "")),
        name=sanitize(str(metadata.get("name", ""))),
        workload=workload,
        created=time_of(metadata.get("creationTimestamp")) or 0.0,
        scheduled=time_of((conditions.get("PodScheduled") or {}).get("lastTransitionTime")),
        pulled=max(pulls) if pulls and started is not None else None,
        started=started,
        ready=time_of((conditions.get("Ready") or {}).get("lastTransitionTime")),
        restarts=sum(int(item.get("restartCount") or 0) for item in containers),
        digests={str(item.get("name")): digest_of(str(item.get("imageID") or "")) for item in containers},
    )


def digest_of(image_id: str) -> str:
    """Return the `sha256:...` in an image's reference or imageID; "" where there is none."""
    _, found, digest = image_id.rpartition("sha256:")
    return f"sha256:{digest}" if found else ""


def first_time(event: Mapping[str, Any]) -> float | None:
    """Return when an event happened first: the kubelet writes firstTimestamp, the scheduler eventTime."""
    for key in ("firstTimestamp", "eventTime", "lastTimestamp"):
        at = time_of(event.get(key))
        if at is not None:
            return at
    return time_of((event.get("metadata") or {}).get("creationTimestamp"))


def time_of(text: object) -> float | None:
    """Read a metav1.Time or MicroTime; None where there is none, or it is none."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
