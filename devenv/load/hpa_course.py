"""The course of --shape hpa: idle, a short calibration, the load of n - 0.5 replicas, and down again.

With half a replica less than n the controller has to round up to n, and noise of a third of a replica changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from devenv.errors import DevenvError
from devenv.load.series import Recording
from devenv.load.shapes import Point, Wish
from devenv.load.verdicts.hpa import RECOVERED_WITHIN, SERVED_WITHIN
from devenv.load.verdicts.reaction import CALM, DOWN, UP, Span
from devenv.load.verdicts.settings import ScalingSettings, settings_of

AT_ONCE = 50.0  # users a second
SETTINGS_WITHIN = 30.0  # seconds until the cluster's settings must have been read
MARGIN = 20.0
LOOK_AGAIN = 10.0
TENTH = 0.1  # of the users calibrate: little enough for the replicas that are there


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
        raise DevenvError(
            "the load cannot be sized: the autoscaler follows no CPU utilization, or a container has no CPU request",
            "Without a CPU request the autoscaler does nothing at all.",
        )
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


class HpaCourse:
    """Gives the point of this course; `recording` reads what was recorded so far, `note` writes a line to it."""

    def __init__(
        self,
        wish: Wish,
        rate: float,
        replicas: int,
        recording: Callable[[], Recording],
        note: Callable[..., None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wish = wish
        self._rate = rate
        self._replicas = replicas
        self._recording = recording
        self._note = note
        self._clock = clock
        self._stage = 0
        self._since = clock()
        self._settings: ScalingSettings | None = None
        self._read_at = self._since
        self._users = 0
        self._few = max(1, round(wish.users * TENTH))

    def point(self) -> Point | None:
        """Return the load that is due; None at the end. Raises DevenvError where the load cannot be sized."""
        if self._settings is None and not self._read_settings():
            return Point(1, AT_ONCE, CALM[0])
        assert self._settings is not None
        if self._stage == 0 and self._clock() - self._read_at > LOOK_AGAIN:
            self._read_at = self._clock()
            self._settings = settings_of(self._recording()) or self._settings  # metrics tell how often they come
        lengths = self._lengths(self._settings)
        while self._stage < len(lengths) and self._clock() - self._since >= lengths[self._stage]:
            self._since += lengths[self._stage]
            self._stage += 1
            self._settings = settings_of(self._recording()) or self._settings  # its resolution is measured by now
            if self._stage == 2:
                self._size(self._settings)
            lengths = self._lengths(self._settings)
        points = (
            Point(1, AT_ONCE, CALM[0]),
            Point(self._few, AT_ONCE, CALM[1]),
            Point(self._users, AT_ONCE, UP),
            Point(1, AT_ONCE, DOWN),
        )
        return points[self._stage] if self._stage < len(points) else None

    def _read_settings(self) -> bool:
        self._settings = settings_of(self._recording())
        if self._settings is None and self._clock() - self._since > SETTINGS_WITHIN:
            raise DevenvError("no autoscaler was found for the service under load", "Is it --target kubernetes?")
        if self._settings is not None:
            self._since = self._clock()
        return self._settings is not None

    def _lengths(self, settings: ScalingSettings) -> tuple[float, float, float, float]:
        rise = settings.reacts_within + settings.start + SERVED_WITHIN + RECOVERED_WITHIN + MARGIN
        steps = math.ceil(math.log(max(2, settings.maximum), 1 / (1 - min(settings.down_percent, 99.0) / 100)))
        fall = settings.down_window + settings.reacts_within + steps * (settings.down_period + settings.sync) + MARGIN
        return (
            1.5 * settings.resolution + MARGIN,
            2 * settings.resolution + 1.5 * MARGIN,
            self._wish.seconds or rise,
            fall,
        )

    def _size(self, settings: ScalingSettings) -> None:
        recording = self._recording()
        service = str(recording.run["target"]["service"])
        begins = {name: t for t, name in recording.phases}
        calm_span = Span(begins[CALM[0]] + settings.resolution, begins[CALM[1]])
        busy_span = Span(begins[CALM[1]] + settings.resolution + 5.0, recording.length)
        calm = recording.service_cpu(service, calm_span.since, calm_span.until)
        busy = recording.service_cpu(service, busy_span.since, busy_span.until)
        if busy is None:
            raise DevenvError(f"no CPU metric of {service} arrived during the calibration", "Does `kubectl top` work?")
        replicas = self._replicas or settings.maximum

        def rps(when: Span) -> float:
            return recording.figures(recording.load_between(when.since, when.until))["total"].rps

        size = size_load((calm or 0.0, rps(calm_span)), (busy, rps(busy_span)), replicas, settings)
        self._users = max(1, round(size.rps / self._rate))
        self._note("sized", cost=size.cost, idle=size.idle, rps=size.rps, users=self._users, replicas=replicas)
        if self._users > self._wish.users:
            raise DevenvError(
                f"{replicas - 0.5:g} replicas' worth of load are {size.rps:.0f} requests a second, "
                f"and --users allows {self._wish.users * self._rate:.0f}",
                f"Allow {self._users} (--users), or a higher --rate.",
            )
