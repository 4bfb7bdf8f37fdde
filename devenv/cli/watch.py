"""`devenv watch`: what is saved is in the containers, and served, a moment later. One line on stdout an event."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from devenv.backends.compose import ComposeOptions, begin_resolve
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.cli.change import make_guard, run_job
from devenv.cli.console import colors_wanted, paint, warn
from devenv.cli.context import Context
from devenv.control.build_job import up_job
from devenv.control.failures import unknown_service
from devenv.control.guard import Guard
from devenv.control.job import Job
from devenv.core.errors import UsageError
from devenv.core.model import Project
from devenv.core.stored import only_one, state_folder

if TYPE_CHECKING:
    from devenv.watch.rules import ServiceRules
    from devenv.watch.session import Session

_COLORS = {"failed": "red", "unserved": "red", "warning": "yellow", "held": "yellow", "served": "green"}


def run(arguments: Namespace) -> int:
    """Watch until ctrl-c, which ends with 130. Bad input raises before anything is changed."""
    context = Context(arguments)
    targets = tuple(arguments.services)
    project = context.project_with(targets)
    guard = make_guard(context)
    rules, remarks = _rules(guard, project, context.document, targets)
    for text in remarks:
        warn(text, no_color=context.no_color)
    probes = _probes(arguments.probe, tuple(item.service for item in rules))
    with _alone(project):
        if arguments.up:
            up = guard.plan("up", targets, project=project)
            root, document = context.config.root, context.document
            job = up_job(context.options, project, ("--detach",), targets, context.environ, root, document)
            run_job(context, guard, up, project, job)
        colored = colors_wanted(sys.stdout, no_color=context.no_color) and not arguments.json
        chosen = (arguments.wait, arguments.poll, probes)
        with _session(context, context.options, project, guard, rules, *chosen) as session:
            for report in session.reports():
                line = report.as_json() if arguments.json else report.line()
                sys.stdout.write(paint(line, _COLORS.get(report.event, ""), colored) + "\n")
                sys.stdout.flush()
    return 0


@contextmanager
def watch_of_terminal(context: Context, options: ComposeOptions, guard: Guard) -> Iterator[Session]:
    """Give a watch of the whole project, as its files are now; containers are waited for. Raises as `run`."""
    pending = begin_resolve(options)
    project = pending.result()
    rules, remarks = _rules(guard, project, pending.document)
    with _alone(project), _session(context, options, project, guard, rules, wait=True) as session:
        for text in remarks:
            session.warn(text)
        yield session


def _rules(
    guard: Guard, project: Project, document: bytes, targets: tuple[str, ...] = ()
) -> tuple[tuple[ServiceRules, ...], list[str]]:
    plan = guard.plan("sync", targets, project=project)
    if not plan.allowed:
        raise guard.refuse(plan, f"watch was not begun: {plan.reason}", plan.hint, project)
    from devenv.watch.rules import read_rules  # deferred, as all of devenv.watch: bad input needs no watchdog

    return read_rules(json.loads(document), targets)


def _alone(project: Project) -> AbstractContextManager[None]:
    return only_one(state_folder() / "watch" / f"{project.name}.lock", f"Project {project.name}", "watched")


def _session(
    context: Context,
    options: ComposeOptions,
    project: Project,
    guard: Guard,
    rules: Sequence[ServiceRules],
    wait: bool = False,
    poll: bool = False,
    probes: Mapping[str, str] = MappingProxyType({}),
) -> Session:
    from devenv.watch.session import Session, WatchOptions

    def make_job(verb: str, flags: tuple[str, ...], targets: tuple[str, ...]) -> Job:
        if verb == "up":
            return up_job(options, project, flags, targets, context.environ, context.config.root)
        return Job(options, project, verb, flags, targets)

    chosen = WatchOptions(wait, poll, probes, context.config.verify.endpoints)
    return Session(rules, project, resolve_endpoint(context.environ), guard, make_job, chosen)


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
