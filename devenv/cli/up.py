"""`devenv up`: create and start services; with --wait, judge whether they are up."""

from __future__ import annotations

import sys
from argparse import Namespace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from devenv.cli.console import format_table
from devenv.cli.context import Context
from devenv.core.errors import UsageError
from devenv.core.model import Project
from devenv.core.stored import read_text, state_folder
from devenv.core.text import human_duration

if TYPE_CHECKING:
    from devenv.backends.compose import ComposeOptions
    from devenv.control.job import Job
    from devenv.control.readiness import UpOutcome
    from devenv.control.wait import Waiter


def run(arguments: Namespace) -> int:
    """Start; with --wait, raises ServiceFailed or WaitTimeout after the table of verdicts was printed."""
    if arguments.timeout is not None and not arguments.wait:
        raise UsageError("--timeout belongs to --wait", "Add --wait.")
    context = Context(arguments)
    targets = tuple(arguments.services)
    pending = context.begin_resolve()
    from devenv.cli.change import guarded, make_guard, run_job  # deferred: imported while Compose resolves the project
    from devenv.control.guard import optional_of, scope_of
    from devenv.control.up import up_job

    if _may_build(context.options):
        import_module("devenv.control.build_job")
    state_folder()  # where the change is recorded; to find it out takes some modules, too
    project = context.project_with(targets, pending)
    guard = make_guard(context)
    plan = guard.plan("up", targets, project=project)
    flags = compose_flags(arguments)
    job = up_job(context.options, project, flags, targets, context.environ, context.config.root, context.document)
    if not arguments.wait:
        run_job(context, guard, plan, project, job)
        return 0
    timeout = context.config.wait_timeout if arguments.timeout is None else arguments.timeout
    waiter = _waiter(context, scope_of(project, targets), job, timeout, optional_of(project, targets))
    outcome = guarded(context, guard, plan, project, waiter.run, waiter.interrupt, lambda result: result.error)
    print_outcome(outcome)
    if outcome.error is not None:
        raise outcome.error
    return 0


def _may_build(options: ComposeOptions) -> bool:
    """Whether one of the files has the word; what is built, Compose alone tells."""
    return any("build" in read_text(Path(file)) for file in options.files or options.default_files)


def print_outcome(outcome: UpOutcome) -> None:
    """Write one row a service to stdout, and below the table what speaks for each failure."""
    rows = [
        (
            item.service,
            item.outcome.value,
            human_duration(item.after) if item.after is not None else "",
            item.reason,
        )
        for item in outcome.services
    ]
    lines = format_table(("SERVICE", "VERDICT", "AFTER", "WHY"), rows)
    for item in outcome.services:
        if item.evidence:
            lines += ["", f"{item.service}:", *(f"  | {line}" for line in item.evidence)]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def compose_flags(arguments: Namespace) -> tuple[str, ...]:
    """Return the flags of `up`, as Compose has them."""
    names = ("build", "no_build", "remove_orphans")
    return ("--detach", *(f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name)))


def _waiter(context: Context, scope: Project, job: Job, timeout: float, optional: frozenset[str]) -> Waiter:
    from devenv.backends.docker.endpoint import resolve_endpoint
    from devenv.backends.docker.snapshot import ProjectWatch
    from devenv.control.wait import Waiter, last_words

    watch = ProjectWatch(scope, resolve_endpoint(context.environ))
    return Waiter(scope, job, watch, last_words(context.options.directory), timeout, optional)
