"""The builds of one project: its graph, the plan, and one job that builds what changed and nothing else."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devenv.backends.compose import ComposeOptions, Pending, begin_resolve
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.plain import EngineImage, list_images
from devenv.builds.definition import read_definitions
from devenv.builds.key import KeyReader
from devenv.builds.plan import BuildPlan, make_plan
from devenv.builds.store import Store
from devenv.control.stream import Remark
from devenv.core.errors import DevenvError, Interrupted
from devenv.core.model import Project

if TYPE_CHECKING:
    from devenv.control.builder import Builder, Built
    from devenv.control.job import Report

_CANCELED = "build was canceled before it began"
FORCING = ("--no-cache", "--pull")  # flags that ask for a build whatever the keys are


class ProjectBuilds:
    """What of a project is built. `document` is Compose's own, `root` the folder in which devenv keeps what it knows.

    Making one raises ProjectError for a circle. The engine is asked from `begin_listing` on, while the caller goes on.
    """

    def __init__(
        self,
        options: ComposeOptions,
        project: Project,
        document: bytes,
        root: Path,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.project = project
        self._options = options
        self._environ = os.environ if environ is None else environ
        self._document: Mapping[str, Any] = json.loads(document)
        definitions = read_definitions(self._document, self._environ)
        self.reader = KeyReader(definitions, {}, Store(root))
        self.graph = self.reader.graph(
            {service.name: tuple(one.service for one in service.depends_on) for service in project.services}
        )
        self.graph.order()  # a circle is reported before the engine is asked
        self.warning = ""  # why what was found out could not be kept

    def pull_policy(self, service: str) -> str:
        """Return what a service says about pulling its image; "" where it says nothing."""
        return str((self._document.get("services") or {}).get(service, {}).get("pull_policy") or "")

    def plan(
        self,
        services: Iterable[str],
        flags: tuple[str, ...],
        images: Mapping[str, EngineImage],
        without_key: dict[str, str] | None = None,
    ) -> BuildPlan:
        """Return the plan for those of the services that are built; the hashes of what was read are kept.

        `without_key` as for `make_plan`.
        """
        self.reader.images = images
        chosen = [name for name in services if name in self.reader.definitions]
        forced = {name: f"asked for with {flag}" for flag in FORCING if flag in flags for name in chosen}
        plan = make_plan(self.reader, self.graph, chosen, forced, without_key)
        try:
            self.reader.save()
        except OSError as error:
            self.warning = f"{error.filename or self.reader.store.folder}: {error.strerror}"
        return plan

    def builder(self, plan: BuildPlan, flags: tuple[str, ...]) -> Builder:
        """Return who carries a plan out."""
        from devenv.control.builder import Builder  # deferred, as what it imports: most calls find nothing to do

        def images() -> dict[str, EngineImage]:
            return list_images(resolve_endpoint(self._environ))

        return Builder(self._options, self.project, self._document, plan, self.reader, images, flags, self._environ)


class ImageListing:
    """The engine's images, asked for in a thread while Compose resolves the project."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._images: dict[str, EngineImage] = {}
        self._error: DevenvError | None = None
        self._thread = threading.Thread(target=self._ask, name="docker-images", daemon=True)
        self._thread.start()

    def result(self) -> dict[str, EngineImage]:
        """Wait for the answer; errors as `list_images`."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._images

    def _ask(self) -> None:
        try:
            self._images = list_images(resolve_endpoint(self._environ))
        except DevenvError as error:
            self._error = error


class BuildJob:
    """`build` as one job, to be run once: what changed is built. It is run and interrupted as a `Job` is.

    `document` is Compose's own of the project, where it is known already.
    """

    def __init__(
        self,
        options: ComposeOptions,
        project: Project,
        targets: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
        root: Path | None = None,
        document: bytes = b"",
    ) -> None:
        self._options = options
        self._project = project
        self._document = document
        self._targets = targets
        self._environ = environ
        self._root = root or Path(project.directory)
        self._lock = threading.Lock()
        self._interrupted = False
        self._pending: Pending | None = None
        self._builder: Builder | None = None
        self.built: tuple[Built, ...] = ()

    @property
    def steps(self) -> int:
        """How much was built: 0 means there was nothing to do."""
        return len(self.built)

    def run(self, report: Report) -> None:
        """Build what changed; errors as a Job's."""
        builds, images = self.read()
        self.carry_out(builds, builds.plan(self._targets or builds.graph.services, (), images), report)

    def read(self) -> tuple[ProjectBuilds, dict[str, EngineImage]]:
        """Return what of the project is built, and the engine's images; errors as `run`."""
        listing = ImageListing(os.environ if self._environ is None else self._environ)
        if not self._document:
            self._resolve()
        builds = ProjectBuilds(self._options, self._project, self._document, self._root, self._environ)
        return builds, listing.result()

    def carry_out(self, builds: ProjectBuilds, plan: BuildPlan, report: Report) -> None:
        """Build what the plan says; errors as `run`."""
        warnings = [builds.warning]
        if plan.to_build:
            with self._lock:
                if self._interrupted:
                    raise Interrupted(_CANCELED)
                builder = self._builder = builds.builder(plan, ())
            self.built = builder.run(report)
            warnings.append(builder.warning)
        for warning in filter(None, warnings):
            report(Remark(f"what was built cannot be written down: {warning}"))

    def interrupt(self) -> None:
        """End it as ctrl-c would, from any thread; `run` then raises Interrupted."""
        with self._lock:
            self._interrupted = True
            pending, builder = self._pending, self._builder
        if pending is not None:
            pending.close()
        if builder is not None:
            builder.interrupt()

    def _resolve(self) -> None:
        with self._lock:
            if self._interrupted:
                raise Interrupted(_CANCELED)
            pending = self._pending = begin_resolve(self._options, self._targets, self._environ)
        try:
            self._project = pending.result()
        except DevenvError as error:
            if self._interrupted:  # it failed because it was ended
                raise Interrupted(_CANCELED) from error
            raise
        self._document = pending.document
