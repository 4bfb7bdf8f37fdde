"""`devenv build`: build the images whose content changed, and say why (docs/MONOREPO.md)."""

from __future__ import annotations

import json
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.images import EngineImage, list_images
from devenv.builds.definition import read_definitions
from devenv.builds.graph import Graph
from devenv.builds.key import KeyReader
from devenv.builds.plan import BuildPlan, make_plan
from devenv.builds.store import Store
from devenv.cli.build_text import graph_text, plan_json, plan_lines, summary_lines, why_lines
from devenv.cli.console import still_waiting, tell, warn
from devenv.cli.context import Context
from devenv.control.guard import Guard
from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError, UsageError
from devenv.core.model import Project

if TYPE_CHECKING:
    from devenv.control.builder import Built


def run(arguments: Namespace) -> int:
    """Build; a failure shows the step, its last lines and the line of the Dockerfile."""
    began = time.monotonic()
    context = Context(arguments)
    call = BuildCall(context, arguments)
    if arguments.graph:
        _print(graph_text(call.graph, call.reader, arguments.graph))
        return 0
    if arguments.why:
        _print("\n".join(why_lines(call.plan((arguments.why,)).step(arguments.why))))
        return 0
    if arguments.dry_run:
        plan = call.plan()
        _print(_dump(plan_json(plan, call.project)) if arguments.json else "\n".join(plan_lines(plan, call.reader)))
        return 0
    guard = Guard(read_only=context.config.read_only, source="cli")
    change = guard.plan("build", call.targets, project=call.project)
    if not change.allowed:
        guard.begin(change, call.project, context.options.directory)  # raises Refused, and writes it down
    plan = call.plan()
    built = call.build(plan, guard, change) if plan.to_build else ()
    seconds = time.monotonic() - began
    for line in summary_lines(plan, built, seconds):
        tell(line, no_color=context.no_color)
    report = _dump(plan_json(plan, call.project, built, seconds))
    if arguments.json:
        _print(report)
    if arguments.summarize:
        _write(Path(arguments.summarize), report)
    return 0


class BuildCall:
    """One call: the project, its graph, and the plan for what was named. Errors as Context and the plan raise them."""

    def __init__(self, context: Context, arguments: Namespace) -> None:
        self._context = context
        self._arguments = arguments
        listing = None if arguments.graph else _Listing(context.environ)
        asked = tuple(arguments.services) + ((arguments.why,) if arguments.why else ())
        self.project: Project = context.project_with(asked)
        self.document: dict[str, Any] = json.loads(context.document)
        self.targets: tuple[str, ...] = tuple(arguments.services)
        definitions = read_definitions(self.document, context.environ)
        store = Store(context.config.root or Path(self.project.directory))
        self.reader = KeyReader(definitions, {}, store)
        self._listing = listing
        self.graph: Graph = self.reader.graph(
            {service.name: tuple(one.service for one in service.depends_on) for service in self.project.services}
        )
        self.graph.order()  # a circle is told before the engine is asked
        if arguments.why and arguments.why not in definitions:
            raise UsageError(f"Service {arguments.why} is not built here", "It has no build section.")
        flags = (("--no-cache", arguments.no_cache), ("--pull", arguments.pull))
        self.flags = tuple(flag for flag, wanted in flags if wanted)

    def plan(self, services: tuple[str, ...] = ()) -> BuildPlan:
        """Compare with the engine's images; the hashes of what was read are kept."""
        if self._listing is not None:
            self.reader.images = self._listing.result()
        chosen = {name for name in services or self.targets or self.graph.services if name in self.reader.definitions}
        if self._arguments.affected or self._arguments.since:
            chosen &= self._affected()
        forced = {name: f"asked for with {flag}" for flag in self.flags for name in chosen}
        plan = make_plan(self.reader, self.graph, chosen, forced)
        self.keep()
        return plan

    def build(self, plan: BuildPlan, guard: Guard, change: Plan) -> tuple[Built, ...]:
        """Carry the plan out, with progress on stderr and a record in the audit log."""
        from devenv.cli.change import guarded  # deferred, as what it imports: most calls find nothing to do
        from devenv.control.builder import Builder

        context = self._context
        builder = Builder(
            context.options,
            self.project,
            self.document,
            plan,
            self.reader,
            lambda: list_images(resolve_endpoint(context.environ)),
            self.flags,
            context.environ,
        )
        try:
            return guarded(context, guard, change, self.project, builder.run, builder.interrupt)
        finally:
            self.keep(builder.warning)

    def keep(self, warning: str = "") -> None:
        """Keep what was found out of the files; where that cannot be written, it is said and stops nothing."""
        try:
            self.reader.save()
        except OSError as error:
            warning = f"{error.filename or self.reader.store.folder}: {error.strerror}"
        if warning:
            text = f"what was read cannot be kept, so that the next time takes longer: {warning}"
            warn(text, no_color=self._context.no_color)

    def _affected(self) -> set[str]:
        from devenv.builds.affected import affected_services, changed_files

        revision, changed = changed_files(Path(self.project.directory), self._arguments.since or "")
        files = [Path(file) for file in (*self.project.files, *self.project.env_files)]
        found = affected_services(self.reader, changed, [*files, Path(self.project.directory, ".env")])
        reached = self.graph.with_dependents(found)
        for name, why in found.items():
            tell(f"{name}: {why} changed since {revision[:12]}", no_color=self._context.no_color)
        if not found:
            tell(f"Nothing of the builds changed since {revision[:12]}", no_color=self._context.no_color)
        return set(reached)


class _Listing:
    """The engine's images, asked for in a thread while Compose resolves the project."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._images: dict[str, EngineImage] = {}
        self._error: DevenvError | None = None
        self._thread = threading.Thread(target=self._ask, name="docker-images", daemon=True)
        self._thread.start()

    def result(self) -> dict[str, EngineImage]:
        """Wait for the answer; errors as `list_images`."""
        with still_waiting("the Docker Engine"):
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._images

    def _ask(self) -> None:
        try:
            self._images = list_images(resolve_endpoint(self._environ))
        except DevenvError as error:
            self._error = error


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
