"""What an overlay changes over what it is built on: its directories among `resources`, rendered alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from devenv.core.errors import DevenvError
from devenv.manifests import access
from devenv.manifests.credentials import judge, masked
from devenv.manifests.kustomization import FILE_NAMES, kustomization_file, references
from devenv.manifests.model import Manifest, ObjectPath
from devenv.manifests.provenance import Provenance, without_hash
from devenv.manifests.render import render
from devenv.manifests.tree import Tree, read_tree

# The fields that identify an element of a list (k8s.io/api: x-kubernetes-patch-merge-key), the first that is there.
_MERGE_KEYS = ("name", "mountPath", "containerPort", "port", "host", "path", "secretName", "topologyKey", "type", "key")
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs. None: it is not there."""

    path: ObjectPath
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class OverlayDiff:
    """All that one overlay changes, by the objects' titles."""

    bases: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[Change, ...]]


def diff_overlay(folder: Path, environ: Mapping[str, str] | None = None) -> OverlayDiff:
    """Compare an overlay with its bases; raises DevenvError where one of the two cannot be rendered."""
    tree = read_tree(folder)
    bases = _bases(tree)
    after = _objects(tree, environ)
    before: dict[str, Any] = {}
    if bases:
        with TemporaryDirectory(prefix="devenv-") as temporary:
            here = Path(temporary).resolve()
            relative = [os.path.relpath(base.resolve(), here) for base in bases]
            (here / FILE_NAMES[0]).write_text(json.dumps({"resources": relative}), "utf-8")
            before = _objects(read_tree(here), environ)
    changed = {title: tuple(_changes(before[title], data, (), "")) for title, data in after.items() if title in before}
    return OverlayDiff(
        bases=tuple(os.path.relpath(base.resolve(), folder.resolve()) for base in bases),
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed={title: found for title, found in sorted(changed.items()) if found},
    )


def _bases(tree: Tree) -> list[Path]:
    paths = (
        tree.root.folder / item.value for item in references(tree.root.data) if item.field in ("resources", "bases")
    )
    return [path for path in paths if path.is_dir() and kustomization_file(path) is not None]


def _objects(tree: Tree, environ: Mapping[str, str] | None) -> dict[str, Any]:
    rendered = render(tree, environ)
    if rendered.problems:
        problem = rendered.problems[0]
        raise DevenvError(f"{problem.place.file}: {problem.message}", "Try: devenv manifests check")
    provenance = Provenance(tree)
    names = {
        item.name: without_hash(item.name) for item in rendered.manifests if provenance.generated(item) is not None
    }
    found: dict[str, Any] = {}
    for manifest in rendered.manifests:
        data = _renamed(manifest.data, names)
        title = f"{manifest.kind}/{_stem(data, tree)}"
        found[title] = _shown_secret(manifest, data)
    return found


def _stem(data: Any, tree: Tree) -> str:
    return access.text(data, "metadata", "name").removeprefix(tree.root.prefix).removesuffix(tree.root.suffix)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Take the content hashes out of generated names: they change with every value, and say nothing."""
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _shown_secret(manifest: Manifest, data: Any) -> Any:
    if manifest.kind != "Secret":
        return data
    hidden = {
        field: {key: masked(str(value)) for key, value in access.mapping(data, field).items()}
        for field in ("data", "stringData")
        if field in data
    }
    return {**data, **hidden}


def _changes(before: Any, after: Any, path: ObjectPath, name: str) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _changes(before.get(key, _ABSENT), after.get(key, _ABSENT), (*path, str(key)), str(key))
        return
    one, other = _keyed(before), _keyed(after)
    if one is not None and other is not None and len(one) == len(other) and not one.keys() & other.keys():
        for index, (old, new) in enumerate(zip(before, after, strict=True)):  # what identifies them has changed
            yield from _changes(old, new, (*path, index), name)
        return
    if one is not None and other is not None:
        for key in dict.fromkeys((*one, *other)):
            yield from _changes(one.get(key, _ABSENT), other.get(key, _ABSENT), (*path, key), name)
        return
    yield Change(path, _written(before, name), _written(after, name))


def _keyed(items: Any) -> dict[str, Any] | None:
    """Return a list's elements by what identifies them, None where they cannot be told apart."""
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        return None
    for key in _MERGE_KEYS:
        names = [str(item.get(key, "")) for item in items]
        if all(names) and len(set(names)) == len(names):
            return dict(zip(names, items, strict=True))
    return None


def _written(value: Any, name: str) -> str | None:
    if value is _ABSENT:
        return None
    if isinstance(value, str):
        return masked(value) if judge(name, value) else value
    return json.dumps(_hidden(value), ensure_ascii=False, sort_keys=True)


def _hidden(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        named = value.get("name") if "value" in value else None
        return {key: _hidden(item, str(named) if named and key == "value" else str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, name) for item in value]
    return masked(value) if isinstance(value, str) and judge(name, value) else value
