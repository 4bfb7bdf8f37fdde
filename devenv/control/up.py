"""`up` with the images that are meant: what changed is built before, by the same content keys as `devenv build`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devenv.backends.compose import ComposeOptions
from devenv.control.guard import scope_of
from devenv.control.job import Job, Report
from devenv.control.stream import Remark
from devenv.core.errors import ProjectError
from devenv.core.model import Project
from devenv.core.text import sanitize

if TYPE_CHECKING:
    from devenv.control.build_job import BuildJob

# https://github.com/compose-spec/compose-spec/blob/main/05-services.md#pull_policy
_PULLING: Final = ("always", "refresh", "daily", "weekly", "every_")  # policies that pull by time, by their starts
_BUILT_HERE: Final = ("", "build", "never")  # policies under which an image comes from here and from nowhere else


def up_job(
    options: ComposeOptions,
    project: Project,
    flags: tuple[str, ...] = (),
    targets: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    root: Path | None = None,
    document: bytes = b"",
) -> Job:
    """Return the job of `up`, which first builds the images that are not up to date; flags are those of Compose.

    Where nothing is built here, and with --no-build, it is Compose's `up` alone. So it is with --no-recreate: what is
    added runs the image of what stays. `root` and `document` as for BuildJob.
    """
    scope = scope_of(project, targets)
    names = tuple(
        service.name
        for service in scope.services
        if service.builds and ("--no-deps" not in flags or not targets or service.name in targets)
    )
    if not names or {"--no-build", "--no-recreate"} & set(flags):
        return Job(options, project, "up", flags, targets, environ)
    from devenv.control.build_job import BuildJob  # deferred: who builds nothing pays nothing

    job = BuildJob(options, project, names, environ, root, document)
    before = ImagesForUp(job, names, asked="--build" in flags)
    return Job(
        options, project, "up", tuple(flag for flag in flags if flag != "--build"), targets, environ, b"", before
    )


class ImagesForUp:
    """What `up` does before Compose: `devenv.control.job.Before`. `asked` says that a build was asked for.

    Compose builds an image only where there is none, and would start one that was made from an earlier commit.
    """

    def __init__(self, job: BuildJob, services: Collection[str], *, asked: bool) -> None:
        self._job = job
        self._services = services
        self._asked = asked

    def run(self, report: Report) -> tuple[str, ...]:
        """Build what changed; return Compose's flag about building. Errors as a Job's.

        A service with a policy that pulls its image, or (unless a build was asked for) without a key, is left to
        Compose. With --no-build, Compose would pull the image of a service whose policy is to pull always.
        """
        if self._asked:
            builds, images = self._job.read()
            if any(builds.pull_policy(name).startswith(_PULLING) for name in self._services):
                return ("--build",)
            self._job.carry_out(builds, builds.plan(self._services, (), images), report)
            return ("--no-build",)
        try:
            builds, images = self._job.read()
        except ProjectError as error:
            report(Remark(f"images are left to Compose: {error.message}"))
            return ()
        own = [name for name in self._services if builds.pull_policy(name) in _BUILT_HERE]
        without_key: dict[str, str] = {}
        plan = builds.plan(own, (), images, without_key)
        for name, why in without_key.items():
            report(Remark(f"the image of {sanitize(name)} is left to Compose, its content has no key: {why}"))
        self._job.carry_out(builds, plan, report)
        # Where Compose has to build something, it would also build anew what has the policy `build`.
        return ("--no-build",) if len(own) == len(self._services) and not without_key else ()

    def interrupt(self) -> None:
        """End it as ctrl-c would, from any thread."""
        self._job.interrupt()
