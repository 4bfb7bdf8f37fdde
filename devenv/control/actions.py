"""Changes of one Compose project for the terminal: several at a time, never two of the same service."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from devenv.backends.compose.find import ComposeOptions
from devenv.control.guard import Guard, dependents_of, scope_of, sharers_of
from devenv.control.protocol import Options, Place, PlaceKind, Plan
from devenv.control.runner import Report, Runner
from devenv.control.verbs import VERBS, flags_of
from devenv.core.errors import DevenvError, Refused
from devenv.core.model import Action, Project, Resource
from devenv.core.text import counted

if TYPE_CHECKING:
    from devenv.backends.compose import ProjectScope
    from devenv.control.build_job import BuildJob
    from devenv.control.job import Job
    from devenv.control.prune import PruneJob

_REACHES_DEPENDENCIES = frozenset({"up", "start", "run"})
_SHELLS = ("bash", "sh")
_ANSWERS = 10.0  # seconds that a container has to say which shell it has


class ComposeControl(Runner):
    """`devenv.control.protocol.Control` by Docker Compose.

    `options` returns how to call Compose now, `project` what is known of it without waiting, `scope` its profiles.
    """

    def __init__(
        self,
        options: Callable[[], ComposeOptions],
        project: Callable[[], Project | None],
        guard: Guard,
        environ: Mapping[str, str] | None = None,
        root: Path | None = None,
        scope: ProjectScope | None = None,
    ) -> None:
        super().__init__(guard)
        self._scope = scope
        self._root = root
        self._options = options
        self._project = project
        self._environ = environ
        self.next_place: Place | None = None

    def plan(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False, options: Options = None) -> Plan:
        """Return the guard's answer; refused while the project is not known, since its reach is not known then.

        With the option `dependents` also what depends on the targets is one.
        """
        project = self._project()
        given = dict(options or {})
        if given.pop("dependents", "") and project is not None:
            targets = (*targets, *dependents_of(project, targets))
        plan = self._guard.plan(verb, targets, volumes=volumes, project=project, options=given)
        sharers = sharers_of(project, targets) if project is not None and verb == "restart" else ()
        if sharers:
            offer = f"Yes restarts {', '.join(sharers)} too."
            plan = replace(plan, targets=(*targets, *sharers), sentences=(*plan.sentences, offer))
        if project is not None and project.by_labels and VERBS[verb].needs_files and plan.allowed:
            hint = "What is there can be stopped, started and taken down without them."
            return replace(plan, allowed=False, reason=f"It needs the project's files: {project.problem}", hint=hint)
        if project is None and plan.allowed:
            return replace(
                plan, allowed=False, reason="Compose has not read the project yet", hint="Try again in a moment."
            )
        return plan

    def reach(self, plan: Plan) -> Plan:
        """Return the plan with exactly what it takes; raises EngineUnreachable, EngineForbidden."""
        project = self._project()
        if project is None:
            return plan
        if plan.verb == "prune":
            from devenv.control.prune import survey  # deferred: nothing is taken away before the first paint

            return survey(plan, project, self._options(), self._environ)
        from devenv.control.reach import reach  # deferred, as above

        inactive = self._scope.inactive if self._scope is not None else frozenset[str]
        return reach(plan, project, inactive, self._environ)

    def request(self, plan: Plan) -> Action:
        """Begin to carry the plan out.

        Raises Refused by policy, and while another change touches the same services.
        """
        project = self._project()
        touches = self._touched(plan, project)
        busy = self.busy(touches)
        if busy is not None:
            hint = "Wait for it, or cancel it."
            whose = f" of {', '.join(busy.targets)}" if busy.targets else ""
            raise self._guard.refuse(
                plan, f"{plan.verb} was not begun: {busy.verb}{whose} is still running", hint, project
            )
        ticket = self._guard.begin(plan, project, self._options().directory)
        if project is None:
            error = Refused("Compose has not read the project yet", "Try again in a moment.")
            self._guard.finish(ticket, error)
            raise error
        return self.begin(ticket, _ComposeWork(self._job(plan, project)), touches)

    @staticmethod
    def _touched(plan: Plan, project: Project | None) -> frozenset[str]:
        """Return the services that the plan changes; none: the whole project."""
        if not plan.targets or project is None or plan.verb not in _REACHES_DEPENDENCIES or plan.option("no_deps"):
            return frozenset(plan.targets)
        return frozenset(service.name for service in scope_of(project, plan.targets).services) | set(plan.targets)

    def _job(self, plan: Plan, project: Project) -> Job | BuildJob | PruneJob:
        verb, *flags = flags_of(plan)
        if verb == "build":
            from devenv.control.build_job import BuildJob  # deferred: nothing is changed before the first paint

            return BuildJob(self._options(), project, plan.targets, self._environ, self._root)
        if verb == "prune":
            from devenv.control.prune import PruneJob  # deferred, as above

            return PruneJob(plan, self._environ)
        if verb == "up":
            from devenv.control.up import up_job  # deferred, as above

            return up_job(self._options(), project, tuple(flags), plan.targets, self._environ, self._root)
        from devenv.control.job import Job  # deferred, as above

        options = self._options()
        if plan.option("all"):
            options = replace(options, profiles=("*",))
        return Job(options, project, verb, tuple(flags), plan.targets, self._environ)

    # What the terminal is given to: a shell, a one-off command

    def shell(self, resource: Resource) -> tuple[Plan, list[str]]:
        """Return the plan of a shell in a container, and its command line: bash, else sh.

        Blocks; raises DevenvError that says why where the image has neither.
        """
        plan = self.plan("exec", (resource.service,) if resource.service else ())
        for shell in _SHELLS if plan.allowed else _SHELLS[-1:]:
            line = ["docker", "exec", "--interactive", "--tty", resource.name, shell]
            if not plan.allowed:
                return plan, line
            said = self._ask(["docker", "exec", resource.name, shell, "-c", "exit 0"])
            if not said:
                return replace(plan, command=" ".join(line)), line
        if "not found" in said or "no such file" in said:
            hint = "Its image has only what it runs. A container beside it: docker run -it --pid=container:NAME IMAGE"
            raise DevenvError(f"{resource.name} has neither bash nor sh", hint)
        raise DevenvError(f"There is no shell in {resource.name}: {said}")

    def one_off(self, service: str, words: list[str]) -> tuple[Plan, list[str]]:
        """Return the plan of a command in a new container of the service, and its command line; no words: its own."""
        plan = self.plan("run", (service,))
        line = self._options().command("run", "--rm", service, *words)
        return replace(plan, command=" ".join(line)), line

    def hand_over(self, plan: Plan, line: list[str]) -> int:
        """Let the guard pass the plan, run the command in this terminal and return its exit code; raises Refused."""
        from devenv.core.signals import hand_over  # deferred, as above

        folder = self._options().directory
        with self._guard.passing(plan, self._project(), folder) as outcome:
            outcome.code = hand_over(line, os.environ if self._environ is None else self._environ, folder)
        return outcome.code

    # Profiles

    def profiles(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return all profiles and the active ones; blocks, raises ProjectError and ToolMissing."""
        return self._scope.profiles() if self._scope is not None else ((), ())

    def choose_profiles(self, names: tuple[str, ...]) -> None:
        """Let these be active from now on: the project is resolved again."""
        if self._scope is not None:
            self._scope.choose_profiles(names)

    # Other projects and engines

    def places(self, kind: PlaceKind) -> tuple[Place, ...]:
        """Return the projects of the engine, or the docker contexts; blocks, raises DevenvError."""
        environ = os.environ if self._environ is None else self._environ
        if kind == "docker context":
            from devenv.backends.docker.endpoint import known_contexts  # deferred, as above

            return tuple(Place(name, host) for name, host in known_contexts(environ))
        from devenv.backends.docker.snapshot import read_projects

        return tuple(
            Place(project.name, f"{counted(running, 'container')} up, {project.directory or 'no folder'}", project)
            for project, running in read_projects(environ)
        )

    def go_to(self, place: Place) -> None:
        """Let the terminal be opened there once it has ended here."""
        self.next_place = place

    def _ask(self, line: list[str]) -> str:
        """Run it and return why it failed, "" where it did not."""
        import subprocess  # deferred: it is not needed before the first paint

        try:
            done = subprocess.run(
                line, env=self._environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWERS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return "" if done.returncode == 0 else (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"


class _ComposeWork:
    def __init__(self, job: Job | BuildJob | PruneJob) -> None:
        self._job = job

    def run(self, report: Report) -> str:
        self._job.run(report)
        return "" if self._job.steps else "there was nothing to do"

    def interrupt(self) -> None:
        self._job.interrupt()
