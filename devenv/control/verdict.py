"""The judgement of `up --wait`: one verdict a service, and one over all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from devenv.core.errors import DevenvError


class Outcome(StrEnum):
    """How a service stands."""

    WAITING = "waiting"
    READY = "ready"  # running and healthy, or running for the settled period without a health check
    COMPLETED = "completed"  # a one-shot that ended with 0
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ServiceVerdict:
    """One service: `reason` says what it waits for or why it failed, `after` the seconds until it was ready.

    `evidence` holds the last lines of what speaks for a failure: log lines, or the health check's last output.
    """

    service: str
    outcome: Outcome
    reason: str = ""
    after: float | None = None
    container_id: str = ""  # the one that the reason is about
    exit_code: int | None = None
    exits: int = 0  # how often its containers ended while we waited
    begun: bool = False  # all of its containers exist and were started
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpVerdict:
    """The whole start. `error` is None when every service is ready or completed."""

    services: tuple[ServiceVerdict, ...]
    seconds: float
    error: DevenvError | None = None
