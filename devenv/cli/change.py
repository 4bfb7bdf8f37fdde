"""`devenv down`, `restart`, `exec` and the other verbs of Compose, and what all share: guard, audit log, progress."""

from __future__ import annotations

import json
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import to_builtins
from msgspec.structs import replace

from devenv.cli.console import format_table, tell, warn
from devenv.cli.context import Context, declared_services, read_project
from devenv.cli.progress import pump
from devenv.control.audit import HEAD, AuditLog
from devenv.control.compose import volumes_at_risk
from devenv.control.guard import Guard, scope_of, sharers_of
from devenv.control.job import Job, Report
from devenv.control.protocol import Plan
from devenv.control.verbs import flags_of
from devenv.core.errors import DevenvError, EngineUnreachable, Interrupted
from devenv.core.model import Project

if TYPE_CHECKING:
    from devenv.control.prune import PruneJob


def run_down(arguments: Namespace) -> int:
    """Take the project down. Raises Refused when the loss of volumes was not confirmed: then nothing was done."""
    context = Context(arguments, by_labels=True)
    targets = tuple(arguments.services)
    project = context.project_with(targets)
    guard = make_guard(context)
    losses: tuple[str, ...] = ()
    if arguments.volumes and not guard.read_only:
        read_project(context, project)  # an engine that does not answer is reported here: Compose would wait for it
        losses = volumes_at_risk(context.options.for_project(project), targets)
    taken = {"all": "yes"} if arguments.all else {}
    plan = guard.plan("down", targets, volumes=arguments.volumes, project=project, losses=losses, options=taken)
    confirm(context, guard, plan, project, yes=arguments.yes)
    verb, *options = flags_of(plan)
    if arguments.remove_orphans and not arguments.all:
        options.append("--remove-orphans")
    if arguments.timeout is not None:
        options += ["--timeout", str(arguments.timeout)]
    called = replace(context.options, profiles=("*",)) if arguments.all else context.options
    job = Job(called, project, verb, tuple(options), targets)
    steps = run_job(context, guard, plan, project, job)
    if not targets:
        _check_all_is_gone(context, project)
    if steps == 0:
        tell("Nothing to take down", no_color=context.no_color)
    return 0


def confirm(context: Context, guard: Guard, plan: Plan, project: Project, *, yes: bool) -> None:
    """Show what exactly the plan takes, and ask where it is to be confirmed; raises Refused, which is recorded.

    Without a terminal to ask on, what can be had again is done as it was typed, unless `[confirm]` names the act.
    """
    if not (plan.allowed and plan.needs_confirmation):
        return
    from devenv.control.reach import reach  # deferred: most changes take nothing away

    plan = reach(plan, project, lambda: declared_services(context, project), context.environ)
    confirm_reached(context, guard, plan, project, yes=yes)


def confirm_reached(context: Context, guard: Guard, plan: Plan, project: Project, *, yes: bool) -> None:
    """Show a plan that says exactly what it takes, and ask, as `confirm` does."""
    for sentence in plan.sentences:
        tell(sentence, no_color=context.no_color, color="yellow")
    if yes or not plan.needs_confirmation:
        return
    named = ", ".join(plan.losses) or ("the containers' anonymous volumes" if plan.volumes else "")
    if not sys.stdin.isatty():
        if not (plan.volumes or plan.typed or context.config.confirm.policy(plan.verb)):
            return
        keep = ", or leave -v out to keep them" if plan.volumes else ""
        what = f"{plan.verb} -v would delete {named}" if plan.volumes else f"{plan.verb} is to be confirmed"
        raise guard.refuse(plan, f"{what}, and there is no terminal to ask", f"Add --yes to do it{keep}.", project)
    sys.stderr.write(f"To do it, type {plan.typed or 'yes'}: ")
    sys.stderr.flush()
    answer = sys.stdin.readline().strip()
    if answer != plan.typed if plan.typed else answer.lower() not in ("yes", "y"):
        everything = f"{named} and everything else is" if named else "everything is"
        raise guard.refuse(plan, f"Not confirmed: {everything} as it was", "", project)


def _check_all_is_gone(context: Context, project: Project) -> None:
    """Raise DevenvError with what is still there: Compose leaves it without a word and ends with 0."""
    try:
        left = [item for item in read_project(context, project) if item.kind == "container"]
    except DevenvError as error:
        warn(f"whether everything is gone is not known: {error.message}", no_color=context.no_color)
        return
    if not left:
        return
    from devenv.control.reach import beyond  # deferred: nothing is left most times

    declared = declared_services(context, project)
    reasons = {item.name: beyond(item, declared) for item in left}
    named = ", ".join(f"{name} ({reason})" for name, reason in sorted(reasons.items()))
    hint = "To remove them too: devenv down --all"
    raise DevenvError(f"Still there, since `down` does not include them: {named}", hint)


def run_restart(arguments: Namespace) -> int:
    """Restart; DevenvError when there is no container to restart, which Compose does not say."""
    context = Context(arguments, by_labels=True)
    options = () if arguments.timeout is None else ("--timeout", str(arguments.timeout))
    if run_verb(context, "restart", tuple(arguments.services), options) == 0:
        raise DevenvError("Nothing to restart: there are no containers", "Create them: devenv up")
    return 0


def run_stop(arguments: Namespace) -> int:
    """Stop; it is no failure when nothing runs."""
    context = Context(arguments, by_labels=True)
    options = () if arguments.timeout is None else ("--timeout", str(arguments.timeout))
    if run_verb(context, "stop", tuple(arguments.services), options) == 0:
        tell("Nothing to stop: no container is running", no_color=context.no_color)
    return 0


def run_start(arguments: Namespace) -> int:
    """Start; DevenvError when a service has no container."""
    run_verb(Context(arguments, by_labels=True), "start", tuple(arguments.services))
    return 0


def run_prune(arguments: Namespace) -> int:
    """Remove what the project left over; raises Refused where it was not confirmed: then nothing was done."""
    from devenv.control.prune import PruneJob, survey

    context = Context(arguments, by_labels=True)
    project = context.project()
    guard = make_guard(context)
    plan = guard.plan("prune", volumes=arguments.volumes, project=project, losses=())
    if plan.allowed or arguments.dry_run:
        plan = survey(plan, project, context.options, context.environ)
    if arguments.dry_run:
        sys.stdout.write("".join(f"{sentence}\n" for sentence in plan.sentences))
        return 0
    if plan.needs_confirmation:
        confirm_reached(context, guard, plan, project, yes=arguments.yes)
    if run_job(context, guard, plan, project, PruneJob(plan, context.environ)) == 0:
        tell(" ".join(plan.sentences), no_color=context.no_color)
    return 0


_READS: Final = frozenset({"ps", "top", "port", "images"})


def run_passed(arguments: Namespace) -> int:
    """Run a verb of Compose and return its exit code; a change passes the guard. Raises Refused, ToolMissing."""
    from devenv.control.kube.kubectl import without_yes
    from devenv.core.signals import hand_over

    verb, words, yes = arguments.command, tuple(arguments.rest), False
    context = Context(arguments, by_labels=True)
    asks_help = bool({"-h", "--help"} & set(words[: 1 if verb == "exec" else None]))
    if verb in _READS or asks_help:
        return hand_over(context.options.command(verb, *words), context.environ, context.options.directory)
    if verb != "exec":  # whose command may have a -y of its own
        words, yes = without_yes(words)
    project = context.project()
    guard = make_guard(context)
    options = context.options.for_project(project)
    if verb == "rm" and not yes:
        yes = bool({"-f", "--force"} & set(words))
    line = options.command(verb, *(("--force",) if verb == "rm" else ()), *words)
    targets, given = passed_targets(verb, words, [service.name for service in project.services])
    plan = replace(guard.plan(verb, targets, project=project, options=given), command=shlex.join(line))
    confirm(context, guard, plan, project, yes=yes)
    with guard.passing(plan, project, options.directory) as outcome:
        if outcome.warning:
            warn(outcome.warning, no_color=context.no_color)
        outcome.code = hand_over(line, context.environ, options.directory)
    return outcome.code


def passed_targets(
    verb: str, words: Sequence[str], services: Collection[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return which services a line of Compose is about, and what of it the guard looks at."""
    given: dict[str, str] = {}
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in ("-s", "--signal") and verb == "kill":
            given["signal"] = value if equals else "".join(words[place + 1 : place + 2])
        elif verb == "scale" and name in services and value.isdigit():
            given["replicas"] = str(min(int(value), int(given.get("replicas", value))))
    if verb == "rm" and not any(word in ("-s", "--stop") for word in words):
        given["stopped"] = "yes"
    ends = {"scale": "=", "cp": ":"}.get(verb, "\0")
    targets = [name for word in words if (name := word.partition(ends)[0]) in services]
    return tuple(dict.fromkeys(targets[:1] if verb == "exec" else targets)), given


def run_audit_log(arguments: Namespace) -> int:
    """Print the changes that were asked for, the oldest first."""
    entries = AuditLog().entries()[-arguments.tail :]
    if arguments.json:
        lines = [json.dumps(to_builtins(entry), ensure_ascii=False) for entry in entries]
    else:
        lines = format_table(HEAD, [entry.cells for entry in entries])
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    return 0


Result = TypeVar("Result")


def make_guard(context: Context) -> Guard:
    """Return the guard of this call."""
    return Guard.of(context.config)


def guarded(
    context: Context,
    guard: Guard,
    plan: Plan,
    project: Project,
    action: Callable[[Report], Result],
    interrupt: Callable[[], None],
    failure_in: Callable[[Result], DevenvError | None] = lambda result: None,
) -> Result:
    """Let the guard pass the plan, run it with progress, and record its end; `failure_in` finds one in a result."""
    with guard.passing(plan, project, context.options.directory) as outcome:
        if outcome.warning:
            warn(outcome.warning, no_color=context.no_color)
        try:
            _warn_of_other_folder(context, project)
            result = pump(plan.verb, action, interrupt, no_color=context.no_color)
        except Interrupted:
            tell(_left_over(context, scope_of(project, plan.targets)), no_color=context.no_color)
            raise
        outcome.failure = failure_in(result)
    return result


def run_verb(context: Context, verb: str, targets: tuple[str, ...], options: tuple[str, ...] = ()) -> int:
    """Run a simple verb of Compose on these services and return how many steps Compose reported."""
    project = context.project_with(targets)
    guard = make_guard(context)
    job = Job(context.options, project, verb, options, targets)
    plan = guard.plan(verb, targets, project=project)
    sharers = sharers_of(project, targets) if verb in ("restart", "stop") and plan.allowed else ()
    if sharers:
        again = f"devenv restart {' '.join((*targets, *sharers))}"
        warn(f"{plan.sentences[-1]} To be sure of all: {again}", no_color=context.no_color)
    return run_job(context, guard, plan, project, job)


def run_job(context: Context, guard: Guard, plan: Plan, project: Project, job: Job | PruneJob) -> int:
    """Run a job that carries the plan out; return how many steps it reported."""

    def action(report: Report) -> int:
        job.run(report)
        return job.steps

    return guarded(context, guard, plan, project, action, job.interrupt)


def _warn_of_other_folder(context: Context, project: Project) -> None:
    from devenv.backends.docker.endpoint import resolve_endpoint
    from devenv.backends.docker.parse import started_elsewhere
    from devenv.backends.docker.plain import list_plainly

    try:
        listed = list_plainly(resolve_endpoint(context.environ), project.name)
        other = started_elsewhere(project, read_project(context, project) if listed is None else listed)
    except EngineUnreachable:
        raise  # before Compose waits for it
    except DevenvError:
        return  # the change itself reports it
    if other:
        text = f"{other}: this changes the same containers. Another name keeps them apart: -p NAME"
        warn(text, no_color=context.no_color)


def _left_over(context: Context, project: Project) -> str:
    try:
        resources = read_project(context, project)
    except DevenvError as error:
        return f"devenv: what is left running is unknown: {error.message}"
    names = {service.name for service in project.services}
    left = [f"{item.name or item.service} {item.state.value}" for item in resources if item.service in names]
    return f"devenv: left as it is now: {', '.join(left) or 'nothing'}"
