"""What may be changed, what a change will reach, and the record of it: what was asked for, and how it ended."""

from __future__ import annotations

import getpass
import json
import os
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from devenv.control.protocol import CHANGING_VERBS, Plan
from devenv.core.errors import EXIT_INTERRUPTED, DevenvError, Interrupted, Refused
from devenv.core.kube_settings import ALLOWED, KubeSettings
from devenv.core.masking import mask_texts
from devenv.core.model import Project
from devenv.core.settings import Config
from devenv.core.stored import make_private, state_folder
from devenv.core.text import sanitize

ROTATE_AT = 5_000_000  # bytes; about 15 000 changes. One older file is kept.


def default_path() -> Path:
    """Return the audit log's file in the user's state folder."""
    return state_folder() / "audit.jsonl"


class AuditLog(Struct, frozen=True):
    """Appends records to one file, by default the user's; what could not be written is a warning and stops nothing."""

    path: Path = field(default_factory=default_path)

    def write(self, event: str, **facts: object) -> str:
        """Append a record `{at, event, user, pid, **facts}`; return "" or why it could not be written."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        record: dict[str, object] = {"at": at, "event": event, "user": _user(), "pid": os.getpid(), **facts}
        line = json.dumps(mask_texts(record), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            make_private(self.path.parent)
            if self.path.exists() and self.path.stat().st_size >= ROTATE_AT:
                self.path.replace(self.path.with_suffix(".jsonl.1"))
            # A pipe that nobody reads is not waited for.
            # One write of one line to a file opened for appending: records of several processes do not mix.
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        except OSError as error:
            return f"the audit log {self.path} cannot be written: {error.strerror}"
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in many containers
        return str(os.getuid())


def scope_of(project: Project, services: tuple[str, ...]) -> Project:
    """Return the project reduced to these services and all they depend on; none named: the whole project."""
    if not services:
        return project
    reached = _reached(project, services)
    return replace(project, services=tuple(service for service in project.services if service.name in reached))


def optional_of(project: Project, services: tuple[str, ...]) -> frozenset[str]:
    """Return what these services do without: all that is reached through a dependency that is not required alone."""
    if not services:
        return frozenset()  # the whole project was asked for
    return frozenset(_reached(project, services) - _reached(project, services, required_only=True))


def sharers_of(project: Project, services: tuple[str, ...]) -> tuple[str, ...]:
    """Return the services, beside these, that live in a namespace of theirs: with its owner's restart they lose it."""
    owners = set(services)
    sharers: list[str] = []
    while new := [item.name for item in project.services if item.name not in owners and owners & set(item.shares)]:
        sharers += new
        owners |= set(new)
    return tuple(sharers)


def _reached(project: Project, services: tuple[str, ...], *, required_only: bool = False) -> set[str]:
    by_name = {service.name: service for service in project.services}
    reached: set[str] = set()
    todo = list(services)
    while todo:
        name = todo.pop()
        if name in by_name and name not in reached:
            reached.add(name)
            todo += [item.service for item in by_name[name].depends_on if item.required or not required_only]
    return reached


_ids = count(1)
_WHAT = {
    "up": "Creates and starts {targets}; changed containers are replaced.",
    "down": "Stops and removes the containers of {targets} and their networks; one-off runs, orphans and "
    "containers of inactive profiles stay.",
    "restart": "Stops and starts {targets}: connections break for a moment.",
    "stop": "Stops {targets}; the containers stay.",
    "start": "Starts the existing containers of {targets}.",
    "build": "Builds the images of {targets}; running containers keep their old ones.",
    "sync": "Writes what is saved here into the containers of {targets}, and deletes there what is deleted here.",
    "exec": "Runs the command of a watch rule in the containers of {targets}.",
}
_READ_ONLY = "devenv is in read-only mode"
_READ_ONLY_HINT = "It was set by --read-only, DEVENV_READ_ONLY or read_only in devenv.toml."


class ClusterIdentity(Struct, frozen=True):
    """Where in which cluster a change is done: `cluster` is the server and its authority, as the kubeconfig says."""

    context: str
    namespace: str
    cluster: str
    cluster_uid: str = ""


class Ticket(Struct, frozen=True):
    """A change that was allowed and begun; `Guard.finish` closes it. `warning`: the audit log could not be written."""

    id: int
    plan: Plan
    begun: float
    warning: str = ""


class Guard:
    """Stands before every change of a project or a cluster: policy, blast radius, audit log."""

    def __init__(
        self,
        audit: AuditLog | None = None,
        *,
        read_only: bool = False,
        source: str = "cli",
        kubernetes: KubeSettings | None = None,
    ) -> None:
        self._audit = audit or AuditLog()
        self._source = source
        self._kubernetes = kubernetes or KubeSettings()
        self.read_only = read_only

    @classmethod
    def of(cls, config: Config, source: str = "cli") -> Guard:
        """Return the guard that these settings ask for, with the user's audit log."""
        return cls(read_only=config.read_only, source=source, kubernetes=config.kubernetes)

    def plan(
        self,
        verb: str,
        targets: tuple[str, ...] = (),
        *,
        volumes: bool = False,
        project: Project | None = None,
        losses: tuple[str, ...] | None = None,
    ) -> Plan:
        """Weigh a request. `losses` overrides the project's declared volumes with what Compose says it would remove.

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
        sharers = sharers_of(project, targets) if project and verb in ("restart", "stop") else ()
        if sharers:
            owner, who = ", ".join(targets), ", ".join(sharers)
            # Compose 5.6 restarts them with their owner (measured); nothing does after a stop and a start.
            effect = "must be restarted with it" if verb == "restart" else "is cut off until it is restarted after it"
            sentences.append(f"{who} shares a namespace (network, pid or ipc) of {owner} and {effect}.")
        return Plan(
            verb=verb,
            targets=targets,
            volumes=volumes,
            allowed=not self.read_only,
            needs_confirmation=verb == "down" or bool(sharers),
            sentences=tuple(sentences),
            losses=losses,
            reason=_READ_ONLY if self.read_only else "",
            hint=_READ_ONLY_HINT if self.read_only else "",
        )

    def plan_cluster(
        self,
        verb: str,
        targets: tuple[str, ...],
        place: ClusterIdentity,
        *,
        sentences: tuple[str, ...] = (),
        losses: tuple[str, ...] = (),
        needs_confirmation: bool = False,
        options: tuple[tuple[str, str], ...] = (),
    ) -> Plan:
        """Weigh a change of a cluster; what it hits was found out by who plans it. Only contexts on the list pass."""
        reason, hint = self._policy(place.context)
        return Plan(
            verb=verb,
            targets=targets,
            allowed=not reason,
            needs_confirmation=needs_confirmation or bool(losses),
            sentences=sentences,
            losses=losses,
            reason=reason,
            hint=hint,
            context=place.context,
            namespace=place.namespace,
            cluster=place.cluster,
            cluster_uid=place.cluster_uid,
            options=options,
        )

    def _policy(self, context: str) -> tuple[str, str]:
        if self.read_only:
            return _READ_ONLY, _READ_ONLY_HINT
        if context and not self._kubernetes.may_change(context):
            known = ", ".join((*ALLOWED, *self._kubernetes.allow))
            reason = f"the context {sanitize(context)} is not on the list of those that may be changed ({known})"
            return reason, f'To allow it, write into devenv.toml: [kubernetes] allow = ["{sanitize(context)}"]'
        return "", ""

    def begin(
        self, plan: Plan, project: Project | None = None, directory: str = "", *, now: ClusterIdentity | None = None
    ) -> Ticket:
        """Record the request and let it pass, or raise Refused (recorded too).

        `now` is where the plan's context leads at this moment: another cluster than the plan's refuses it.
        """
        number = next(_ids)
        facts = self._facts(plan, project, directory)
        reason, hint = ("", "") if plan.allowed else (plan.reason, plan.hint)
        if not reason:
            reason, hint = self._policy(plan.context)
        if not reason and now is not None:
            reason, hint = _moved(plan, now)
        if reason:
            self._audit.write("refused", request=number, reason=reason, **facts)
            raise Refused(f"{plan.verb} was not done: {reason}", hint)
        warning = self._audit.write("allowed", request=number, **facts)
        return Ticket(number, plan, time.monotonic(), warning)

    def refuse(self, plan: Plan, reason: str, hint: str, project: Project | None = None) -> Refused:
        """Record a request that the user or the surroundings did not confirm, and return the error to raise."""
        self._audit.write("refused", request=next(_ids), reason=reason, **self._facts(plan, project, ""))
        return Refused(reason, hint)

    def _facts(self, plan: Plan, project: Project | None, directory: str) -> dict[str, object]:
        facts: dict[str, object] = {"source": self._source, "verb": plan.verb, "targets": list(plan.targets)}
        if plan.context:
            where = {"context": plan.context, "namespace": plan.namespace, "cluster": plan.cluster}
            return {**facts, **where, "options": dict(plan.options), "losses": list(plan.losses)}
        return {
            **facts,
            "volumes": plan.volumes,
            "project": project.name if project else "",
            "directory": project.directory if project else directory,
        }

    def note(self, event: str, **facts: object) -> None:
        """Record what was done without a plan: the removal of what dead runs left."""
        self._audit.write(event, **facts)

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


def _moved(plan: Plan, now: ClusterIdentity) -> tuple[str, str]:
    """Tell whether the context's name stands for another cluster now, or for one made anew at the same address."""
    hint = "Look at what is there now, and ask for the change again."
    if plan.cluster and now.cluster != plan.cluster:
        where = f"{sanitize(now.cluster)}, and it was planned for {sanitize(plan.cluster)}"
        return f"the context {sanitize(plan.context)} now leads to another cluster: {where}", hint
    if plan.cluster_uid and now.cluster_uid and now.cluster_uid != plan.cluster_uid:
        return f"the cluster behind the context {sanitize(plan.context)} was made anew since it was planned", hint
    return "", ""
