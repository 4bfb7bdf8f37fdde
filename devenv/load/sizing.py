"""How much load a number of replicas takes, from a short calibration."""

from __future__ import annotations

from dataclasses import dataclass

from devenv.core.errors import DevenvError
from devenv.load.verdicts.settings import ScalingSettings


@dataclass(frozen=True, slots=True)
class Size:
    """What a calibration gave: cores that one request a second costs, the cores of idling, and the load that is due."""

    cost: float
    idle: float
    rps: float


def size_load(calm: tuple[float, float], busy: tuple[float, float], replicas: int, settings: ScalingSettings) -> Size:
    """Return the load whose CPU is that of `replicas` - 0.5 replicas at the target utilization; raises DevenvError.

    `calm` and `busy` are measurements: cores in use, and requests a second.
    """
    if not settings.target or not settings.request:
        raise DevenvError(f"the load cannot be sized: {unsizable(settings)}")
    more = busy[1] - calm[1]
    cost = (busy[0] - calm[0]) / more if more > 0 else 0.0
    if cost <= 0:
        raise DevenvError(
            f"the load cannot be sized: {busy[1]:.0f} requests a second used {busy[0]:.3f} cores, "
            f"{calm[1]:.0f} used {calm[0]:.3f}",
            "Calibrate with more load: more --users.",
        )
    idle = max(0.0, calm[0] - cost * calm[1])
    # Every replica idles: probes and timers of each take their part of what the controller adds up.
    wanted = (replicas - 0.5) * settings.request * settings.target / 100 - replicas * idle
    if wanted <= 0:
        raise DevenvError(
            f"the load cannot be sized: idling alone takes {idle:.3f} cores of each replica",
            "Raise the CPU request, or the target utilization.",
        )
    return Size(cost, idle, wanted / cost)


def unsizable(settings: ScalingSettings) -> str:
    """Say why no load follows from the settings; "" where one does."""
    if not settings.target:
        return "the autoscaler follows no CPU utilization"
    return "" if settings.request else "a container has no CPU request"
