"""What all changing verbs share: guard, audit log, progress, and what is said after ctrl-c."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from devenv.cli.console import tell, warn
from devenv.cli.context import Context
from devenv.cli.progress import pump
from devenv.control.guard import Guard
from devenv.control.job import Job, Report
from devenv.control.protocol import Plan
from devenv.control.scope import scope_of, sharers_of
from devenv.core.errors import DevenvError, EngineUnreachable, Interrupted
from devenv.core.model import Project

Result = TypeVar("Result")


def make_guard(context: Context, source: str = "cli") -> Guard:
    """Return the guard of this call."""
    return Guard.of(context.config, source)


def guarded(
    context: Context,
    guard: Guard,
    plan: Plan,
    project: Project,
    action: Callable[[Report], Result],
    interrupt: Callable[[], None],
    judge: Callable[[Result], DevenvError | None] = lambda result: None,
) -> Result:
    """Let the guard pass the plan, run it with progress, and record its end; `judge` finds a failure in a result."""
    ticket = guard.begin(plan, project, context.options.directory)
    if ticket.warning:
        warn(ticket.warning, no_color=context.no_color)
    failure: BaseException | None = None
    try:
        _warn_of_other_folder(context, project)
        result = pump(plan.verb, action, interrupt, no_color=context.no_color)
        failure = judge(result)
        return result
    except BaseException as error:
        failure = error
        if isinstance(error, Interrupted):
            tell(_left_over(context, scope_of(project, plan.targets)), no_color=context.no_color)
        raise
    finally:
        guard.finish(ticket, failure)


def run_verb(context: Context, verb: str, targets: tuple[str, ...], options: tuple[str, ...] = ()) -> int:
    """Run a simple verb of Compose on these services and return how many steps Compose told."""
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
    """Run a job that carries the plan out; return how many steps Compose told."""

    def action(report: Report) -> int:
        job.run(report)
        return job.steps

    return guarded(context, guard, plan, project, action, job.interrupt)


def _warn_of_other_folder(context: Context, project: Project) -> None:
    from devenv.backends.docker.labels import started_elsewhere
    from devenv.cli.reading import read_project

    try:
        other = started_elsewhere(project, read_project(context, project))
    except EngineUnreachable:
        raise  # before Compose waits for it
    except DevenvError:
        return  # it is told by the change itself
    if other:
        text = f"{other}: this changes the same containers. Another name keeps them apart: -p NAME"
        warn(text, no_color=context.no_color)


def _left_over(context: Context, project: Project) -> str:
    from devenv.cli.reading import read_project

    try:
        resources = read_project(context, project)
    except DevenvError as error:
        return f"devenv: what is left running is unknown: {error.message}"
    names = {service.name for service in project.services}
    found = [f"{item.name or item.service} {item.state.value}" for item in resources if item.service in names]
    return f"devenv: left as it is now: {', '.join(found) or 'nothing'}"
