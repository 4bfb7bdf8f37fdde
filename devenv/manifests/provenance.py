"""Where a value of a rendered object was written: the file and the line that a person has to change.

kustomize's own origin annotations name a file only, change what JSON patches of `metadata.annotations` do, and need
a second rendering; so the sources are searched instead: the outermost patch that sets the value, else the object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from devenv.manifests import access
from devenv.manifests.kustomization import Kustomization, Source, Tree, generators, line_of
from devenv.manifests.model import Manifest, ObjectPath, Place
from devenv.manifests.yamlread import Document, child_node, read_inline

_HASH = re.compile(r"-[a-z0-9]{10}")  # kustomize's suffix of generated names
_OBJECT_FIELDS = ("resources", "bases", "components", "generators")


class Provenance:
    """The sources of one Kustomize folder, asked for places."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def generated(self, manifest: Manifest) -> Kustomization | None:
        """Return the kustomization whose generator made the object, None where none did."""
        generator = self._generator(manifest)
        return generator[0] if generator else None

    def locate(self, manifest: Manifest, path: ObjectPath) -> Place:
        """Return the place of a value, of the nearest one above it where nothing sets it."""
        if not isinstance(access.get(manifest.data, *path), dict):  # several sources make a mapping: none is its place
            for place in self._patched(manifest, path):
                return place
        source = self._origin(manifest)
        if source is not None:
            file, node = source
            depth, line = _descend(node, path, manifest.data)
            return Place(file, line if depth else node.start_mark.line + 1)
        generator = self._generator(manifest)
        if generator is not None:
            owner, generator_path = generator
            return Place(owner.file, line_of(owner, generator_path))
        return Place(self._tree.root.file)

    @cached_property
    def _objects(self) -> dict[str, list[tuple[Source, Any, yaml.Node]]]:
        """Objects of resource files by kind; a List's items count as objects of their own."""
        sources = (source for source in self._tree.sources if source.reference.field in _OBJECT_FIELDS)
        return access.grouped(
            (access.text(data, "kind"), (source, data, node))
            for source in sources
            for data, node in _flat(source.document)
        )

    def _origin(self, manifest: Manifest) -> tuple[Path, yaml.Node] | None:
        best: tuple[int, Path, yaml.Node] | None = None
        for source, data, node in self._objects.get(manifest.kind, ()):
            score = _same_name(access.text(data, "metadata", "name"), manifest.name, source.owner)
            if score and (best is None or score > best[0]):
                best = (score, source.file, node)
        return best[1:] if best else None

    def _generator(self, manifest: Manifest) -> tuple[Kustomization, ObjectPath] | None:
        for owner in self._tree.kustomizations:
            for generator in generators(owner.data):
                name = f"{owner.prefix}{generator.name}{owner.suffix}"
                if generator.kind != manifest.kind or not manifest.name.startswith(name):
                    continue
                if manifest.name == name or _HASH.fullmatch(manifest.name[len(name) :]):
                    return owner, generator.path
        return None

    def _patched(self, manifest: Manifest, path: ObjectPath) -> Iterator[Place]:
        for owner in self._tree.kustomizations:
            if path[-1:] == ("image",):
                yield from _image(owner, access.get(manifest.data, *path))
            for file, document, first_line, target in self._patches(owner):
                if isinstance(document.data, list):
                    yield from _operations(file, document, first_line, target, manifest, path)
                elif _targets(document.data, target, manifest, owner):
                    depth, line = _descend(document.node, path, manifest.data)
                    if path and depth == len(path):
                        yield Place(file, line + first_line)

    def _patches(self, owner: Kustomization) -> Iterator[tuple[Path, Document, int, Any]]:
        """Yield the patches of one kustomization: file, content, the line before it, and the target it names."""
        for source in self._tree.sources:
            if source.owner is owner and source.reference.field.startswith("patches"):
                target = access.get(owner.data, *source.reference.path[:2], "target")
                yield source.file, source.document, 0, target
        for field in ("patches", "patchesJson6902", "patchesStrategicMerge"):
            for index, item in enumerate(access.sequence(owner.data, field)):
                inline = item if isinstance(item, str) else access.text(item, "patch")
                if "\n" in inline:
                    path: ObjectPath = (field, index) if isinstance(item, str) else (field, index, "patch")
                    for document in read_inline(inline):
                        yield owner.file, document, line_of(owner, path), access.get(item, "target")


def _flat(document: Document) -> Iterator[tuple[Any, yaml.Node]]:
    items, _ = child_node(document.node, "items")
    if access.text(document.data, "kind").endswith("List") and isinstance(items, yaml.SequenceNode):
        yield from zip(access.sequence(document.data, "items"), items.value, strict=False)
    else:
        yield document.data, document.node


def _same_name(source: str, rendered: str, owner: Kustomization) -> int:
    """Say how surely an object of a source is the rendered one; 0: it is not. A transformer may have renamed it."""
    if f"{owner.prefix}{source}{owner.suffix}" == rendered:
        return 3
    if source == rendered:
        return 2
    return 1 if source and source in rendered else 0


def _targets(patch: Any, target: Any, manifest: Manifest, owner: Kustomization) -> bool:
    if not isinstance(target, dict):
        return access.text(patch, "kind") == manifest.kind and bool(
            _same_name(access.text(patch, "metadata", "name"), manifest.name, owner)
        )
    for key, value in (("kind", manifest.kind), ("name", manifest.name)):
        selector_value = access.text(target, key)
        if selector_value and selector_value != value and not _matches(selector_value, value):
            return False
    return True


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None or (len(pattern) > 3 and pattern in value)
    except re.error:
        return False  # Go's dialect knows more; the patch is then only not named as the place


def _operations(
    file: Path, document: Document, first_line: int, target: Any, manifest: Manifest, path: ObjectPath
) -> Iterator[Place]:
    if not isinstance(document.node, yaml.SequenceNode) or not _targets({}, target or {}, manifest, _NO_OWNER):
        return
    pointer = [str(step) for step in path]
    for operation, node in zip(document.data, document.node.value, strict=False):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in access.text(operation, "path").split("/")[1:]]
        if steps and steps == pointer[: len(steps)]:
            yield Place(file, node.start_mark.line + 1 + first_line)


_NO_OWNER = Kustomization(Path(), None)


def _image(owner: Kustomization, rendered: object) -> Iterator[Place]:
    if not isinstance(rendered, str):
        return
    for index, entry in access.mappings(owner.data, "images"):
        name = access.text(entry, "newName") or access.text(entry, "name")
        if name and re.fullmatch(rf"{re.escape(name)}(?:[:@].*)?", rendered):
            yield Place(owner.file, line_of(owner, ("images", index)))


def _descend(node: yaml.Node | None, path: ObjectPath, rendered: Any) -> tuple[int, int]:
    """Follow a path as far as the node has it; list elements are found by their name, as merging does."""
    depth, line = 0, 0
    for step in path:
        rendered = access.get(rendered, step)
        inner, at_key = child_node(node, _index(node, step, rendered) if isinstance(step, int) else step)
        if inner is None:
            break
        node, line, depth = inner, at_key, depth + 1
    return depth, line


def _index(node: yaml.Node | None, index: int, rendered: Any) -> int:
    name = access.get(rendered, "name")
    if isinstance(node, yaml.SequenceNode) and isinstance(name, str):
        for position, item in enumerate(node.value):
            value, _ = child_node(item, "name")
            if isinstance(value, yaml.ScalarNode) and value.value == name:
                return position
    return index
