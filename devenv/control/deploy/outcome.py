"""How a deployment went: stages, proof, result, exit code; as JSON in docs/schemas/deploy-report.schema.json."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec

from devenv import __version__
from devenv.backends.kube.errors import Forbidden
from devenv.backends.kube.pod_start import PodStages
from devenv.control.kube.apply import FieldConflicts, ObjectChange
from devenv.control.kube.wait import Waiting
from devenv.core.errors import EXIT_OK, EXIT_ROLLED_BACK, DevenvError, Inconclusive, ServiceFailed

SCHEMA: Final = 1


class Result(StrEnum):
    """How a deployment ended. The last two judge no rollout: nothing was waited for, or nothing was changed."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    INCONCLUSIVE = "inconclusive"  # it rolled out, or may have, and a part of the proof was not possible
    APPLIED = "applied"
    PLANNED = "planned"


class Status(StrEnum):
    """How a stage, or one check of a proof, ended."""

    DONE = "done"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a deployment; `text` says what it did, or why it did not."""

    name: str
    status: Status
    seconds: float
    text: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at to prove a revision: it serves, it is the rendered image, the data is there."""

    name: str
    status: Status
    text: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """All checks of one revision."""

    checks: tuple[Check, ...] = ()

    @property
    def status(self) -> Status:
        """The worst of the checks; inconclusive without any."""
        statuses = {check.status for check in self.checks if check.status is not Status.SKIPPED}
        order = (Status.FAILED, Status.INCONCLUSIVE, Status.DONE)
        return next((status for status in order if status in statuses), Status.INCONCLUSIVE)

    @property
    def text(self) -> str:
        """The checks that are not done, in words; "" when all are."""
        return "; ".join(f"{check.name}: {check.text}" for check in self.checks if check.status is self.status)


class Prover(Protocol):
    """Looks through the cluster at what serves. Nothing of it raises for what it finds."""

    def prepare(self) -> Check:
        """Write data into the revision that serves now, to be found again after a change."""
        ...

    def prove(self, objects: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
        """Ask every endpoint, and write and read data; what `prepare` wrote has to be there."""
        ...

    def close(self) -> None:
        """Close every connection into the cluster."""
        ...


@dataclass(frozen=True, slots=True)
class Changed:
    """One object that a deployment applies, or that it left to somebody else; `diff` is masked."""

    kind: str
    namespace: str
    name: str
    action: str  # created, changed, unchanged
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One deployment. `restored` names the revision that a rollback went back to; `changed`: the cluster was."""

    overlay: str
    context: str
    namespace: str
    revision: str
    began: float
    seconds: float
    result: Result
    reason: str = ""
    hint: str = ""
    exit_code: int = 0
    changed: bool = False
    restored: str = ""
    stages: tuple[Stage, ...] = ()
    changes: tuple[Changed, ...] = ()
    left_out: tuple[str, ...] = ()
    no_longer_rendered: tuple[str, ...] = ()  # and still there, before anything was deleted
    prune: tuple[str, ...] = ()  # of these, what is to be deleted
    losses: tuple[str, ...] = ()  # what cannot be had back then
    pruned: tuple[str, ...] = ()  # what was deleted
    images: Mapping[str, str] = field(default_factory=dict)
    pods: tuple[PodStages, ...] = ()
    proof: Proof | None = None
    rollback_proof: Proof | None = None
    recorded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def stage(self, name: str) -> Stage | None:
        """Return the first stage of that name."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def to_data(self) -> dict[str, Any]:
        """Return the JSON form."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        for stage in data["stages"]:
            stage["seconds"] = round(stage["seconds"], 3)
        return {
            "schema": SCHEMA,
            "devenv": __version__,
            "verdict": data.pop("result"),
            **data,
            "began": datetime.fromtimestamp(self.began, UTC).isoformat(timespec="milliseconds"),
            "seconds": round(self.seconds, 3),
            "pods": [_pod(pod) for pod in self.pods],
            "proof": _proof(self.proof),
            "rollback_proof": _proof(self.rollback_proof),
        }


def _pod(pod: PodStages) -> dict[str, Any]:
    facts = {name: getattr(pod, name) for name in ("namespace", "name", "workload", "restarts")}
    return {**facts, "stages": pod.seconds, "digests": dict(pod.digests or {})}


def _proof(proof: Proof | None) -> dict[str, Any] | None:
    return None if proof is None else {"status": proof.status.value, **msgspec.to_builtins(proof)}


EXIT_CODES: Final[Mapping[Result, int]] = {
    Result.SUCCEEDED: EXIT_OK,
    Result.APPLIED: EXIT_OK,
    Result.PLANNED: EXIT_OK,
    Result.FAILED: ServiceFailed.exit_code,
    Result.ROLLED_BACK: EXIT_ROLLED_BACK,
    Result.INCONCLUSIVE: Inconclusive.exit_code,
}
SHOWN: Final = 5  # refused objects in an error's message
_NOT_ALLOWED: Final = " is forbidden: User "  # RBAC's words; a quota or a policy names no user
_NO_NAMESPACE: Final = re.compile(r'namespaces "([^"]+)" not found')


@dataclass(frozen=True, slots=True)
class Failure:
    """Which stage failed and why; `lost`: nothing could be read any more, so that nobody knows."""

    stage: str
    text: str
    hint: str = ""
    lost: bool = False

    def __str__(self) -> str:
        return self.text.rstrip(". ")


def refusal_of(plan: Sequence[ObjectChange], *, force: bool) -> DevenvError | None:
    """Return the error of a plan that the server would not accept: nothing is applied of it."""
    problems = [change for change in plan if change.problem]
    missing = {match[1] for change in problems if (match := _NO_NAMESPACE.search(change.problem))}
    if missing:
        return DevenvError(
            f"the namespace {', '.join(sorted(missing))} is not there",
            "It is in the platform part, which an administrator applies first; who may do so adds --include-platform.",
        )
    if problems:
        lines = [f"{change.title}: {change.problem}" for change in problems[:SHOWN]]
        lines += [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        not_allowed = all(_NOT_ALLOWED in change.problem for change in problems)
        error = Forbidden if not_allowed else DevenvError
        return error("\n".join(lines), problems[0].hint or "Nothing was changed.")
    conflicts = [change for change in plan if change.conflicts]
    return FieldConflicts(conflicts) if conflicts and not force else None


def left_as(outcome: Outcome, stage: str, applied: int, last: Waiting | None) -> str:
    """Say what state an interrupted deployment leaves the cluster in."""
    overlay = outcome.overlay
    if not outcome.changed:
        return f"{overlay} was not deployed: nothing was changed in the cluster"
    if stage in ("apply", "roll back"):
        return f"{overlay}: interrupted in '{stage}' after {applied} objects; those after them are as they were"
    waits = "; ".join(last.words) if last is not None else ""
    state = f"still under way: {waits}" if waits else "its workloads were rolled out when it was seen last"
    return f"{overlay} is applied, and left as it is; {state}"
