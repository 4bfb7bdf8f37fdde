"""At which stage of its start a pod is, from its state and its events. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from devenv.core.model import Happening, Resource, State

STAGES: Final = ("created", "scheduled", "pulled", "started", "ready")
_BY_EVENT: Final = {"Scheduled": 1, "Pulled": 2, "Created": 2, "Started": 3}  # the scheduler's and the kubelet's words


def stage_of(pod: Resource, happenings: Iterable[Happening]) -> int:
    """Return the index of the furthest stage that the pod has reached."""
    if pod.state is State.RUNNING and pod.ready is not None and pod.ready[0] >= pod.ready[1]:
        return 4
    reached = max((_BY_EVENT.get(happening.action, 0) for happening in happenings), default=0)
    if pod.state in (State.RUNNING, State.RESTARTING, State.EXITED):
        return 3
    if dict(pod.facts).get("node"):
        reached = max(reached, 1)
    return min(reached, 3)
