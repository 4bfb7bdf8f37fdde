"""A user whose own code is broken."""

from __future__ import annotations

from locust import HttpUser, task


class Broken(HttpUser):
    """Raises."""

    @task
    def fail(self) -> None:
        raise ZeroDivisionError("in the load test itself")
