"""What every command starts from: settings, the way to call Compose, the resolved project, the guard."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from devenv.backends.compose import ComposeOptions, NoComposeFile, Pending, begin_resolve, find_project, resolve
from devenv.cli.console import warn
from devenv.cli.options import read_settings
from devenv.core.errors import UsageError
from devenv.core.model import Project
from devenv.core.settings import Config, current_folder

if TYPE_CHECKING:
    from argparse import Namespace


class Context:
    """One call of devenv in one folder. Raises UsageError and ProjectError when made."""

    def __init__(self, arguments: Namespace) -> None:
        self.arguments = arguments
        self.environ = dict(os.environ)
        self.start = current_folder(arguments.files)
        self.config: Config = read_settings(arguments)
        self.options = find_project(
            self.start,
            ComposeOptions(
                files=arguments.files,
                profiles=arguments.profiles,
                env_files=arguments.env_files,
                project_name=arguments.project_name or "",
                project_directory=arguments.project_directory or "",
            ),
            self.environ,
            self.config,
            config_is_chosen=bool(arguments.config or self.environ.get("DEVENV_CONFIG")),
        )
        self.no_color: bool | None = arguments.no_color

    def begin_resolve(self) -> Pending:
        """Start Compose on the whole project and return at once."""
        return begin_resolve(self.options)

    def project(self) -> Project:
        """Resolve the whole project, with the active profiles; Compose's warnings go to stderr."""
        return self._result(self.begin_resolve())

    def project_with(self, services: tuple[str, ...]) -> Project:
        """Resolve the project and check that it has these services, of which some may be of an inactive profile.

        Naming such a service activates it, as with Compose; the returned project then holds the named services and
        their dependencies only. Raises UsageError for unknown ones, with the nearest names.
        """
        project = self.project()
        names = tuple(service.name for service in project.services)
        if not set(services) - set(names):
            return project
        every = resolve(replace(self.options, profiles=("*",)))
        known = tuple(service.name for service in every.services)
        for name in services:
            if name not in known:
                from devenv.control.failures import unknown_service

                raise unknown_service(name, known)
        return resolve(self.options, services)

    def _result(self, pending: Pending) -> Project:
        from devenv.backends.docker.endpoint import config_problem  # deferred: not all commands read a project

        project = pending.result()
        if problem := config_problem(self.environ):
            warn(f"{problem}. docker's defaults are used.", no_color=self.no_color)
        for text in pending.warnings:
            warn(text, no_color=self.no_color)
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
