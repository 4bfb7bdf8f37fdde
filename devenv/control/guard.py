"""What may be changed, what a change will reach, and the record of it: what was asked for, and how it ended."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from devenv.control.protocol import Options, Plan
from devenv.control.verbs import VERBS, command_line, sentence_of, takes_away
from devenv.core.errors import EXIT_INTERRUPTED, DevenvError, Interrupted, Refused
from devenv.core.kube_settings import ALLOWED, KubeSettings
from devenv.core.model import Project
from devenv.core.settings import Config, ConfirmSettings
from devenv.core.text import sanitize

if TYPE_CHECKING:
    from devenv.control.audit import AuditLog


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


def dependents_of(project: Project, services: tuple[str, ...]) -> tuple[str, ...]:
    """Return the services, beside these, that depend on them, directly or by others."""
    needed = set(services)
    dependents: list[str] = []
    while new := [
        item.name
        for item in project.services
        if item.name not in needed and any(one.service in needed for one in item.depends_on)
    ]:
        dependents += new
        needed |= set(new)
    return tuple(dependents)


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
_STAYS = "One-off runs, orphans and containers of inactive profiles stay."
_TAKEN_TOO = "One-off runs, orphans and containers of all profiles go too."
_STORES = frozenset({"namespace", "persistentvolumeclaim", "persistentvolume"})
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


class Outcome(Struct):
    """How a change that was let pass went; who carries it out fills in the code, or a failure that is not raised."""

    warning: str
    code: int = 0
    failure: DevenvError | None = None


class Guard:
    """Stands before every change of a project or a cluster: policy, blast radius, audit log."""

    def __init__(
        self,
        audit: AuditLog | None = None,
        *,
        read_only: bool = False,
        source: str = "cli",
        kubernetes: KubeSettings | None = None,
        confirm: ConfirmSettings | None = None,
    ) -> None:
        self._confirm = confirm or ConfirmSettings()
        self._audit = audit
        self._source = source
        self._kubernetes = kubernetes or KubeSettings()
        self.read_only = read_only

    @classmethod
    def of(cls, config: Config, source: str = "cli") -> Guard:
        """Return the guard that these settings ask for, with the user's audit log."""
        return cls(read_only=config.read_only, source=source, kubernetes=config.kubernetes, confirm=config.confirm)

    def take(self, config: Config) -> None:
        """Hold what these settings say from now on."""
        self.read_only, self._kubernetes, self._confirm = config.read_only, config.kubernetes, config.confirm

    def plan(
        self,
        verb: str,
        targets: tuple[str, ...] = (),
        *,
        volumes: bool = False,
        project: Project | None = None,
        losses: tuple[str, ...] | None = None,
        options: Options = None,
    ) -> Plan:
        """Weigh a request. `losses` overrides the project's declared volumes with what Compose says it would remove.

        Whatever takes something away is to be confirmed, unless `[confirm]` of devenv.toml says otherwise; what
        deletes volumes is confirmed by typing the project's name, whatever it says.
        """
        if verb not in VERBS:
            raise ValueError(f"no such verb: {verb}")
        given = dict(options or {})
        if losses is None:
            losses = project.volumes if volumes and project else ()
        names = ", ".join(targets) if targets else f"project {project.name}" if project else "the project"
        sentences = [sentence_of(verb, names, given)]
        if verb == "down":
            sentences.append(_TAKEN_TOO if given.get("all") else _STAYS)
        if volumes:
            named = f"these volumes and all data in them: {', '.join(losses)}" if losses else "the anonymous volumes"
            sentences.append(f"Deletes for ever {named}.")
        sharers = sharers_of(project, targets) if project and verb in ("restart", "stop") else ()
        if sharers:
            owner, who = ", ".join(targets), ", ".join(sharers)
            # Compose 5.6 restarts them with their owner (measured); nothing does after a stop and a start.
            effect = "must be restarted with it" if verb == "restart" else "is cut off until it is restarted after it"
            sentences.append(f"{who} shares a namespace (network, pid or ipc) of {owner} and {effect}.")
        plan = Plan(
            verb=verb,
            targets=targets,
            volumes=volumes,
            allowed=not self.read_only,
            sentences=tuple(sentences),
            losses=losses,
            reason=_READ_ONLY if self.read_only else "",
            hint=_READ_ONLY_HINT if self.read_only else "",
            options=tuple(given.items()),
        )
        name = project.name if project else "down"
        return self.confirmed_by(plan, takes_away(plan) or bool(sharers), name, must_type=volumes)

    def confirmed_by(self, plan: Plan, asks: bool, name: str, *, must_type: bool = False) -> Plan:
        """Return the plan with how it is to be confirmed.

        `asks` says whether it is asked about where `[confirm]` of devenv.toml names no other way; `name` is what is to
        be typed where a yes does not do: where the setting says so, and always where it `must_type`.
        """
        policy = self._confirm.policy(plan.verb)
        asks = must_type or (policy != "never" if policy else asks)
        return replace(plan, needs_confirmation=asks, typed=name if must_type or policy == "type" else "")

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
        command: str = "",
    ) -> Plan:
        """Weigh a change of a cluster; what it hits was found out by who plans it. Only contexts on the list pass.

        What deletes a namespace, a claim of a volume, a volume or a cluster is confirmed by typing its name.
        """
        reason, hint = self._policy(place.context)
        plan = Plan(
            verb=verb,
            targets=targets,
            allowed=not reason,
            sentences=sentences,
            losses=losses,
            reason=reason,
            hint=hint,
            context=place.context,
            namespace=place.namespace,
            cluster=place.cluster,
            cluster_uid=place.cluster_uid,
            options=options,
            command=command,
        )
        stores = verb == "delete" and any(target.partition("/")[0] in _STORES for target in targets)
        stores |= verb == "minikube delete"
        name = targets[0].rpartition("/")[2] if targets else verb
        return self.confirmed_by(plan, needs_confirmation or bool(losses), name, must_type=stores)

    def plan_command(
        self, name: str, target: str, command: str, context: str = "", namespace: str = "", *, asks: bool = False
    ) -> Plan:
        """Weigh a command of the user's own; what it does is not known, `asks` says whether it is asked about."""
        reason, hint = self._policy(context)
        return Plan(
            verb=name,
            targets=(target,) if target else (),
            allowed=not reason,
            needs_confirmation=asks,
            sentences=(f"Runs: {command}",),
            reason=reason,
            hint=hint,
            context=context,
            namespace=namespace,
            command=command,
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
            self.note("refused", request=number, reason=reason, **facts)
            raise Refused(f"{plan.verb} was not done: {reason}", hint)
        warning = self.note("allowed", request=number, **facts)
        return Ticket(number, plan, time.monotonic(), warning)

    def refuse(self, plan: Plan, reason: str, hint: str, project: Project | None = None) -> Refused:
        """Record a request that the user or the surroundings did not confirm, and return the error to raise."""
        self.note("refused", request=next(_ids), reason=reason, **self._facts(plan, project, ""))
        return Refused(reason, hint)

    def _facts(self, plan: Plan, project: Project | None, directory: str) -> dict[str, object]:
        facts: dict[str, object] = {"source": self._source, "verb": plan.verb, "targets": list(plan.targets)}
        if plan.context:
            where = {"context": plan.context, "namespace": plan.namespace, "cluster": plan.cluster}
            effect = {"options": dict(plan.options), "losses": list(plan.losses), "command": _in_cluster(plan)}
            return {**facts, **where, **effect}
        return {
            **facts,
            "command": plan.command or (command_line(plan, project) if plan.verb in VERBS else ""),
            "volumes": plan.volumes,
            "project": project.name if project else "",
            "directory": project.directory if project else directory,
        }

    @contextmanager
    def passing(
        self, plan: Plan, project: Project | None = None, directory: str = "", *, now: ClusterIdentity | None = None
    ) -> Iterator[Outcome]:
        """Let the plan pass as `begin` does, and record how the block ended; an exit code other than 0 is a failure."""
        ticket = self.begin(plan, project, directory, now=now)
        outcome = Outcome(ticket.warning)
        failure: BaseException | None = None
        try:
            yield outcome
            failure = outcome.failure or (DevenvError(f"exit code {outcome.code}") if outcome.code else None)
        except BaseException as error:
            failure = error
            raise
        finally:
            self.finish(ticket, failure)

    def note(self, event: str, **facts: object) -> str:
        """Record something; return "" or why it could not be written. What dead runs left is removed without a plan."""
        if self._audit is None:
            from devenv.control.audit import AuditLog  # deferred: nothing is recorded before the first paint

            self._audit = AuditLog()
        return self._audit.write(event, **facts)

    def finish(self, ticket: Ticket, error: BaseException | None = None) -> str:
        """Record how an allowed change ended; return "" or why that could not be written."""
        result, code = "done", 0
        if isinstance(error, Interrupted | KeyboardInterrupt):
            result, code = "interrupted", EXIT_INTERRUPTED
        elif error is not None:
            result, code = "failed", error.exit_code if isinstance(error, DevenvError) else 1
        return self.note(
            "finished",
            request=ticket.id,
            verb=ticket.plan.verb,
            result=result,
            exit_code=code,
            error=error.message if isinstance(error, DevenvError) else repr(error) if error else "",
            seconds=round(time.monotonic() - ticket.begun, 3),
        )


def _in_cluster(plan: Plan) -> str:
    """Return what one would type in a cluster for the plan."""
    if plan.command:
        return plan.command
    targets = ["/".join((one.split("/")[0], one.split("/")[-1])) for one in plan.targets if "/" in one]
    words = _KUBECTL.get(plan.verb, plan.verb)
    if plan.verb in ("cordon", "uncordon", "drain"):
        targets = [target.partition("/")[2] for target in targets]
    if plan.verb == "scale":
        targets.append(f"--replicas={plan.option('replicas')}")
    where = ["--context", plan.context, *(("--namespace", plan.namespace) if plan.namespace else ())]
    return f"kubectl {shlex.join(where)} {words} {shlex.join(targets)}"


_KUBECTL = {
    "restart": "rollout restart",
    "undo": "rollout undo",
    "pause": "rollout pause",
    "resume": "rollout resume",
    "drain": "drain --ignore-daemonsets",
}


def _moved(plan: Plan, now: ClusterIdentity) -> tuple[str, str]:
    """Tell whether the context's name stands for another cluster now, or for one made anew at the same address."""
    hint = "Look at what is there now, and ask for the change again."
    if plan.cluster and now.cluster != plan.cluster:
        where = f"{sanitize(now.cluster)}, and it was planned for {sanitize(plan.cluster)}"
        return f"the context {sanitize(plan.context)} now leads to another cluster: {where}", hint
    if plan.cluster_uid and now.cluster_uid and now.cluster_uid != plan.cluster_uid:
        return f"the cluster behind the context {sanitize(plan.context)} was made anew since it was planned", hint
    return "", ""
