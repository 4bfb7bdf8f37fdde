"""The tasks of the project that a call is about: its packages as Compose tells them, its graph, its cache."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import msgspec

from devenv.backends.compose import NoComposeFile
from devenv.builds.store import Store
from devenv.cli.context import Context
from devenv.cli.options import read_settings
from devenv.core.errors import Refused
from devenv.core.settings import Config, current_folder
from devenv.tasks.cache import TaskCache
from devenv.tasks.graph import ROOT, Package, TaskGraph, find_packages
from devenv.tasks.key import KeyMaker

_READ_ONLY = "It was set by --read-only, DEVENV_READ_ONLY or read_only in devenv.toml."


class TaskProject(msgspec.Struct, frozen=True):
    """All that a run needs. `project_files` are Compose's: a change of one touches every package."""

    root: Path
    config: Config
    graph: TaskGraph
    store: Store
    project_files: tuple[Path, ...] = ()

    def maker(self) -> KeyMaker:
        """Return what makes the keys of its tasks."""
        return KeyMaker(self.root, self.graph, os.environ, self.store)


def task_project(arguments: Namespace) -> TaskProject:
    """Find the project; without Compose files it is its root alone. Errors as Context, and UsageError."""
    try:
        context = Context(arguments)
    except NoComposeFile:
        config = read_settings(arguments)
        root = config.root or current_folder()
        return TaskProject(root, config, TaskGraph(config.tasks, {ROOT: Package(ROOT, root)}), Store(root))
    project = context.project()
    from devenv.control.build_job import ProjectBuilds  # deferred: imported where a project is

    root = context.config.root or Path(project.directory)
    builds = ProjectBuilds(context.options, project, context.document, root, context.environ)
    packages = find_packages(root.resolve(), builds.reader.definitions, builds.graph)
    files = tuple(Path(file) for file in (*project.files, *project.env_files))
    return TaskProject(root, context.config, TaskGraph(context.config.tasks, packages), Store(root), files)


def task_cache(arguments: Namespace) -> tuple[TaskCache, Config]:
    """Return the cache of the project that a call is about, without asking Compose."""
    config = read_settings(arguments)
    root = config.root
    if root is None:
        try:
            root = Path(Context(arguments).options.directory)
        except NoComposeFile:
            root = current_folder()
    return TaskCache(Store(root), config.cache.max_mib << 20), config


def require_changes(config: Config, what: str) -> None:
    """Raise Refused in read-only mode."""
    if config.read_only:
        raise Refused(f"{what} was not done: devenv is in read-only mode", _READ_ONLY)
