"""Makes stacks: an isolated copy of a Compose project that runs from a private copy of its folder, or what is up."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from devenv.backends.compose import ComposeOptions, begin_resolve, find_project
from devenv.core.errors import ProjectError
from devenv.core.model import Project
from devenv.core.settings import Config
from devenv.runs.identity import LABEL_STACK, Run
from devenv.verify.compose_driver import ComposeDriver, ComposeStack, Source, StackPlan
from devenv.verify.isolation import Identity, copy_tree, isolate
from devenv.verify.leftovers import TREES
from devenv.verify.stack import Stacks

OVERRIDE = ".devenv-isolation.yaml"  # beside the copy of the project, never in it
MUTATION = ".devenv-override.yaml"


def locate(
    folder: Path,
    config: Config,
    environ: Mapping[str, str] = os.environ,
    overrides: tuple[str, ...] = (),
    chosen: ComposeOptions | None = None,
) -> Source:
    """Find and resolve the project of a folder, or the one that is `chosen` there.

    Raises UsageError, ProjectError and what Compose's failures become.
    """
    options = find_project(folder, chosen or ComposeOptions(), environ, config)
    files = options.files or options.default_files or _chosen_by_environment(options, environ)
    # Everything is named from here on: variables that choose a project must not choose another one for the copy.
    clean = {
        key: value
        for key, value in environ.items()
        if key not in ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROJECT_DIRECTORY")
    }
    options = replace(options, files=(*files, *(str(folder / item) for item in overrides)), default_files=())
    if environ.get("COMPOSE_PROJECT_NAME") and not options.project_name:
        options = replace(options, project_name=environ["COMPOSE_PROJECT_NAME"])
    project, document = _resolve(options, clean)
    parents = [Path(file).parent for file in files]
    whole = config.root or (folder if chosen is not None else None)
    inside = [*parents, *([whole] if whole else ()), *map(Path, filter(None, [options.project_directory]))]
    common = Path(os.path.commonpath([path.absolute() for path in inside]))
    root = parents[0] if common == Path(common.anchor) or common == Path.home() else common
    return Source(config, options, project, document, root, clean)


class Environments(Stacks[ComposeDriver]):
    """Makes the stacks of one run on Compose, and removes them."""

    def __init__(
        self, source: Source, run: Run, *, keep: bool = False, scale: float = 1.0, numbers: Iterator[int] | None = None
    ) -> None:
        super().__init__(run, keep=keep, scale=scale)
        self.source = source
        self._numbers = numbers or itertools.count(1)  # of the run: a name is never used twice

    def running(self) -> ComposeStack:
        """Return the stack that is up in the working tree; nothing of it is ever removed."""
        source = self.source
        return self._made(StackPlan(source, self.run, source.project, source.options, source.document, source.root))

    def isolated(
        self,
        override: Mapping[str, Any] | None = None,
        edit: Callable[[Path], None] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> ComposeStack:
        """Return a new isolated copy, not started. `override` is merged as one more file, `edit` changes the copy.

        `environ` is for the docker program where it is to use another engine.
        """
        source = self.source if environ is None else dataclasses.replace(self.source, environ=environ)
        name = f"devenv-{self.run.id}-{next(self._numbers)}"
        base = self.run.folder / TREES / name
        try:
            return self._made(self._plan(base, source, override, edit))
        except BaseException:  # an interrupt too: nothing knows of the copy yet
            shutil.rmtree(base, ignore_errors=True)
            raise

    def _plan(
        self, base: Path, source: Source, override: Mapping[str, Any] | None, edit: Callable[[Path], None] | None
    ) -> StackPlan:
        name, folder = base.name, base / "project"
        base.mkdir(parents=True)
        copy_tree(self.source.root, folder, self.source.config.verify.exclude, self._needed())
        if edit is not None:
            edit(folder)
        options = self._moved(folder, name)
        if override:
            mutation = base / MUTATION
            mutation.write_text(json.dumps(override), "utf-8")
            options = replace(options, files=(*options.files, str(mutation)))
        project, document = _resolve(options, source.environ)
        text = isolate(
            document, self.source.document, self.source.root, Identity(name, self.run.labels | {LABEL_STACK: name})
        )
        (base / OVERRIDE).write_text(text, "utf-8")
        isolated = replace(options, files=(*options.files, str(base / OVERRIDE)))
        changed = bool(override) or edit is not None
        return StackPlan(source, self.run, project, isolated, document, folder, True, changed)

    def close(self) -> None:
        """Take down whatever is still there."""
        try:
            super().close()
        finally:
            trees = self.run.folder / TREES
            if trees.is_dir() and not any(trees.iterdir()):
                trees.rmdir()

    def _made(self, plan: StackPlan) -> ComposeStack:
        return self.add(ComposeDriver(plan, self.scale))

    def _moved(self, folder: Path, name: str) -> ComposeOptions:
        options, root = self.source.options, self.source.root

        def moved(path: str) -> str:
            inside = Path(path).is_relative_to(root)
            return str(folder / Path(path).relative_to(root)) if inside else path

        directory = moved(options.project_directory) if options.project_directory else ""
        return replace(
            options,
            directory=str(folder),
            files=tuple(moved(file) for file in options.files),
            env_files=tuple(moved(file) for file in options.env_files),
            project_name=name,
            project_directory=directory,
        )

    def _needed(self) -> list[Path]:
        """Return what Compose names itself, so that no rule about names leaves it out of the copy."""
        paths: list[Path] = []
        for body in (self.source.document.get("services") or {}).values():
            paths += [Path(item["source"]) for item in body.get("volumes") or () if item.get("type") == "bind"]
            paths += [Path(context) for context in [(body.get("build") or {}).get("context")] if context]
        return paths


def _resolve(options: ComposeOptions, environ: Mapping[str, str]) -> tuple[Project, Mapping[str, Any]]:
    pending = begin_resolve(options, (), environ)
    project = pending.result()
    document: Mapping[str, Any] = json.loads(pending.document)
    return project, document


def _chosen_by_environment(options: ComposeOptions, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that COMPOSE_FILE names, in the environment or in the `.env` that Compose reads."""
    from devenv.verify.engine import run_docker

    text = run_docker(options.command("config", "--environment"), folder=options.directory, environ=environ)
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    names = values.get("COMPOSE_FILE", "")
    separator = values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    if not names:
        raise ProjectError("It is not known which Compose files this project has", "Name them in devenv.toml.")
    return tuple(str(Path(options.directory, name)) for name in names.split(separator))
