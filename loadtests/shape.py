"""The one shape of all load tests; --shape says which course it takes (of several shapes Locust takes any one)."""

from __future__ import annotations

import _run
from locust import LoadTestShape


class Shape(LoadTestShape):
    """Follows devenv's plan of the run."""

    use_common_options = True  # --users, --spawn-rate and --run-time say how high and how long

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there shall be, and how many start or stop a second."""
        return _run.current.tick() if _run.current is not None else None
