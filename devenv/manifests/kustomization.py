"""Kustomization files and all local files that they name, read before kustomize runs: for lines, and to refuse early.

Rendering is kustomize's; this only looks. Fields: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from devenv.core.errors import UsageError
from devenv.core.text import sanitize
from devenv.manifests import access
from devenv.manifests.model import Environment, ObjectPath, Place
from devenv.manifests.yamlread import Document, YamlError, child_node, duplicate_keys, read_documents, read_inline

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
    for section in (*_FOLDERS_TOO, "crds", "configurations", "patchesStrategicMerge"):
        for index, value in enumerate(access.sequence(data, section)):
            if isinstance(value, str) and "\n" not in value:
                yield Reference(section, value, (section, index))
    for section in ("patches", "patchesJson6902", "replacements"):
        for index, item in access.mappings(data, section):
            if access.text(item, "path"):
                yield Reference(section, access.text(item, "path"), (section, index, "path"))
    if access.text(data, "openapi", "path"):
        yield Reference("openapi", access.text(data, "openapi", "path"), ("openapi", "path"))
    for generator in generators(data):
        for value in generator.files:
            yield Reference(str(generator.path[0]), value, generator.path)


def generators(data: object) -> Iterator[Generator]:
    """Yield the generators of ConfigMaps and Secrets, with the files that they read."""
    for section in _GENERATORS:
        kind = "ConfigMap" if section == "configMapGenerator" else "Secret"
        for index, item in access.mappings(data, section):
            files = [value for value in access.sequence(item, "files") if isinstance(value, str)]
            envs = [*access.sequence(item, "envs"), access.get(item, "env")]
            paths = [value.partition("=")[2] or value for value in files]
            paths += [value for value in envs if isinstance(value, str)]
            literals = tuple(value for value in access.sequence(item, "literals") if isinstance(value, str))
            yield Generator(kind, access.text(item, "name"), (section, index), tuple(paths), literals)


def inline_plugins(data: object) -> Iterator[tuple[str, int, str]]:
    """Yield the configurations of generators and transformers that stand in the kustomization file itself."""
    for section in PLUGIN_FIELDS:
        for index, value in enumerate(access.sequence(data, section)):
            if isinstance(value, str) and "\n" in value:
                yield section, index, value


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


_MOST_KUSTOMIZATIONS = 500  # a base that is used twice is counted twice; beyond this it is a bomb or a mistake
_NOT_OBJECTS = ("crds", "configurations", "openapi", "replacements", "configMapGenerator", "secretGenerator")


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """What is wrong with the files themselves, so that kustomize need not be asked."""

    rule: str
    place: Place
    message: str
    limit: bool = False  # it could not be looked at here, which says nothing about the files


@dataclass(frozen=True, slots=True)
class Source:
    """One document of a file that a kustomization names: an object, or a patch."""

    owner: Kustomization
    file: Path
    document: Document
    reference: Reference


@dataclass(slots=True)
class Tree:
    """A Kustomize folder with everything under it; `kustomizations` begins with the outermost."""

    kustomizations: list[Kustomization] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    missing: list[tuple[Kustomization, Reference]] = field(default_factory=list)
    problems: list[SourceProblem] = field(default_factory=list)

    @property
    def root(self) -> Kustomization:
        """The folder's own kustomization."""
        return self.kustomizations[0]


def read_tree(folder: Path) -> Tree:
    """Read the folder's kustomization and all that it refers to on this machine.

    Raises UsageError where the folder is no Kustomize folder. Everything else that is wrong is in `problems`.
    """
    file = kustomization_file(folder)
    if file is None:
        what = "is not a folder" if not folder.is_dir() else f"has no {FILE_NAMES[0]}"
        raise UsageError(f"{folder} {what}", "Name a Kustomize folder: the one that `kubectl apply -k` takes.")
    tree = Tree()
    _Reader(tree).visit(file, "", "", ())
    return tree


class _Reader:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._files: dict[Path, list[Document]] = {}

    def visit(self, file: Path, prefix: str, suffix: str, above: tuple[Path, ...]) -> None:
        documents = self._documents(file)
        document = documents[0] if documents else None
        data = document.data if document else {}
        this = Kustomization(
            file, document, prefix + access.text(data, "namePrefix"), access.text(data, "nameSuffix") + suffix
        )
        self._tree.kustomizations.append(this)
        for reference in references(data):
            self._follow(this, reference, (*above, file))
        for name, index, text in inline_plugins(data):
            self._plugins(this, (name, index), read_inline(text))

    def _follow(self, this: Kustomization, reference: Reference, above: tuple[Path, ...]) -> None:
        path = this.folder / reference.value
        shown = sanitize(reference.value)
        if is_remote(this.folder, reference):
            message = f"{reference.field} names {shown}, which is not on this machine"
            self._problem("remote-base", this, reference.path, message)
        elif not exists(path):
            self._tree.missing.append((this, reference))
        elif path.is_dir():
            self._folder(this, reference, path, above)
        elif reference.field not in _NOT_OBJECTS:
            documents = self._documents(path)
            self._tree.sources += [Source(this, path, document, reference) for document in documents]
            if reference.field in PLUGIN_FIELDS:
                self._plugins(this, reference.path, documents)

    def _plugins(self, this: Kustomization, path: ObjectPath, documents: list[Document]) -> None:
        for document in documents:
            for url in remote_values(document.data):
                message = f"a plugin of {path[0]} reads {sanitize(url)}, which is not on this machine"
                self._problem("remote-base", this, path, message)

    def _folder(self, this: Kustomization, reference: Reference, path: Path, above: tuple[Path, ...]) -> None:
        inner = kustomization_file(path.resolve())
        shown = sanitize(reference.value)
        if inner is None:
            self._problem("missing-file", this, reference.path, f"{shown} is a folder without {FILE_NAMES[0]}")
        elif inner in above:
            self._problem("missing-file", this, reference.path, f"{shown} leads back to {inner.parent.name}: a cycle")
        elif len(self._tree.kustomizations) >= _MOST_KUSTOMIZATIONS:
            self._problem("missing-file", this, reference.path, f"more than {_MOST_KUSTOMIZATIONS} folders are used")
        else:
            self.visit(inner, this.prefix, this.suffix, above)

    def _documents(self, file: Path) -> list[Document]:
        file = file.resolve()
        if file not in self._files:
            self._files[file] = self._read(file)
        return self._files[file]

    def _read(self, file: Path) -> list[Document]:
        try:
            documents = read_documents(file.read_bytes().decode("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            self._tree.problems.append(
                SourceProblem("invalid-yaml", Place(file), f"cannot be read: {sanitize(str(error))}")
            )
            return []
        except YamlError as error:
            place = Place(file, error.line)
            what = "was not read" if error.limit else "is not YAML"
            message = f"{what}: {sanitize(error.message)}"
            self._tree.problems.append(SourceProblem("invalid-yaml", place, message, error.limit))
            return []
        for document in documents:
            for key, line, first in duplicate_keys(document.node):
                message = f"the key {sanitize(key)} is already in line {first}; one of the two values is lost"
                self._tree.problems.append(SourceProblem("duplicate-key", Place(file, line), message))
        return documents

    def _problem(self, rule: str, this: Kustomization, path: ObjectPath, message: str) -> None:
        self._tree.problems.append(SourceProblem(rule, Place(this.file, line_of(this, path)), message))


def line_of(kustomization: Kustomization, path: ObjectPath) -> int:
    """Return the line of a value in a kustomization file, of the nearest one above it where it has none."""
    node, line = kustomization.node, 1
    for step in path:
        node, at_key = child_node(node, step)
        if node is None:
            break
        line = at_key
    return line
