"""Packages and their tasks as a graph: what runs after what.

A package is a folder that an image is made from: of a service that is built, or one in `additional_contexts`. It needs
the packages that its image is made from too. `//` is the project's root; it has only tasks that name it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import msgspec

from devenv.builds.definition import Definition, is_remote
from devenv.builds.graph import Graph
from devenv.core.errors import UsageError
from devenv.core.task_settings import TaskSettings
from devenv.core.text import sanitize

ROOT: Final = "//"
OF: Final = "#"  # between a package and its task, as Turborepo has it
_NO_FOLDER: Final = ("service:", "docker-image://", "oci-layout:")


class Package(msgspec.Struct, frozen=True):
    """A folder with tasks. `needs` are the packages that it is made from, `also` the other services of this folder."""

    name: str
    folder: Path
    needs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


class Task(msgspec.Struct, frozen=True):
    """One task of one package; `needs` are the ids of the tasks that have to be done before."""

    package: Package
    name: str
    settings: TaskSettings
    needs: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name in the whole project: backend#lint."""
        return f"{self.package.name}{OF}{self.name}"


def find_packages(root: Path, definitions: Mapping[str, Definition], graph: Graph) -> dict[str, Package]:
    """Return the packages by name, and the root. Services of one folder are one package, named after the first."""
    services: dict[Path, list[str]] = {}
    for name, one in sorted(definitions.items()):
        if not is_remote(one.context):
            services.setdefault(Path(one.context).resolve(), []).append(name)
    names = {folder: owners[0] for folder, owners in services.items()}
    needs: dict[str, set[str]] = {name: set() for name in names.values()}
    owner = {service: names[folder] for folder, owners in services.items() for service in owners}
    for service, one in sorted(definitions.items()):
        made_from = {owner[base] for base in graph.bases(service) if base in owner}
        for name, value in one.contexts.items():
            if not (value.startswith(_NO_FOLDER) or is_remote(value)):
                folder = Path(value).resolve()
                if folder not in names:
                    names[folder] = name if name not in needs else _relative(folder, root)
                    needs[names[folder]] = set()
                made_from.add(names[folder])
        if service in owner:
            needs[owner[service]] |= made_from - {owner[service]}
    packages = {
        name: Package(name, folder, tuple(sorted(needs[name])), tuple(services.get(folder, ())[1:]))
        for folder, name in sorted(names.items(), key=lambda item: item[1])
    }
    return {**packages, ROOT: Package(ROOT, root)}


class TaskGraph:
    """The tasks of a project. Making one raises UsageError for a table of a package or task that is not there."""

    def __init__(self, tables: Mapping[str, TaskSettings], packages: Mapping[str, Package]) -> None:
        self.tables = tables
        self.packages = packages
        self._names = {name: name for name in packages}
        self._names |= {other: one.name for one in packages.values() for other in one.also}
        for key, settings in tables.items():
            package, mark, task = key.rpartition(OF)
            if mark and not (package and task):
                raise UsageError(f"devenv.toml: [tasks.{key!r}] names no task", 'Write [tasks."PACKAGE#TASK"].')
            for name in (*([package] if mark else []), *settings.packages):
                self._package(name, f"devenv.toml: tasks.{key}")

    def select(self, asked: Sequence[str]) -> dict[str, Task]:
        """Return the tasks that were asked for, of all packages or of one, and all that they need, each after those.

        Raises UsageError for one that is not there, and for a circle with the tasks in it.
        """
        todo = [task_id for name in asked for task_id in self._asked(name)]
        tasks: dict[str, Task] = {}
        while todo:
            task_id = todo.pop()
            if task_id not in tasks:
                tasks[task_id] = self._task(task_id)
                todo += tasks[task_id].needs
        try:
            order = tuple(TopologicalSorter({one.id: one.needs for one in tasks.values()}).static_order())
        except CycleError as error:
            circle = sanitize(" -> ".join(reversed(error.args[1])))
            raise UsageError(
                f"These tasks wait for each other: {circle}", "Take one of them out of depends_on in devenv.toml."
            ) from error
        return {task_id: tasks[task_id] for task_id in order}

    def ids_of(self, name: str) -> tuple[str, ...]:
        """Return the tasks of that name, sorted by package."""
        return tuple(f"{package}{OF}{name}" for package in sorted(self.packages) if self._has(package, name))

    def _asked(self, name: str) -> tuple[str, ...]:
        if OF in name:
            package, _, task = name.rpartition(OF)
            return (self._existing(package, task, ""),)
        ids = self.ids_of(name)
        if not ids:
            raise self._unknown(name, "")
        return ids

    def _task(self, task_id: str) -> Task:
        package, _, name = task_id.rpartition(OF)
        settings = self._settings(package, name)
        assert settings is not None  # only what `_has` is asked about gets here
        needs: set[str] = set()
        for need in settings.depends_on:
            where = f"devenv.toml: depends_on of {task_id}"
            if need.startswith("^"):
                self._must_exist(need[1:], where)
                needs |= self._below(package, need[1:])
            elif OF in need:
                owner, _, other = need.rpartition(OF)
                needs.add(self._existing(owner, other, where))
            else:
                self._must_exist(need, where)
                if self._has(package, need):
                    needs.add(f"{package}{OF}{need}")
        for need in sorted(needs):
            owner, _, other = need.rpartition(OF)
            its = self._settings(owner, other)
            if its is not None and its.persistent:
                raise UsageError(
                    f"devenv.toml: {task_id} waits for {need}, which is persistent and does not end",
                    "Take it out of depends_on, or name both: devenv run TASK TASK.",
                )
        return Task(self.packages[package], name, settings, tuple(sorted(needs)))

    def _below(self, package: str, task: str) -> set[str]:
        """Return the task of the packages that one is made from; where one of them has none, of those below it."""
        ids: set[str] = set()
        seen, todo = {package}, list(self.packages[package].needs)
        while todo:
            need = todo.pop()
            if need in seen:
                continue
            seen.add(need)
            if self._has(need, task):
                ids.add(f"{need}{OF}{task}")
            else:
                todo += self.packages[need].needs
        return ids

    def _settings(self, package: str, task: str) -> TaskSettings | None:
        own = self.tables.get(f"{package}{OF}{task}")
        if own is not None or package == ROOT:
            return own
        general = self.tables.get(task)
        if general is None or OF in task:
            return None
        names = {self._names[name] for name in general.packages}
        return general if not names or package in names else None

    def _has(self, package: str, task: str) -> bool:
        return self._settings(package, task) is not None

    def _existing(self, package: str, task: str, where: str) -> str:
        package = self._package(package, where)
        if not self._has(package, task):
            raise self._unknown(f"{package}{OF}{task}", where)
        return f"{package}{OF}{task}"

    def _must_exist(self, task: str, where: str) -> None:
        if not self.ids_of(task):
            raise self._unknown(task, where)

    def _package(self, name: str, where: str) -> str:
        if name not in self._names:
            message = f"{where}: there is no package {sanitize(name)!r}" if where else f"No package {sanitize(name)!r}"
            raise UsageError(message, _near(name, self._names, "Packages here"))
        return self._names[name]

    def _unknown(self, name: str, where: str) -> UsageError:
        every = sorted({key.rpartition(OF)[2] for key in self.tables})
        known = [*every, *(task_id for one in every for task_id in self.ids_of(one))] if OF in name else every
        message = f"there is no task {sanitize(name)!r}"
        hint = _near(name, known, "Tasks here") if known else "Write it: [tasks.NAME] in devenv.toml, with a command."
        return UsageError(f"{where}: {message}" if where else f"{message[0].upper()}{message[1:]}", hint)


def _near(name: str, known: Iterable[str], title: str) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 3)
    return f"Did you mean {' or '.join(near)}?" if near else f"{title}: {', '.join(known)}."


def _relative(folder: Path, root: Path) -> str:
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)
