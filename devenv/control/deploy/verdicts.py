"""What the end of a stage means: verdicts and exit codes, why a plan is refused, and what an interrupt leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devenv.backends.kube.errors import Forbidden
from devenv.control.deploy.records import Outcome, Verdict
from devenv.control.kube.apply import FieldConflicts, ObjectChange
from devenv.control.kube.wait import Waiting
from devenv.core.errors import EXIT_OK, EXIT_ROLLED_BACK, DevenvError, Inconclusive, ServiceFailed

EXIT_CODES: Final[Mapping[Verdict, int]] = {
    Verdict.SUCCEEDED: EXIT_OK,
    Verdict.APPLIED: EXIT_OK,
    Verdict.PLANNED: EXIT_OK,
    Verdict.FAILED: ServiceFailed.exit_code,
    Verdict.ROLLED_BACK: EXIT_ROLLED_BACK,
    Verdict.INCONCLUSIVE: Inconclusive.exit_code,
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
    missing = {found[1] for change in problems if (found := _NO_NAMESPACE.search(change.problem))}
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
