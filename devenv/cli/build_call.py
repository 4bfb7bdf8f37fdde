"""One call of `devenv build`: what is looked at, what is built, and what is reported of it (docs/MONOREPO.md)."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from devenv.backends.compose import Pending
from devenv.builds.plan import BuildPlan
from devenv.cli.build_text import graph_text, plan_json, plan_lines, summary_lines, why_lines
from devenv.cli.console import still_waiting, tell, warn
from devenv.cli.context import Context
from devenv.control.build_job import FORCING, ImageListing, ProjectBuilds
from devenv.control.guard import Guard
from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError, ToolMissing, UsageError
from devenv.core.model import Project
from devenv.core.text import human_duration, sanitize

if TYPE_CHECKING:
    from devenv.control.builder import Built

LONG = 5.0  # seconds of reading after which a person wonders


def carry_out(context: Context, arguments: Namespace, pending: Pending, began: float) -> int:
    """Do what was typed and return the exit code; `began` is the monotonic time at which it was."""
    call = BuildCall(context, arguments, pending)
    if arguments.graph:
        _print(graph_text(call.builds.graph, call.builds.reader, arguments.graph))
        return 0
    if arguments.why:
        _print("\n".join(why_lines(call.plan((arguments.why,)).step(arguments.why))))
        return 0
    if arguments.dry_run:
        plan = call.plan()
        lines = plan_lines(plan, call.builds.reader)
        _print(_dump(plan_json(plan, call.project)) if arguments.json else "\n".join(lines))
        return 0
    guard = Guard.of(context.config)
    change = guard.plan("build", call.targets, project=call.project)
    if not change.allowed:
        guard.begin(change, call.project, context.options.directory)  # raises Refused, and writes it down
    plan = call.plan()
    built = call.build(plan, guard, change) if plan.to_build else ()
    loaded = call.load(plan) if arguments.load else None
    seconds = time.monotonic() - began
    for line in summary_lines(plan, built, seconds, loaded):
        tell(line, no_color=context.no_color)
    report = _dump(plan_json(plan, call.project, built, seconds, loaded))
    if arguments.json:
        _print(report)
    if arguments.summarize:
        _write(Path(arguments.summarize), report)
    return 0


class BuildCall:
    """One call: the project, its graph, and the plan for what was named. Errors as Context and the plan raise them."""

    def __init__(self, context: Context, arguments: Namespace, pending: Pending) -> None:
        self._context = context
        self._arguments = arguments
        self._listing = None if arguments.graph else ImageListing(context.environ)
        asked = (*arguments.services, *filter(None, [arguments.why]))
        self.project: Project = context.project_with(asked, pending)
        self.targets: tuple[str, ...] = tuple(arguments.services)
        root = context.config.root or Path(self.project.directory)
        self.builds = ProjectBuilds(context.options, self.project, context.document, root, context.environ)
        if arguments.why and arguments.why not in self.builds.graph.services:
            raise UsageError(f"Service {arguments.why} is not built here", "It has no build section.")
        self._flags = tuple(flag for flag in FORCING if getattr(arguments, flag.strip("-").replace("-", "_")))

    def plan(self, services: tuple[str, ...] = ()) -> BuildPlan:
        """Compare these services, else those that were asked for, with the engine's images."""
        assert self._listing is not None  # only the graph does without the engine
        with still_waiting("the Docker Engine", no_color=self._context.no_color):
            images = self._listing.result()
        began = time.monotonic()
        chosen = set(services or self.targets or self.builds.graph.services)
        if not services and (self._arguments.affected or self._arguments.since):
            chosen &= self._affected()
        plan = self.builds.plan(sorted(chosen), self._flags, images)
        self._warn(self.builds.warning)
        if (took := time.monotonic() - began) > LONG:
            files = sum(len(tree.entries) for step in plan.steps for tree in step.reading.trees.values())
            text = f"Reading {files} paths of the contexts took {human_duration(took)}: .dockerignore leaves out others"
            tell(text, no_color=self._context.no_color)
        return plan

    def build(self, plan: BuildPlan, guard: Guard, change: Plan) -> tuple[Built, ...]:
        """Carry the plan out, with progress on stderr and a record in the audit log."""
        from devenv.cli.change import guarded  # deferred, as what it imports: most calls find nothing to do

        builder = self.builds.builder(plan, self._flags)
        try:
            return guarded(self._context, guard, change, self.project, builder.run, builder.interrupt)
        finally:
            self._warn(builder.warning)

    def load(self, plan: BuildPlan) -> dict[str, bool]:
        """Bring what was named to the cluster; return for each service whether that had to be done.

        Raises ToolMissing where nothing here can load, Refused, and KubeError.
        """
        from devenv.backends.docker.endpoint import resolve_endpoint
        from devenv.backends.docker.plain import list_images
        from devenv.cli.kube_call import ClusterCall
        from devenv.control.deploy.images import bring, loader_for
        from devenv.control.kube.change import cluster_identity

        call, environ = ClusterCall(self._arguments), self._context.environ
        place = cluster_identity(call.client)
        loader, why = loader_for(call.client.target.context, environ)
        if loader is None:
            hint = "Load them with the tool that made the cluster, or push them to a registry of it."
            raise ToolMissing(f"Images cannot be loaded into {place.context}: {why}", hint)
        steps = [step for step in plan.steps if not self.targets or step.service in self.targets]
        ticket = call.guard.begin(call.guard.plan_cluster("load", tuple(step.images[0] for step in steps), place))
        failure: BaseException | None = None
        try:
            images = list_images(resolve_endpoint(environ))
            return {
                step.service: sum(bring(name, images[name].id, loader, call.client, environ) for name in step.images)
                > 0
                for step in steps
            }
        except BaseException as error:
            failure = error
            raise
        finally:
            call.guard.finish(ticket, failure)

    def _warn(self, warning: str) -> None:
        if warning:
            text = f"what was read cannot be kept, so that the next time takes longer: {warning}"
            warn(text, no_color=self._context.no_color)

    def _affected(self) -> set[str]:
        from devenv.builds.affected import affected_services, changed_files

        folder = Path(self.project.directory)
        revision, changed = changed_files(folder, self._arguments.since or "")
        files = [Path(file) for file in (*self.project.files, *self.project.env_files)]
        reasons = affected_services(self.builds.reader, changed, [*files, folder / ".env"])
        for name, why in reasons.items():
            tell(f"{sanitize(name)}: {sanitize(why)} changed since {revision[:12]}", no_color=self._context.no_color)
        if not reasons:
            tell(f"Nothing of the builds changed since {revision[:12]}", no_color=self._context.no_color)
        return set(self.builds.graph.with_dependents(reasons))


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _dump(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise DevenvError(f"{file} cannot be written: {error.strerror}", "The build itself is done.") from error
