"""What every command starts from: settings, the way to call Compose, the resolved project, its resources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from devenv.backends.compose import ComposeOptions, NoComposeFile, Pending, begin_resolve, find_project, resolve
from devenv.cli.console import still_waiting, warn
from devenv.cli.options import read_settings
from devenv.core.errors import ProjectError, UsageError
from devenv.core.model import Project, Resource
from devenv.core.settings import Config, current_folder

if TYPE_CHECKING:
    from argparse import Namespace

    from devenv.backends.docker.plain import EarlyReading


class Context:
    """One call of devenv in one folder. Raises UsageError and ProjectError when made.

    With `by_labels` a project that was named is enough, as with Compose: where its files are gone or invalid, it is
    what the labels of its containers tell.
    """

    def __init__(self, arguments: Namespace, *, by_labels: bool = False) -> None:
        self.arguments = arguments
        self.environ = dict(os.environ)
        self.start = current_folder(arguments.files)
        self.config: Config = read_settings(arguments, self.start)
        self.no_color: bool | None = arguments.no_color
        self.document = b""  # Compose's canonical JSON of the project that was resolved last
        # As Compose: --project-name without --file needs no file; a name of another origin helps where a file fails.
        self._was_typed = bool(arguments.project_name and not arguments.files)
        names = (arguments.project_name, self.environ.get("COMPOSE_PROJECT_NAME"), self.config.compose.project_name)
        named = self._was_typed or not arguments.project_name
        self._reads_labels = by_labels
        self._name = next((name for name in names if name), "") if by_labels and named else ""
        self._unusable: ProjectError | None = None
        try:
            self.options = self._find(self.config)
        except ProjectError as error:
            if not self._name:
                raise
            self._unusable = error
            self.options = ComposeOptions(str(self.start), project_name=self._name)

    def find_again(self) -> ComposeOptions:
        """Find the project as the files are now, from the folder that devenv was started in; errors as when made."""
        return self._find(read_settings(self.arguments, self.start))

    def _find(self, config: Config) -> ComposeOptions:
        arguments = self.arguments
        options = ComposeOptions(
            files=arguments.files,
            profiles=arguments.profiles,
            env_files=arguments.env_files,
            project_name=arguments.project_name or "",
            project_directory=arguments.project_directory or "",
        )
        chosen = bool(arguments.config or self.environ.get("DEVENV_CONFIG"))
        return find_project(self.start, options, self.environ, config, config_is_chosen=chosen)

    def begin_resolve(self) -> Pending:
        """Start Compose on the whole project and return at once."""
        return Pending(self.options, None, None, self._unusable) if self._unusable else begin_resolve(self.options)

    def project(self, pending: Pending | None = None) -> Project:
        """Resolve the whole project, with the active profiles; Compose's warnings go to stderr.

        `pending` is a resolution of it that is under way.
        """
        pending = pending or self.begin_resolve()
        try:
            with still_waiting("Compose to resolve the project", no_color=self.no_color):
                project, self.document = pending.result(), pending.document
        except ProjectError as error:
            with still_waiting("the Docker Engine", no_color=self.no_color):
                project = self.by_labels(error)
        from devenv.backends.docker.endpoint import config_problem  # deferred: not all commands read a project

        if problem := config_problem(self.environ):
            warn(f"{problem}. docker's defaults are used.", no_color=self.no_color)
        seen = "is read from the labels of its containers" if project.services else "has no container on the engine"
        note = f"{project.problem}\n  so project {project.name} {seen}"
        for text in (note,) if project.by_labels else pending.warnings:
            warn(text, no_color=self.no_color)
        return project

    def by_labels(self, error: ProjectError) -> Project:
        """Return the project that was named by what its containers tell; raises the error where none was.

        Raises EngineUnreachable too. A name that nobody typed must have containers: it may belong to a file alone.
        """
        if not self._name:
            if self._reads_labels:
                error.hint = f"{error.hint} What runs can be controlled without the files: -p NAME.".lstrip()
            raise error
        from devenv.backends.docker.parse import project_of
        from devenv.backends.docker.snapshot import read_containers

        project = project_of(self._name, read_containers(self._name, self.environ))
        if not (project.services or self._was_typed):
            raise error
        hint = "What is there is read from the labels of its containers; to create any, Compose needs the files."
        return replace(project, problem=error.message, hint=hint)

    def project_with(self, services: tuple[str, ...], pending: Pending | None = None) -> Project:
        """Resolve the project and check that it has these services, of which some may be of an inactive profile.

        Naming such a service activates it, as with Compose; the returned project then holds the named services and
        their dependencies only. `pending` as for `project`. Raises UsageError for unknown ones, with the nearest names.
        """
        project = self.project(pending)
        names = tuple(service.name for service in project.services)
        if not set(services) - set(names):
            return project
        if project.by_labels:
            from devenv.control.failures import unknown_service

            raise unknown_service(next(name for name in services if name not in names), names)
        every = resolve(replace(self.options, profiles=("*",)))
        known = tuple(service.name for service in every.services)
        for name in services:
            if name not in known:
                from devenv.control.failures import unknown_service

                raise unknown_service(name, known)
        pending = begin_resolve(self.options, services)
        project, self.document = pending.result(), pending.document
        return project


def project_environment(arguments: Namespace) -> dict[str, str]:
    """Return the environment in which another process finds the same project as these arguments do."""
    environ = dict(os.environ)
    lists = {"COMPOSE_FILE": arguments.files, "COMPOSE_ENV_FILES": arguments.env_files}
    for name, values in lists.items():
        if values:
            separator = os.pathsep if name == "COMPOSE_FILE" else ","
            environ[name] = separator.join(str(Path(value).absolute()) for value in values)
    if arguments.profiles:
        environ["COMPOSE_PROFILES"] = ",".join(arguments.profiles)
    if arguments.project_name:
        environ["COMPOSE_PROJECT_NAME"] = arguments.project_name
    for name, value in (("DEVENV_CONTEXT", arguments.context), ("DEVENV_NAMESPACE", arguments.namespace)):
        if value:
            environ[name] = value
    if arguments.config:
        environ["DEVENV_CONFIG"] = str(Path(arguments.config).absolute())
    return environ


def smoketests_of(arguments: Namespace) -> tuple[Path, Path]:
    """Return the project's root, where pytest starts, and the folder of its smoke tests.

    On Kubernetes a project needs no Compose file, and below a devenv.toml the tests may name it themselves. Raises
    NoComposeFile elsewhere, and UsageError.
    """
    from devenv.verify.runner import tests_folder

    try:
        context = Context(arguments)
    except NoComposeFile:
        config = read_settings(arguments)
        if getattr(arguments, "target", "compose") != "kubernetes" and config.root is None:
            raise
        root = config.root or current_folder()
        return root, tests_folder(root, config.verify.tests)
    if context.options.project_directory and arguments.project_directory:
        raise UsageError("--project-directory is not possible here", "Set it in devenv.toml: [compose].")
    root = context.config.root or Path(context.options.directory)
    return root, tests_folder(root, context.config.verify.tests)


def read_early(context: Context) -> EarlyReading | None:
    """Begin to read the project that has containers of this folder, in a thread; None where the engine is not known."""
    from devenv.backends.docker.endpoint import resolve_endpoint
    from devenv.backends.docker.plain import EarlyReading

    options = context.options
    files = options.files or options.default_files
    folder = options.project_directory or (str(Path(files[0]).parent) if files else options.directory)
    try:
        return EarlyReading(resolve_endpoint(context.environ), folder)
    except UsageError:
        return None  # it is told when the engine is asked for the project


def read_project(context: Context, project: Project, early: EarlyReading | None = None) -> tuple[Resource, ...]:
    """Return the project's resources in full, as `early` where that has them.

    Raises EngineUnreachable, EngineForbidden.
    """
    from devenv.backends.docker.endpoint import resolve_endpoint
    from devenv.backends.docker.snapshot import read_resources

    endpoint = resolve_endpoint(context.environ)
    with still_waiting(f"the Docker Engine at {endpoint.shown}", no_color=context.no_color):
        read = early.of(project.name) if early is not None else None
        return read_resources(project, endpoint, read=read)


def declared_services(context: Context, project: Project) -> dict[str, tuple[str, ...]]:
    """Return the services of all profiles with theirs; those of `project` where the other profiles do not resolve."""
    active = {service.name: service.profiles for service in project.services}
    if project.by_labels:
        return active
    try:
        every = begin_resolve(replace(context.options, profiles=("*",))).result()
    except ProjectError:  # a variable that only an inactive profile needs is no reason to fail
        return active
    return active | {service.name: service.profiles for service in every.services}
