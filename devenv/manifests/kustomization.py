"""Kustomization files: what one refers to, and what of that is remote. Rendering is kustomize's; this only looks.

Fields: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devenv.manifests import access
from devenv.manifests.model import Environment, ObjectPath
from devenv.manifests.yamlread import Document

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
ENVIRONMENT_ANNOTATION = "devenv.io/environment"

_FILE_URL = re.compile(r"https?://", re.IGNORECASE)
# What kustomize's git loader takes for a repository (api/internal/git/repospec.go): a scheme, scp's form, a host with
# a path, `git::`. Only what is not there as a file or folder is asked this.
_REPOSITORY = re.compile(
    r"[a-z][a-z0-9+.-]*://|(?:git|gh)::?|[^/\s]+@[^/\s:]+[:/]|[\w-]+(?:\.[\w-]+)+/|.*[?&](?:ref|version|submodules)=",
    re.IGNORECASE,
)
_FOLDERS_TOO = ("resources", "bases", "components", "generators", "transformers", "validators")
PLUGIN_FIELDS = ("generators", "transformers", "validators")
_GENERATORS = ("configMapGenerator", "secretGenerator")


@dataclass(frozen=True, slots=True)
class Reference:
    """One path or address in a kustomization file, and where it stands in it."""

    field: str
    value: str
    path: ObjectPath


@dataclass(frozen=True, slots=True)
class Generator:
    """One entry of configMapGenerator or secretGenerator."""

    kind: str
    name: str
    path: ObjectPath
    files: tuple[str, ...]
    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kustomization:
    """One kustomization file. `prefix` and `suffix` are what it and those above it put around its objects' names."""

    file: Path
    document: Document | None
    prefix: str = ""
    suffix: str = ""

    @property
    def folder(self) -> Path:
        """The folder that its paths are relative to."""
        return self.file.parent

    @property
    def data(self) -> Any:
        """Its content; empty where the file is."""
        return self.document.data if self.document else {}

    @property
    def node(self) -> yaml.Node | None:
        """Its content with lines."""
        return self.document.node if self.document else None

    @property
    def is_component(self) -> bool:
        """Whether it is a part that only an overlay can use."""
        return access.text(self.data, "kind") == "Component"

    @property
    def environment(self) -> str:
        """What its annotation says it is for; empty: nothing."""
        return access.text(self.data, "metadata", "annotations", ENVIRONMENT_ANNOTATION)


def kustomization_file(folder: Path) -> Path | None:
    """Return the folder's kustomization file, None where it has none."""
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def environment_of(text: str) -> Environment | None:
    """Read an environment's name, None where it is none."""
    return next((environment for environment in Environment if environment.value == text), None)


def references(data: object) -> Iterator[Reference]:
    """Yield everything in a kustomization that names a file, a folder or something remote."""
    for field in (*_FOLDERS_TOO, "crds", "configurations", "patchesStrategicMerge"):
        for index, value in enumerate(access.sequence(data, field)):
            if isinstance(value, str) and "\n" not in value:
                yield Reference(field, value, (field, index))
    for field in ("patches", "patchesJson6902", "replacements"):
        for index, item in access.mappings(data, field):
            if access.text(item, "path"):
                yield Reference(field, access.text(item, "path"), (field, index, "path"))
    if access.text(data, "openapi", "path"):
        yield Reference("openapi", access.text(data, "openapi", "path"), ("openapi", "path"))
    for generator in generators(data):
        for value in generator.files:
            yield Reference(str(generator.path[0]), value, generator.path)


def generators(data: object) -> Iterator[Generator]:
    """Yield the generators of ConfigMaps and Secrets, with the files that they read."""
    for field in _GENERATORS:
        kind = "ConfigMap" if field == "configMapGenerator" else "Secret"
        for index, item in access.mappings(data, field):
            files = [value for value in access.sequence(item, "files") if isinstance(value, str)]
            envs = [*access.sequence(item, "envs"), access.get(item, "env")]
            paths = [value.partition("=")[2] or value for value in files]
            paths += [value for value in envs if isinstance(value, str)]
            literals = tuple(value for value in access.sequence(item, "literals") if isinstance(value, str))
            yield Generator(kind, access.text(item, "name"), (field, index), tuple(paths), literals)


def inline_plugins(data: object) -> Iterator[tuple[str, int, str]]:
    """Yield the configurations of generators and transformers that stand in the kustomization file itself."""
    for field in PLUGIN_FIELDS:
        for index, value in enumerate(access.sequence(data, field)):
            if isinstance(value, str) and "\n" in value:
                yield field, index, value


def remote_values(value: object) -> Iterator[str]:
    """Yield the http addresses in a plugin's configuration: its files may be fetched, as those of a generator are."""
    if isinstance(value, dict):
        for item in value.values():
            yield from remote_values(item)
    elif isinstance(value, list):
        for item in value:
            yield from remote_values(item)
    elif isinstance(value, str) and _FILE_URL.match(value.rpartition("=")[2] if "=http" in value else value):
        yield value


def is_remote(folder: Path, reference: Reference) -> bool:
    """Say whether kustomize would fetch it: any http address, and a repository where no such file or folder is."""
    if _FILE_URL.match(reference.value):
        return True
    if reference.field not in _FOLDERS_TOO or exists(folder / reference.value):
        return False
    return _REPOSITORY.match(reference.value) is not None


def exists(path: Path) -> bool:
    """Say whether the path is there; a name that no file can have is not."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False
