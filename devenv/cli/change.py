"""`devenv down`, `restart`, `stop` and `start`, and what all changing verbs share: guard, audit log, progress."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from typing import TypeVar

from devenv.cli.console import tell, warn
from devenv.cli.context import Context, declared_services, read_project
from devenv.cli.progress import pump
from devenv.control.compose import volumes_at_risk
from devenv.control.guard import Guard, scope_of, sharers_of
from devenv.control.job import Job, Report
from devenv.control.protocol import Plan
from devenv.control.reach import beyond
from devenv.core.errors import DevenvError, EngineUnreachable, Interrupted
from devenv.core.model import Beyond, Project


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
    plan = guard.plan("down", targets, volumes=arguments.volumes, project=project, losses=losses)
    if plan.allowed and arguments.volumes and not arguments.yes:
        named = ", ".join(plan.losses) or "the containers' anonymous volumes"
        if not sys.stdin.isatty():
            hint = "Add --yes to delete them, or leave -v out to keep them."
            raise guard.refuse(plan, f"down -v would delete {named}, and there is no terminal to ask", hint, project)
        for sentence in plan.sentences:
            tell(sentence, no_color=context.no_color, color="yellow")
        if not _confirmed():
            raise guard.refuse(plan, f"Not confirmed: {named} and everything else is as it was", "", project)
    flags = (("--volumes", arguments.volumes), ("--remove-orphans", arguments.remove_orphans))
    options = [flag for flag, given in flags if given]
    if arguments.timeout is not None:
        options += ["--timeout", str(arguments.timeout)]
    job = Job(context.options, project, "down", tuple(options), targets)
    steps = run_job(context, guard, plan, project, job)
    if not targets:
        _check_all_is_gone(context, project)
    if steps == 0:
        tell("Nothing to take down", no_color=context.no_color)
    return 0


def _check_all_is_gone(context: Context, project: Project) -> None:
    """Raise DevenvError with what is still there: Compose leaves it without a word and ends with 0."""
    try:
        left = [item for item in read_project(context, project) if item.kind == "container"]
    except DevenvError as error:
        warn(f"whether everything is gone is not known: {error.message}", no_color=context.no_color)
        return
    if not left:
        return
    declared = declared_services(context, project)
    reasons = {item.name: beyond(item, declared) for item in left}
    named = ", ".join(f"{name} ({reason})" for name, reason in sorted(reasons.items()))
    profiles = " --profile '*'" if Beyond.INACTIVE in reasons.values() else ""
    orphans = " --remove-orphans" if {Beyond.ONE_OFF, Beyond.ORPHAN} & set(reasons.values()) else ""
    command = f"devenv{profiles} down{orphans}"
    raise DevenvError(f"Still there, since `down` does not include them: {named}", f"To remove them too: {command}")


def _confirmed() -> bool:
    sys.stderr.write("Delete them? Type yes: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("yes", "y")


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


def run_job(context: Context, guard: Guard, plan: Plan, project: Project, job: Job) -> int:
    """Run a job that carries the plan out; return how many steps Compose reported."""

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
