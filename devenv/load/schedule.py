"""When requests of the open model are due, and how well the generator kept to it. Knows nothing of Locust."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from devenv.load.outcome import LATE


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
        """Return the counts since the last call, as plain data, and begin anew."""
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
