"""Which load is due: by a shape of time alone, or by the shape hpa, which follows what is measured.

That has a precheck, idling, a short calibration, the load of n - 0.5 replicas, and the way down again. With half a
replica less than n the controller has to round up to n, and noise of a third of a replica changes nothing.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from devenv.core.errors import DevenvError
from devenv.load.autoscaler import CALM, DOWN, UP, ScalingSettings, Span, cpu_of, scalings, settings_of
from devenv.load.recording import Recording, read_recording
from devenv.load.report import is_saturated
from devenv.load.scaling import RECOVERED_WITHIN, SERVED_WITHIN, complaint, no_room
from devenv.load.session import Session
from devenv.load.shapes import OWN, LoadSize, Point, find

_NO_REQUEST: Final = "missing request"  # pkg/controller/podautoscaler/replica_calculator.go
_NEEDS: Final = "It needs averageUtilization of CPU as its target, and resources.requests.cpu of every container."


def precheck(
    recording: Recording, service: str, settings: ScalingSettings, replicas: int, waited: float, patience: float
) -> bool:
    """Whether it has a metric and desires its minimum, or has desired as much as now for `patience` seconds.

    Raises DevenvError, in the autoscaler's own words where it has some, when no load would move it to that many.
    """
    refusal = no_room(settings, replicas)
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
    if there >= replicas:
        raise DevenvError(
            f"{there} replicas are desired without load, and {replicas} were to be reached",
            "Wait until nothing else loads the service, or choose more --replicas.",
        )
    return True


def _with(reason: str, words: str) -> str:
    return f"{reason} ({words})" if words else reason


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
    cores = (replicas - 0.5) * settings.request * settings.target / 100 - replicas * idle
    if cores <= 0:
        raise DevenvError(
            f"the load cannot be sized: idling alone takes {idle:.3f} cores of each replica",
            "Raise the CPU request, or the target utilization.",
        )
    return Size(cost, idle, cores / cost)


def unsizable(settings: ScalingSettings) -> str:
    """Say why no load follows from the settings; "" where one does."""
    if not settings.target:
        return "the autoscaler follows no CPU utilization"
    return "" if settings.request else "a container has no CPU request"


AT_ONCE = 50.0  # users a second
SETTINGS_WITHIN = 30.0  # seconds until the cluster's settings must have been read
MARGIN = 20.0
ENOUGH = 30.0  # seconds: with metrics that come often a calibration takes four of them, for one that is odd
LOOK_AGAIN = 10.0
TENTH = 0.1  # of the users calibrate: little enough for the replicas that are there


class HpaShape:
    """Gives the point of this course; `recording` reads what was recorded so far, `note` writes a line to it."""

    def __init__(
        self,
        size: LoadSize,
        replicas: int,
        recording: Callable[[], Recording],
        note: Callable[..., None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asked = size
        self._replicas = replicas
        self._recording = recording
        self._note = note
        self._clock = clock
        self._stage = 0
        self._since = clock()
        self._settings: ScalingSettings | None = None
        self._look_at = self._since
        self._checked = False
        self._users = 0
        self._few = max(1, round(size.users * TENTH))

    def point(self) -> Point | None:
        """Return the load that is due; None at the end. Raises DevenvError where the load cannot be sized."""
        settings = self._settings or self._read_settings()
        if settings is None:
            return Point(1, AT_ONCE, CALM[0])
        if self._stage == 0 and self._clock() >= self._look_at:
            settings = self._look(settings)
        lengths = self._lengths(settings)
        is_over = self._stage < len(lengths) and self._clock() - self._since >= lengths[self._stage]
        if is_over and (self._stage > 0 or self._checked):
            self._advance(settings)
        points = (
            Point(1, AT_ONCE, CALM[0]),
            Point(self._few, AT_ONCE, CALM[1]),
            Point(self._users, AT_ONCE, UP),
            Point(1, AT_ONCE, DOWN),
        )
        return points[self._stage] if self._stage < len(points) else None

    def _read_settings(self) -> ScalingSettings | None:
        self._settings = settings_of(self._recording())
        if self._settings is not None:
            self._since = self._look_at = self._clock()
        elif self._clock() - self._since > SETTINGS_WITHIN:
            raise DevenvError("the service under load has no autoscaler", "Is it --target kubernetes?")
        return self._settings

    def _look(self, settings: ScalingSettings) -> ScalingSettings:
        """See whether the load may begin, and how often metrics come, which they tell themselves."""
        self._look_at = self._clock() + LOOK_AGAIN
        recording = self._recording()
        self._settings = settings = settings_of(recording) or settings
        service, patience = str(recording.run["target"]["service"]), self._lengths(settings)[3]
        replicas = self._replicas or settings.maximum
        waited = self._clock() - self._since
        self._checked = precheck(recording, service, settings, replicas, waited, patience)
        return settings

    def _advance(self, settings: ScalingSettings) -> None:
        self._since = self._clock()
        self._stage += 1
        self._settings = settings = settings_of(self._recording()) or settings
        if self._stage == 1:
            self._check_length(settings)
        if self._stage == 2:
            self._size(settings)

    def _lengths(self, settings: ScalingSettings) -> tuple[float, float, float, float]:
        rise = settings.reacts_within + settings.start + SERVED_WITHIN + RECOVERED_WITHIN + MARGIN
        steps = math.ceil(math.log(max(2, settings.maximum), 1 / (1 - min(settings.down_percent, 99.0) / 100)))
        fall = settings.down_window + settings.reacts_within + steps * (settings.down_period + settings.sync) + MARGIN
        return (
            1.5 * settings.resolution + MARGIN,
            2 * max(settings.resolution, ENOUGH) + 1.5 * MARGIN,
            self._asked.seconds or rise,
            fall,
        )

    def _check_length(self, settings: ScalingSettings) -> None:
        if self._asked.seconds and self._asked.seconds < settings.reacts_within:
            raise DevenvError(
                f"--run-time of {self._asked.seconds:g} s is less than the autoscaler may take to follow a load: "
                f"{settings.reacts_within:g} s with metrics every {settings.resolution:g} s",
                "Leave it out: the load then lasts as long as all stages need.",
            )

    def _size(self, settings: ScalingSettings) -> None:
        recording = self._recording()
        service = str(recording.run["target"]["service"])
        begins = {name: t for t, name in recording.phases}
        # Idling may have lasted longer than planned, until replicas of an earlier load were gone.
        calm_span = Span(begins[CALM[1]] - 0.5 * settings.resolution - MARGIN, begins[CALM[1]])
        busy_span = Span(begins[CALM[1]] + settings.resolution + 5.0, recording.length)
        calm = recording.service_cpu(service, calm_span.since, calm_span.until, statistics.median)
        busy = recording.service_cpu(service, busy_span.since, busy_span.until, statistics.median)
        if busy is None:
            raise DevenvError(f"no CPU metric of {service} arrived during the calibration", "Does `kubectl top` work?")
        replicas = self._replicas or settings.maximum

        def rps(when: Span) -> float:
            return recording.figures(recording.load_between(when.since, when.until))["total"].rps

        size = size_load((calm or 0.0, rps(calm_span)), (busy, rps(busy_span)), replicas, settings)
        # Measured, not --rate: a visit may have requests that follow from its first.
        each = rps(busy_span) / self._few
        self._users = max(1, round(size.rps / each))
        self._note("sized", cost=size.cost, idle=size.idle, rps=size.rps, users=self._users, replicas=replicas)
        if self._users > self._asked.users:
            raise DevenvError(
                f"{replicas - 0.5:g} replicas' worth of load are {size.rps:.0f} requests a second, "
                f"and --users allows {self._asked.users * each:.0f}",
                f"Allow {self._users} (--users), or raise --rate.",
            )


class Steering:
    """Gives the point of the shape for now; None when the run is over."""

    def __init__(self, size: LoadSize, session: Session, options: Any) -> None:
        self._began = time.monotonic()
        self._size = size
        self._session = session
        self._rate: float | None = options.rate if session.plan.options["open"] else None
        self._shape = None if options.shape in ("hpa", OWN) else find(options.shape)
        self._hpa = HpaShape(size, options.replicas, lambda: read_recording(session.folder), session.note)
        self._last = ""

    def point(self) -> Point | None:
        """Return the load that is due; a course that cannot go on ends the run as inconclusive."""
        if self._shape is None:
            try:
                return self._hpa.point()
            except DevenvError as error:
                self._session.inconclusive.append(f"{error.message}. {error.hint}".rstrip(". "))
                return None
        point = self._shape(time.monotonic() - self._began, self._size)
        if point is not None and point.phase.startswith("step ") and point.phase != self._last:
            if self._last and is_saturated(read_recording(self._session.folder), self._rate):
                return None
            self._last = point.phase
        return point
