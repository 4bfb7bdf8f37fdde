"""`devenv down`: stop and remove the project; with -v its volumes too, which is asked for first."""

from __future__ import annotations

import sys
from argparse import Namespace

from devenv.cli.change import make_guard, run_job
from devenv.cli.console import tell, warn
from devenv.cli.context import Context
from devenv.cli.grouping import beyond
from devenv.cli.reading import declared_services, read_project
from devenv.control.job import Job
from devenv.control.losses import volumes_at_risk
from devenv.core.errors import DevenvError
from devenv.core.model import Beyond, Project


def run(arguments: Namespace) -> int:
    """Take the project down. Raises Refused when the loss of volumes was not confirmed: then nothing was done."""
    context = Context(arguments, by_labels=True)
    targets = tuple(arguments.services)
    project = context.project_with(targets)
    guard = make_guard(context)
    losses: tuple[str, ...] = ()
    if arguments.volumes and not guard.read_only:
        read_project(context, project)  # an engine that does not answer is told here: Compose would wait for it
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
    options = [flag for flag, wanted in flags if wanted]
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
