"""Everything local that a Kustomize folder is made of, read before kustomize runs: for lines, and to refuse early."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from devenv.core.errors import UsageError
from devenv.core.text import sanitize
from devenv.manifests import access
from devenv.manifests.kustomization import (
    FILE_NAMES,
    PLUGIN_FIELDS,
    Kustomization,
    Reference,
    exists,
    inline_plugins,
    is_remote,
    kustomization_file,
    references,
    remote_values,
)
from devenv.manifests.model import ObjectPath, Place
from devenv.manifests.yamlread import Document, YamlError, child_node, duplicate_keys, read_documents, read_inline

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
        node, found = child_node(node, step)
        if node is None:
            break
        line = found
    return line
