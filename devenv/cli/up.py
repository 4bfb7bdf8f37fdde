"""`devenv up`: create and start services; with --wait, judge whether they are up."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from devenv.cli.change import guarded, make_guard, run_job
from devenv.cli.console import format_table
from devenv.cli.context import Context
from devenv.control.guard import optional_of, scope_of
from devenv.control.job import Job
from devenv.control.readiness import UpVerdict
from devenv.control.wait import Waiter, last_words
from devenv.core.errors import UsageError
from devenv.core.model import Project
from devenv.core.text import human_duration

if TYPE_CHECKING:
    from devenv.control.build_job import BuildJob

_PULLING = ("always", "refresh", "daily", "weekly", "every_")  # policies of the Compose specification, and their starts


def run(arguments: Namespace) -> int:
    """Start; with --wait, raises ServiceFailed or WaitTimeout after the table of verdicts was printed."""
    if arguments.timeout is not None and not arguments.wait:
        raise UsageError("--timeout belongs to --wait", "Add --wait.")
    context = Context(arguments)
    targets = tuple(arguments.services)
    project = context.project_with(targets)
    guard = make_guard(context)
    plan = guard.plan("up", targets, project=project)
    before = builds_before(context, project, context.document, targets) if arguments.build else None
    job = Job(context.options, project, "up", compose_flags(arguments, before), targets, before=before)
    if not arguments.wait:
        run_job(context, guard, plan, project, job)
        return 0
    timeout = context.config.wait_timeout if arguments.timeout is None else arguments.timeout
    waiter = _waiter(context, scope_of(project, targets), job, timeout, optional_of(project, targets))
    verdict = guarded(context, guard, plan, project, waiter.run, waiter.interrupt, lambda result: result.error)
    print_verdict(verdict)
    if verdict.error is not None:
        raise verdict.error
    return 0


def print_verdict(verdict: UpVerdict) -> None:
    """Write one row a service to stdout, and below the table what speaks for each failure."""
    rows = [
        (
            item.service,
            item.outcome.value,
            human_duration(item.after) if item.after is not None else "",
            item.reason,
        )
        for item in verdict.services
    ]
    lines = format_table(("SERVICE", "VERDICT", "AFTER", "WHY"), rows)
    for item in verdict.services:
        if item.evidence:
            lines += ["", f"{item.service}:", *(f"  | {line}" for line in item.evidence)]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def builds_before(context: Context, project: Project, document: bytes, targets: tuple[str, ...]) -> BuildJob | None:
    """Return what builds the images before, as `devenv build` does; None where that is left to Compose.

    With --no-build, Compose would pull the image of a service whose policy is to pull always.
    """
    services = json.loads(document).get("services") or {}
    builds = tuple(service.name for service in scope_of(project, targets).services if service.builds)
    policies = (str((services.get(name) or {}).get("pull_policy", "")) for name in builds)
    if not builds or any(policy.startswith(_PULLING) for policy in policies):
        return None
    from devenv.control.build_job import BuildJob

    return BuildJob(context.options, project, builds, context.environ, context.config.root, document)


def compose_flags(arguments: Namespace, before: BuildJob | None) -> tuple[str, ...]:
    """Return the flags for Compose; `before` has built what --build asks for."""
    flags = (
        ("--build", arguments.build and before is None),
        ("--no-build", arguments.no_build or before is not None),
        ("--remove-orphans", arguments.remove_orphans),
    )
    return ("--detach", *(flag for flag, given in flags if given))


def _waiter(context: Context, scope: Project, job: Job, timeout: float, optional: frozenset[str]) -> Waiter:
    from devenv.backends.docker.endpoint import resolve_endpoint
    from devenv.backends.docker.snapshot import ProjectWatch

    watch = ProjectWatch(scope, resolve_endpoint(context.environ))
    return Waiter(scope, job, watch, last_words(context.options.directory), timeout, optional)
