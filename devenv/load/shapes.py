"""The shapes of load over time, as pure functions of the time, and when requests of the open model are due.

A user is a person in the closed model and one arrival rate in the open one; shapes know no difference. Nothing here
knows of Locust.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from devenv.core.errors import UsageError
from devenv.load.outcome import LATE


@dataclass(frozen=True, slots=True)
class Point:
    """What the load shall be at a time."""

    users: int
    rate: float  # users to start or stop a second
    phase: str


@dataclass(frozen=True, slots=True)
class LoadSize:
    """What was asked for: `users` at the peak, started at `rate` a second, for `seconds` in all (None: the default)."""

    users: int
    rate: float
    seconds: float | None

    def lasting(self, default: float) -> float:
        """Return the length of the run."""
        return self.seconds if self.seconds else default


Shape = Callable[[float, LoadSize], Point | None]  # seconds since the start -> the load; None: it is over

_AT_ONCE: Final = (
    100.0  # users a second that are as good as at once, and that Locust's dispatcher takes without trouble
)
STEPS: Final = 12
STEP: Final = 30.0  # seconds: long enough for a p95 of some thousand requests, and for two readings of each container
LENGTHS: Final[Mapping[str, float]] = {"steady": 60, "ramp": 120, "spike": 90, "soak": 7200, "step": STEPS * STEP}


def steady(now: float, size: LoadSize) -> Point | None:
    """All users, for the whole time (default 60 s)."""
    return None if now >= size.lasting(LENGTHS["steady"]) else Point(size.users, size.rate, "steady")


def soak(now: float, size: LoadSize) -> Point | None:
    """All users for long (default 2 h): what leaks shows only then."""
    return None if now >= size.lasting(LENGTHS["soak"]) else Point(size.users, size.rate, "soak")


def ramp(now: float, size: LoadSize) -> Point | None:
    """From one user to all of them, evenly over the time (default 120 s)."""
    length = size.lasting(LENGTHS["ramp"])
    if now >= length:
        return None
    return Point(max(1, math.ceil(size.users * (now + 1) / length)), _AT_ONCE, "ramp")


def spike(now: float, size: LoadSize) -> Point | None:
    """A fifth of the users, then suddenly all, then a fifth again: thirds of the time (default 90 s)."""
    length = size.lasting(LENGTHS["spike"])
    if now >= length:
        return None
    few = max(1, size.users // 5)
    third = int(3 * now / length)
    phase = ("before the spike", "spike", "after the spike")[third]
    return Point(size.users if third == 1 else few, _AT_ONCE, phase)


def step(now: float, size: LoadSize) -> Point | None:
    """Twelve equal steps up to all users (default 30 s each); who runs it ends it where the knee is found."""
    length = size.lasting(LENGTHS["step"])
    if now >= length:
        return None
    number = int(STEPS * now / length) + 1
    return Point(max(number, round(size.users * number / STEPS)), _AT_ONCE, f"step {number}")


SHAPES: Final[Mapping[str, Shape]] = {"steady": steady, "ramp": ramp, "spike": spike, "soak": soak, "step": step}
NAMES: Final = (*SHAPES, "hpa")
OWN: Final = "own"  # the LoadTestShape that a locustfile has itself
OPEN_BY_DEFAULT: Final = ("spike", "step", "hpa")  # where a target that slows down must not be spared


def find(name: str) -> Shape:
    """Return the shape of that name; raises UsageError. `hpa` depends on what is measured and is not among them."""
    if name not in SHAPES:
        raise UsageError(f"--shape {name!r}: there is no such shape", f"Known are: {', '.join(NAMES)}.")
    return SHAPES[name]


def arrivals(rate: float, seed: str) -> Iterator[float]:
    """Return the seconds after the start at which requests are due: a constant rate, begun at a random part of it.

    Without the random begin all users that start together would send together.
    """
    phase = random.Random(f"{seed}/phase").random()
    number = 0
    while True:
        yield (number + phase) / rate
        number += 1


@dataclass(slots=True)
class Punctuality:
    """How the generator kept to its schedule; `worst` is the longest delay in seconds."""

    arrivals: int = 0
    late: int = 0
    dropped: int = 0
    worst: float = 0.0

    def sent(self, delay: float) -> None:
        """Count a request that began `delay` seconds after its time."""
        self.arrivals += 1
        self.late += delay > LATE
        self.worst = max(self.worst, delay)

    def take(self) -> dict[str, float]:
        """Return the counts since the last call, as plain data, and begin again."""
        taken = asdict(self)
        self.arrivals = self.late = self.dropped = 0
        self.worst = 0.0
        return taken

    def add(self, taken: dict[str, float]) -> None:
        """Add what another process took."""
        self.arrivals += int(taken["arrivals"])
        self.late += int(taken["late"])
        self.dropped += int(taken["dropped"])
        self.worst = max(self.worst, taken["worst"])
