"""What may be changed, what a change will hit, and the record of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import count

from devenv.control.audit import AuditLog
from devenv.control.protocol import CHANGING_VERBS, Plan
from devenv.errors import EXIT_INTERRUPTED, DevenvError, Interrupted, Refused
from devenv.model import Project

_ids = count(1)
_WHAT = {
    "up": "Creates and starts {targets}; changed containers are replaced.",
    "down": "Stops and removes the containers of {targets} and their networks.",
    "restart": "Stops and starts {targets}: connections break for a moment.",
    "stop": "Stops {targets}; the containers stay.",
    "start": "Starts the existing containers of {targets}.",
    "build": "Builds the images of {targets}; running containers keep their old ones.",
}
_READ_ONLY = "devenv is in read-only mode"
_READ_ONLY_HINT = "It was set by --read-only, DEVENV_READ_ONLY or read_only in devenv.toml."


@dataclass(frozen=True, slots=True)
class Ticket:
    """A change that was allowed and begun; `Guard.finish` closes it. `warning`: the audit log could not be written."""

    id: int
    plan: Plan
    begun: float
    warning: str = ""


class Guard:
    """Stands before every change of one project: policy, blast radius, audit log."""

    def __init__(self, audit: AuditLog, *, read_only: bool = False, source: str = "cli") -> None:
        self._audit = audit
        self._source = source
        self.read_only = read_only

    def plan(
        self,
        verb: str,
        targets: tuple[str, ...] = (),
        *,
        volumes: bool = False,
        project: Project | None = None,
        losses: tuple[str, ...] | None = None,
    ) -> Plan:
        """Weigh a wish. `losses` overrides the project's declared volumes with what Compose says it would remove.

        Everything that takes something away from others' hands is to be confirmed in the terminal: `down`. What loses
        data is to be confirmed everywhere: `down` with `volumes`.
        """
        if verb not in CHANGING_VERBS:
            raise ValueError(f"no such verb: {verb}")
        if losses is None:
            losses = project.volumes if volumes and project else ()
        names = ", ".join(targets) if targets else f"project {project.name}" if project else "the project"
        sentences = [_WHAT[verb].format(targets=names)]
        if volumes:
            named = f"these volumes and all data in them: {', '.join(losses)}" if losses else "the anonymous volumes"
            sentences.append(f"Deletes for ever {named}.")
        return Plan(
            verb=verb,
            targets=targets,
            volumes=volumes,
            allowed=not self.read_only,
            needs_confirmation=verb == "down",
            sentences=tuple(sentences),
            losses=losses,
            reason=_READ_ONLY if self.read_only else "",
            hint=_READ_ONLY_HINT if self.read_only else "",
        )

    def begin(self, plan: Plan, project: Project | None = None, directory: str = "") -> Ticket:
        """Record the request and let it pass, or raise Refused (recorded too)."""
        number = next(_ids)
        facts = {
            "source": self._source,
            "verb": plan.verb,
            "targets": list(plan.targets),
            "volumes": plan.volumes,
            "project": project.name if project else "",
            "directory": project.directory if project else directory,
        }
        if not plan.allowed or self.read_only:
            self._audit.write("refused", request=number, reason=plan.reason or _READ_ONLY, **facts)
            raise Refused(f"{plan.verb} was not done: {plan.reason or _READ_ONLY}", plan.hint or _READ_ONLY_HINT)
        warning = self._audit.write("allowed", request=number, **facts)
        return Ticket(number, plan, time.monotonic(), warning)

    def refuse(self, plan: Plan, reason: str, hint: str, project: Project | None = None) -> Refused:
        """Record a request that the user or the surroundings did not confirm, and return the error to raise."""
        self._audit.write(
            "refused",
            request=next(_ids),
            reason=reason,
            source=self._source,
            verb=plan.verb,
            targets=list(plan.targets),
            volumes=plan.volumes,
            project=project.name if project else "",
        )
        return Refused(reason, hint)

    def finish(self, ticket: Ticket, error: BaseException | None = None) -> str:
        """Record how an allowed change ended; return "" or why that could not be written."""
        result, code = "done", 0
        if isinstance(error, Interrupted | KeyboardInterrupt):
            result, code = "interrupted", EXIT_INTERRUPTED
        elif error is not None:
            result, code = "failed", error.exit_code if isinstance(error, DevenvError) else 1
        return self._audit.write(
            "finished",
            request=ticket.id,
            verb=ticket.plan.verb,
            result=result,
            exit_code=code,
            error=error.message if isinstance(error, DevenvError) else repr(error) if error else "",
            seconds=round(time.monotonic() - ticket.begun, 3),
        )
