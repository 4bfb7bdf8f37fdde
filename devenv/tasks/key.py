"""The key of a task: one hash of all that its result may depend on, and the environment that it runs in.

What goes in: the command; the files of its `inputs`; the files of the packages that its package is made from; the
variables of `env`; the patterns of `outputs`; the kind of machine; the keys of the tasks before it. Files are read as
those of builds are, with the same kept hashes. What Git ignores does not count, unless `inputs` names it in full, and
neither does what tasks of the package make: the keys of what makes it say that.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from devenv.builds.affected import ignored_paths
from devenv.builds.context import Tree, read_tree
from devenv.builds.hashes import FileHashes
from devenv.builds.ignore import IgnoreMatcher
from devenv.builds.key import Inputs
from devenv.builds.store import Store
from devenv.core.errors import ProjectError
from devenv.core.settings import FILE_NAME
from devenv.core.text import sanitize
from devenv.tasks.graph import Package, Task, TaskGraph

SCHEMA: Final = 1
# What programs need to start and to find their own files; a result that depends on it is not reproducible anyway.
PASSED: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TZ", "CI"),
    *("LANG", "LANGUAGE", "LC_*", "TMPDIR", "XDG_*", "SSL_CERT_FILE", "SSL_CERT_DIR", "DOCKER_*", "BUILDX_*"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
# What tools leave behind; most projects have it in .gitignore, and those without Git have none.
_NEVER: Final = ("**/.git", "**/__pycache__", "**/.*_cache", "**/node_modules", "**/.venv")
_EVERYTHING: Final = "**"


class TaskKey(msgspec.Struct, frozen=True):
    """The key of a task as its files are now. `unread` say what could not be read, so that no result can be kept."""

    key: str
    inputs: Inputs
    unread: tuple[str, ...] = ()


class InputMatcher(IgnoreMatcher):
    """Takes the paths of some patterns and leaves out what Git ignores (`ignored`, relative to the same folder)."""

    def __init__(self, patterns: Iterable[str], ignored: frozenset[str] = frozenset()) -> None:
        super().__init__(patterns)
        self._ignored = ignored

    def match(self, path: str, parent: int = 0) -> tuple[bool, int]:
        """Return whether a path is left out, and the bits for its children."""
        return (True, parent) if path in self._ignored else super().match(path, parent)

    def ignores(self, path: str) -> bool:
        """Return whether a path is left out, its parents looked at first."""
        parts = path.split("/")
        above = ("/".join(parts[: depth + 1]) for depth in range(len(parts)))
        return any(one in self._ignored for one in above) or super().ignores(path)

    def may_keep_below(self, folder: str) -> bool:
        """Whether something may be taken below a folder that is left out."""
        return folder not in self._ignored and super().may_keep_below(folder)


def only(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the ignore patterns that leave these paths, without those that start with "!"; of all if no other is."""
    turned = [one[1:] if one.startswith("!") else f"!{one}" for one in patterns]
    return (*([_EVERYTHING] if any(one.startswith("!") for one in turned) else []), *turned)


class KeyMaker:
    """Makes the keys of one project's tasks. To be used by one thread at a time."""

    def __init__(self, root: Path, graph: TaskGraph, environ: Mapping[str, str], store: Store) -> None:
        self.root = root.resolve()
        self._graph = graph
        self._environ = environ
        self._store = store
        self._ignored = ignored_paths(self.root)
        self._hashes: dict[Path, FileHashes] = {}
        self._made: dict[str, tuple[str, ...]] = {}
        for key, settings in graph.tables.items():
            for task_id in (key,) if "#" in key else graph.ids_of(key):
                package = task_id.rpartition("#")[0]
                self._made[package] = (*self._made.get(package, ()), *settings.outputs)

    def key(self, task: Task, before: Mapping[str, str]) -> TaskKey:
        """Read the files of a task; `before` are the keys of those it needs. Raises ProjectError without its folder."""
        settings = task.settings
        trees: dict[str, str] = {}
        unread: list[str] = []
        for name, folder, matcher in self.sources(task):
            tree = self.read(folder, matcher)
            trees[name] = tree.digest
            unread += [f"{sanitize(path)} cannot be read" for path in tree.unreadable[:1]]
        facts = {
            "task": {
                "id": task.id,
                "command": settings.command,
                "schema": str(SCHEMA),
                "machine": f"{sys.platform} {platform.machine()}",
            },
            "environment": {
                name: _hash(self._environ[name]) if name in self._environ else ""
                for name in self._names(settings.env, missing=True)
            },
            "output": dict.fromkeys(settings.outputs, "set"),
            "task before": {need: before[need] for need in task.needs},
        }
        inputs = Inputs(SCHEMA, facts, trees)
        return TaskKey(inputs.key, inputs, tuple(unread))

    def sources(self, task: Task) -> Iterator[tuple[str, Path, InputMatcher]]:
        """Return the folders that a task reads, each with a name and with what counts of it."""
        package, inputs = task.package, task.settings.inputs
        own = [one for one in inputs if not one.removeprefix("!").startswith("//")]
        yield package.name, package.folder, self._matcher(package, own)
        above = [one.replace("//", "", 1) for one in inputs if one.removeprefix("!").startswith("//")]
        if above:
            yield "inputs of the root", self.root, self._matcher(self._graph.packages["//"], above)
        for name in self._below(package):
            base = self._graph.packages[name]
            yield name, base.folder, self._matcher(base, ())

    def touched(self, task: Task, changed: Iterable[Path]) -> Path | None:
        """Return the first of the changed files that counts for a task; devenv.toml counts for all."""
        sources = list(self.sources(task))
        for path in changed:
            plain = path.parent.resolve() / path.name
            if plain == self.root / FILE_NAME:
                return plain
            for _, folder, matcher in sources:
                if plain.is_relative_to(folder) and not matcher.ignores(plain.relative_to(folder).as_posix()):
                    return plain
        return None

    def made(self, task: Task) -> Tree:
        """Return what a task made: the paths of its `outputs` as they are now."""
        return self.read(task.package.folder, outputs_of(task))

    def read(self, folder: Path, matcher: IgnoreMatcher) -> Tree:
        """Read a folder; raises ProjectError."""
        hashes = self._hashes.get(folder) or self._hashes.setdefault(folder, FileHashes(folder, self._store))
        try:
            return read_tree(folder, matcher, hashes, self._store.own.resolve())
        except OSError as error:
            raise ProjectError(
                f"The folder {sanitize(str(folder))} of a package cannot be read: {error.strerror}",
                "Correct build.context or additional_contexts in the Compose file, or make the folder.",
            ) from error

    def save(self) -> None:
        """Keep the hashes of the files for the next time; raises OSError."""
        for hashes in self._hashes.values():
            hashes.save()

    def environment(self, task: Task) -> dict[str, str]:
        """Return the variables that a task sees: those it names, and those that programs need to start."""
        package, settings = task.package, task.settings
        environ = {name: self._environ[name] for name in self._names((*PASSED, *settings.env, *settings.pass_env))}
        # The project's own tools first, then those that came with this devenv, and devenv itself.
        own = (str(self.root / ".venv" / "bin"), str(Path(sys.executable).parent))
        environ["PATH"] = os.pathsep.join(dict.fromkeys((*own, *environ.get("PATH", os.defpath).split(os.pathsep))))
        return {**environ, "DEVENV_ROOT": str(self.root), "DEVENV_PACKAGE": package.name, "DEVENV_TASK": task.name}

    def _names(self, patterns: Iterable[str], *, missing: bool = False) -> list[str]:
        """Return the variables that fit; with `missing`, those without a pattern also where they are not set."""
        names: set[str] = set()
        for pattern in patterns:
            names |= {name for name in self._environ if fnmatchcase(name, pattern)}
            if missing and not set("*?[") & set(pattern):
                names.add(pattern)
        return sorted(names)

    def _below(self, package: Package) -> list[str]:
        names: set[str] = set()
        todo = list(package.needs)
        while todo:
            name = todo.pop()
            if name not in names and name != package.name:
                names.add(name)
                todo += self._graph.packages[name].needs
        return sorted(names)

    def _matcher(self, package: Package, inputs: Iterable[str]) -> InputMatcher:
        named = set(inputs)
        below = (path.relative_to(package.folder) for path in self._ignored if path.is_relative_to(package.folder))
        ignored = frozenset(path.as_posix() for path in below) - named
        made = [one for one in self._made.get(package.name, ()) if not one.startswith("!") and one not in named]
        return InputMatcher((*only(inputs), *_NEVER, *made), ignored)


def outputs_of(task: Task) -> InputMatcher:
    """Return what takes the paths that a task makes."""
    return InputMatcher(only(task.settings.outputs) or (_EVERYTHING,))


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
