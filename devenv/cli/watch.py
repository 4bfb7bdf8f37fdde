"""`devenv watch`: what is saved is in the containers, and served, a moment later. One line on stdout an event."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from devenv.backends.compose import ComposeOptions, begin_resolve
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.cli.change import make_guard, run_job
from devenv.cli.console import colors_wanted, paint, warn
from devenv.cli.context import Context
from devenv.control.failures import unknown_service
from devenv.control.guard import Guard
from devenv.control.job import Job
from devenv.control.up import up_job
from devenv.core.errors import UsageError
from devenv.core.model import Project
from devenv.core.stored import only_one, state_folder

if TYPE_CHECKING:
    from devenv.backends.kube.client import KubeClient
    from devenv.backends.kube.kubeconfig import Target
    from devenv.watch.rules import ServiceRules
    from devenv.watch.session import Session

_COLORS = {"failed": "red", "unserved": "red", "warning": "yellow", "held": "yellow", "served": "green"}


def run(arguments: Namespace) -> int:
    """Watch until ctrl-c, which ends with 130. Bad input raises before anything is changed."""
    context = Context(arguments)
    targets = tuple(arguments.services)
    project = context.project_with(targets)
    guard = make_guard(context)
    if arguments.target == "kubernetes":
        return _watch_pods(context, guard, targets)
    rules, remarks = _rules(guard, project, context.document, targets)
    for text in remarks:
        warn(text, no_color=context.no_color)
    probes = _probes(arguments.probe, tuple(item.service for item in rules))
    with _alone(project.name, "Project"):
        if arguments.up:
            up = guard.plan("up", targets, project=project)
            root, document = context.config.root, context.document
            job = up_job(context.options, project, ("--detach",), targets, context.environ, root, document)
            run_job(context, guard, up, project, job)
        chosen = (arguments.wait, arguments.poll, probes)
        _show(context, _session(context, context.options, project, guard, rules, *chosen))
    return 0


def _watch_pods(context: Context, guard: Guard, targets: tuple[str, ...]) -> int:
    """Watch for the pods of the workloads of these names; errors also as those of a cluster."""
    from devenv.backends.kube.kubeconfig import find_target

    arguments = context.arguments
    if arguments.up:
        raise UsageError("--up is for Compose", "devenv deploy brings the workloads up; --wait waits for their pods.")
    target = find_target(context.config.kubernetes, context.environ)
    client, alone = _cluster(context, guard, target, targets)
    rules, remarks = _pod_rules(context.document, targets)
    for text in remarks:
        warn(text, no_color=context.no_color)
    probes = _probes(arguments.probe, tuple(item.service for item in rules))
    with alone:
        _show(context, _pod_session(context, guard, client, rules, arguments.wait, arguments.poll, probes))
    return 0


def _cluster(
    context: Context, guard: Guard, target: Target, targets: tuple[str, ...] = ()
) -> tuple[KubeClient, AbstractContextManager[None]]:
    """Return a client, and the lock of its namespace's watch; raises Refused."""
    from devenv.backends.kube.client import KubeClient
    from devenv.control.kube.change import cluster_identity

    client = KubeClient(target, context.environ)
    place = cluster_identity(client)
    plan = guard.plan_cluster("sync", targets, place)
    if not plan.allowed:
        raise guard.refuse(plan, f"watch was not begun: {plan.reason}", plan.hint)
    return client, _alone(f"{place.context}/{place.namespace}", "Namespace")


def _pod_rules(document: bytes, targets: tuple[str, ...] = ()) -> tuple[tuple[ServiceRules, ...], list[str]]:
    from devenv.watch.pods import without_restarts
    from devenv.watch.rules import read_rules

    return without_restarts(read_rules(json.loads(document), targets, has_mounts=False)[0])


def _pod_session(
    context: Context,
    guard: Guard,
    client: KubeClient,
    rules: Sequence[ServiceRules],
    wait: bool = False,
    poll: bool = False,
    probes: Mapping[str, str] = MappingProxyType({}),
) -> Session:
    from devenv.watch.pods import PodDriver
    from devenv.watch.session import Session, WatchOptions

    driver = PodDriver(client, guard, context.config.manifests.compose.workloads)
    return Session(rules, driver, WatchOptions(wait, poll, probes))


def _show(context: Context, watch: Session) -> None:
    colored = colors_wanted(sys.stdout, no_color=context.no_color) and not context.arguments.json
    with watch as session:
        for report in session.reports():
            line = report.as_json() if context.arguments.json else report.line()
            sys.stdout.write(paint(line, _COLORS.get(report.event, ""), colored) + "\n")
            sys.stdout.flush()


@contextmanager
def watch_of_terminal(context: Context, options: ComposeOptions, guard: Guard) -> Iterator[Session]:
    """Give a watch of the whole project, as its files are now; containers are waited for. Raises as `run`."""
    pending = begin_resolve(options)
    project = pending.result()
    rules, remarks = _rules(guard, project, pending.document)
    with _alone(project.name, "Project"), _session(context, options, project, guard, rules, wait=True) as session:
        for text in remarks:
            session.warn(text)
        yield session


@contextmanager
def pod_watch_of_terminal(context: Context, options: ComposeOptions, guard: Guard, target: Target) -> Iterator[Session]:
    """Give the same for the pods of a namespace; pods of the workloads that it has are waited for."""
    pending = begin_resolve(options)
    pending.result()
    rules, remarks = _pod_rules(pending.document)
    client, alone = _cluster(context, guard, target)
    with alone, _pod_session(context, guard, client, rules, wait=True) as session:
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


def _alone(name: str, what: str) -> AbstractContextManager[None]:
    return only_one(state_folder() / "watch" / f"{quote(name, safe='')}.lock", f"{what} {name}", "watched")


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
    from devenv.watch.driver import ComposeDriver
    from devenv.watch.session import Session, WatchOptions

    def make_job(verb: str, flags: tuple[str, ...], targets: tuple[str, ...]) -> Job:
        if verb == "up":
            return up_job(options, project, flags, targets, context.environ, context.config.root)
        return Job(options, project, verb, flags, targets)

    chosen = WatchOptions(wait, poll, probes, context.config.verify.endpoints)
    return Session(rules, ComposeDriver(project, resolve_endpoint(context.environ), guard, make_job), chosen)


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
