"""What is looked at before --shape hpa sends any load: whether the autoscaler can act at all, and is at rest."""

from __future__ import annotations

from typing import Final

from devenv.core.errors import DevenvError
from devenv.load.series import Recording
from devenv.load.sizing import unsizable
from devenv.load.verdicts.doubts import complaint, no_room
from devenv.load.verdicts.reaction import cpu_of, scalings
from devenv.load.verdicts.settings import ScalingSettings

_NO_REQUEST: Final = "missing request"  # pkg/controller/podautoscaler/replica_calculator.go
_NEEDS: Final = "It needs averageUtilization of CPU as its target, and resources.requests.cpu of every container."


def is_at_rest(
    recording: Recording, service: str, settings: ScalingSettings, wanted: int, waited: float, patience: float
) -> bool:
    """Whether it has a metric and desires its minimum, or has desired as much as now for `patience` seconds.

    Raises DevenvError, in the autoscaler's own words where it has some, when no load would move it to `wanted`.
    """
    refusal = no_room(settings, wanted)
    if refusal:
        raise DevenvError(refusal, f"Change --replicas, minReplicas or maxReplicas of {service}'s autoscaler.")
    words = complaint(recording, service)
    reason = unsizable(settings)
    # Before its first metric the autoscaler says only that there is none yet.
    if reason and settings.target and _NO_REQUEST not in words and waited < settings.sees_load_within:
        return False
    if reason:
        raise DevenvError(_with(f"the load cannot be sized: {reason}", words), _NEEDS)
    said = scalings(recording, service)[-1:]
    measured = any(cpu_of(line) is not None for line in said)
    if measured and int(said[0]["desired"]) <= settings.minimum:
        return True
    if waited < patience:
        return False
    if not measured:
        raise DevenvError(_with("the autoscaler has no CPU metric", words), "Does `kubectl top pods` work?")
    there = int(said[0]["desired"])
    if there >= wanted:
        raise DevenvError(
            f"{there} replicas are desired without load, and {wanted} were to be reached",
            "Wait until nothing else loads the service, or choose more --replicas.",
        )
    return True


def _with(reason: str, words: str) -> str:
    return f"{reason} ({words})" if words else reason
