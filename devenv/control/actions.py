"""Changes of one Compose project for the terminal: one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from devenv.backends.compose.find import ComposeOptions
from devenv.control.guard import Guard, sharers_of
from devenv.control.protocol import Plan
from devenv.control.runner import Report, Runner
from devenv.core.errors import Refused
from devenv.core.model import Action, Project

if TYPE_CHECKING:
    from devenv.control.build_job import BuildJob
    from devenv.control.job import Job

_NEED_FILES = ("up", "build")


class ComposeControl(Runner):
    """`devenv.control.protocol.Control` by Docker Compose.

    `options` returns how to call Compose now, `project` what is known of it without waiting.
    """

    def __init__(
        self,
        options: Callable[[], ComposeOptions],
        project: Callable[[], Project | None],
        guard: Guard,
        environ: Mapping[str, str] | None = None,
        root: Path | None = None,
    ) -> None:
        super().__init__(guard)
        self._root = root
        self._options = options
        self._project = project
        self._environ = environ

    def plan(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False) -> Plan:
        """Return the guard's answer; refused while the project is not known, since its reach is not known then."""
        project = self._project()
        plan = self._guard.plan(verb, targets, volumes=volumes, project=project)
        sharers = sharers_of(project, targets) if project is not None and verb == "restart" else ()
        if sharers:
            offer = f"Yes restarts {', '.join(sharers)} too."
            plan = replace(plan, targets=(*targets, *sharers), sentences=(*plan.sentences, offer))
        if project is not None and project.by_labels and verb in _NEED_FILES and plan.allowed:
            hint = "What is there can be stopped, started and taken down without them."
            return replace(plan, allowed=False, reason=f"It needs the project's files: {project.problem}", hint=hint)
        if project is None and plan.allowed:
            return replace(plan, allowed=False, reason="The project is not resolved yet", hint="Try in a moment.")
        return plan

    def request(self, plan: Plan) -> Action:
        """Begin to carry the plan out. Raises Refused by policy, and while another change runs."""
        project = self._project()
        busy = self.busy()
        if busy is not None:
            hint = "Wait for it, or cancel it."
            raise self._guard.refuse(plan, f"{plan.verb} was not begun: {busy.verb} is still running", hint, project)
        ticket = self._guard.begin(plan, project, self._options().directory)
        if project is None:
            error = Refused("The project is not resolved yet", "Try in a moment.")
            self._guard.finish(ticket, error)
            raise error
        return self.begin(ticket, _ComposeWork(self._job(plan, project)))

    def _job(self, plan: Plan, project: Project) -> Job | BuildJob:
        if plan.verb in _NEED_FILES:
            from devenv.control.build_job import BuildJob, up_job  # deferred: nothing is changed before the first paint

            if plan.verb == "build":
                return BuildJob(self._options(), project, plan.targets, self._environ, self._root)
            return up_job(self._options(), project, ("--detach",), plan.targets, self._environ, self._root)
        from devenv.control.job import Job  # deferred, as above

        flags = ("--volumes",) if plan.volumes else ()
        return Job(self._options(), project, plan.verb, flags, plan.targets, self._environ)


class _ComposeWork:
    def __init__(self, job: Job | BuildJob) -> None:
        self._job = job

    def run(self, report: Report) -> str:
        self._job.run(report)
        return "" if self._job.steps else "there was nothing to do"

    def interrupt(self) -> None:
        self._job.interrupt()
