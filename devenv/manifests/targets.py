"""Which Kustomize folders are chosen, and what each is for."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from devenv.core.errors import UsageError
from devenv.core.manifest_settings import ManifestSettings
from devenv.manifests.kustomization import (
    FILE_NAMES,
    Kustomization,
    Tree,
    environment_of,
    kustomization_file,
    references,
)
from devenv.manifests.model import Environment
from devenv.manifests.yamlread import YamlError, read_documents

_MOST_FILES = 20_000  # looked at around a folder
_MOST_BYTES = 1_000_000
_SKIPPED = {"node_modules", "__pycache__", "vendor"}


@dataclass(frozen=True, slots=True)
class Target:
    """One Kustomize folder to look at; `declared`: in devenv.toml, whose environment may be empty."""

    name: str
    folder: Path
    environment: str = ""
    declared: bool = False


def choose_targets(
    paths: Sequence[Path], overlays: Sequence[str], settings: ManifestSettings, start: Path
) -> tuple[Target, ...]:
    """Return the chosen folders: the paths, else the overlays of devenv.toml, else what is below `start`.

    A path without a kustomization stands for the outermost Kustomize folders below it. `overlays` narrows by name.
    Raises UsageError where nothing is left.
    """
    if paths:
        targets = [target for path in paths for target in _of_path(path, settings)]
    elif settings.overlays:
        targets = [Target(name, overlay.path, overlay.environment, True) for name, overlay in settings.overlays.items()]
    else:
        targets = [Target(_shown(folder, start), folder) for folder in discover(start)]
    if not targets:
        raise UsageError(
            f"There is no {FILE_NAMES[0]} in {start} or below it",
            "Name a Kustomize folder, or declare overlays in devenv.toml: [manifests.overlays.NAME] path = ...",
        )
    for name in overlays:
        if not any(_called(target, name) for target in targets):
            names = ", ".join(sorted({target.name for target in targets}))
            raise UsageError(f"There is no overlay {name!r}", f"There are: {names}.")
    chosen = [target for target in targets if not overlays or any(_called(target, name) for name in overlays)]
    return tuple({target.folder.resolve(): target for target in chosen}.values())


def environment_for(target: Target, tree: Tree) -> tuple[Environment, bool]:
    """Return what a folder is for, and whether that is declared; undeclared counts as production, the strictest.

    Raises UsageError for an annotation that names no environment.
    """
    stated = target.environment or tree.root.environment
    if not stated:
        return Environment.PRODUCTION, False
    environment = environment_of(stated)
    if environment is None:
        raise UsageError(
            f"{tree.root.file}: {stated!r} is not an environment",
            f"Known: {', '.join(item.value for item in Environment)}.",
        )
    return environment, True


def discover(top: Path) -> list[Path]:
    """Return the Kustomize folders below a folder that no other one there is made of, components left out."""
    around = Surroundings(top)
    return sorted(
        folder
        for folder, owner in around.kustomizations.items()
        if folder not in around.users and not owner.is_component
    )


class Surroundings:
    """The Kustomize folders and YAML files below a folder; nothing is read before it is asked for."""

    def __init__(self, top: Path) -> None:
        self._top = top

    @cached_property
    def _files(self) -> list[Path]:
        files: list[Path] = []
        for folder, children, names in os.walk(self._top):
            children[:] = sorted(name for name in children if not name.startswith(".") and name not in _SKIPPED)
            files += [Path(folder, name) for name in names if name in FILE_NAMES or name.endswith((".yaml", ".yml"))]
            if len(files) > _MOST_FILES:
                break  # what is not seen is reported as an error, as it would be without this look
        return files

    @cached_property
    def kustomizations(self) -> dict[Path, Kustomization]:
        """Each Kustomize folder with its kustomization file."""
        folders = dict.fromkeys(file.parent for file in self._files if file.name in FILE_NAMES)
        files = ((folder, kustomization_file(folder)) for folder in folders)
        return {folder.resolve(): _glance(file) for folder, file in files if file is not None}

    @cached_property
    def users(self) -> dict[Path, Path]:
        """Each file or folder that a kustomization names, with the folder of one that does."""
        return {
            (owner.folder / reference.value).resolve(): owner.folder
            for owner in self.kustomizations.values()
            for reference in references(owner.data)
            if "\n" not in reference.value and "\0" not in reference.value
        }

    def declaring(self, kind: str, name: str) -> Path | None:
        """Return a file with an object of that kind and name, None where there is none."""
        declared = [
            re.compile(rf"^kind:\s*{re.escape(kind)}\s*$", re.M),
            re.compile(rf"\bname:\s*{re.escape(name)}\s*$", re.M),
        ]
        for file in self._files:
            documents = re.split(r"^---", _text_of(file), flags=re.M)
            if any(all(pattern.search(document) for pattern in declared) for document in documents):
                return file
        return None


def surroundings(folder: Path, root: Path, known: dict[Path, Surroundings]) -> Surroundings:
    """Return what is around a folder: its repository, else the project where it is in it, else the folder itself.

    `known` keeps what was looked at before.
    """
    folder = folder.resolve()
    repository = next((above for above in folder.parents if (above / ".git").exists()), root.resolve())
    top = repository if folder.is_relative_to(repository) else folder
    return known.setdefault(top, Surroundings(top))


def _of_path(path: Path, settings: ManifestSettings) -> list[Target]:
    for name, overlay in settings.overlays.items():
        if overlay.path.resolve() == path.resolve():
            return [Target(name, path, overlay.environment, True)]
    if kustomization_file(path) is None and path.is_dir():
        return [target for folder in discover(path) for target in _of_path(folder, settings)]
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder", "Name a Kustomize folder: the one that `kubectl apply -k` takes.")
    return [Target(path.resolve().name, path)]


def _called(target: Target, name: str) -> bool:
    return name in (target.name, target.folder.resolve().name)


@cache
def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8") if file.stat().st_size < _MOST_BYTES else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _glance(file: Path) -> Kustomization:
    try:
        documents = read_documents(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, YamlError):
        return Kustomization(file, None)  # it is found, and the check then says what is wrong with it
    return Kustomization(file, documents[0] if documents else None)


def _shown(folder: Path, start: Path) -> str:
    resolved = start.resolve()
    return str(folder.relative_to(resolved)) if folder != resolved else folder.name
