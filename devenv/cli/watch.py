"""`devenv watch`: what is saved is in the containers, and served, a moment later. One line on stdout an event."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from urllib.parse import urlsplit

from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.cli.change import make_guard, run_job
from devenv.cli.console import colors_wanted, paint, warn
from devenv.cli.context import Context
from devenv.control.failures import unknown_service
from devenv.control.guard import Guard
from devenv.control.job import Job
from devenv.core.errors import UsageError
from devenv.core.model import Project
from devenv.core.stored import only_one, state_folder

_COLORS = {"failed": "red", "unserved": "red", "warning": "yellow", "held": "yellow", "served": "green"}


def run(arguments: Namespace) -> int:
    """Watch until ctrl-c, which ends with 130. Bad input raises before anything is changed."""
    context = Context(arguments)
    targets = tuple(arguments.services)
    project = context.project_with(targets)
    guard = make_guard(context)
    plan = guard.plan("sync", targets, project=project)
    if not plan.allowed:
        raise guard.refuse(plan, f"watch was not begun: {plan.reason}", plan.hint, project)
    from devenv.watch.rules import read_rules  # deferred, as all of devenv.watch: bad input needs no watchdog

    rules, remarks = read_rules(json.loads(context.document), targets)
    for text in remarks:
        warn(text, no_color=context.no_color)
    probes = _probes(arguments.probe, tuple(item.service for item in rules))
    with only_one(state_folder() / "watch" / f"{project.name}.lock", f"Project {project.name}", "watched"):
        if arguments.up:
            up = guard.plan("up", targets, project=project)
            run_job(context, guard, up, project, Job(context.options, project, "up", ("--detach",), targets))
        return _watch(context, project, guard, rules, probes)


def _watch(context: Context, project: Project, guard: Guard, rules: Sequence[object], probes: dict[str, str]) -> int:
    from devenv.watch.session import Session, WatchOptions

    options = WatchOptions(context.arguments.wait, context.arguments.poll, probes, context.config.verify.endpoints)
    colored = colors_wanted(sys.stdout, no_color=context.no_color) and not context.arguments.json

    def make_job(verb: str, flags: tuple[str, ...], targets: tuple[str, ...]) -> Job:
        return Job(context.options, project, verb, flags, targets)

    with Session(rules, project, resolve_endpoint(context.environ), guard, make_job, options) as session:  # type: ignore[arg-type]
        for report in session.reports():
            line = report.as_json() if context.arguments.json else report.line()
            sys.stdout.write(paint(line, _COLORS.get(report.event, ""), colored) + "\n")
            sys.stdout.flush()
    return 0


def _probes(given: Sequence[str], services: tuple[str, ...]) -> dict[str, str]:
    """Return the URL of each service, "" for all of them."""
    urls: dict[str, str] = {}
    for text in given:
        name, equals, url = text.partition("=")
        if not equals or ":" in name:
            name, url = "", text
        if name and name not in services:
            raise unknown_service(name, services)
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise UsageError(f"--probe {text!r} is not an address", "Write --probe http://127.0.0.1:8000/ for example.")
        urls[name] = url
    return urls
