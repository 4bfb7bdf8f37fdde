"""Objects read from where people keep them: YAML files and folders, standard input, Kustomize folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from devenv.core.errors import UsageError
from devenv.core.text import sanitize

_ENDINGS = (".yaml", ".yml", ".json")


def read_files(names: tuple[str, ...], stdin: IO[str]) -> list[dict[str, Any]]:
    """Return the objects of the files, folders ("-": standard input); raises UsageError that names file and line."""
    found: list[dict[str, Any]] = []
    for name in names:
        if name == "-":
            found += parse_objects(stdin.read(), "standard input")
            continue
        path = Path(name)
        files = sorted(item for item in path.iterdir() if item.suffix in _ENDINGS) if path.is_dir() else [path]
        if path.is_dir() and any(item.name.startswith("kustomization") for item in files):
            raise UsageError(f"{sanitize(name)} is a Kustomize folder", f"Apply it with -k {sanitize(name)}")
        for file in files:
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"Cannot read {sanitize(str(file))}: {error}", "Name a YAML file.") from error
            found += parse_objects(text, str(file))
    if not found:
        raise UsageError("There is nothing to apply", f"No objects in {sanitize(', '.join(names))}")
    return found


def read_kustomize(folder: str, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what kustomize makes of a folder; raises UsageError, and ToolMissing without kubectl."""
    from devenv.manifests.render import render
    from devenv.manifests.tree import read_tree

    path = Path(folder)
    if not path.is_dir():
        raise UsageError(f"There is no folder {sanitize(folder)}", "Name a Kustomize folder, as k8s/overlays/dev.")
    rendered = render(read_tree(path), environ)
    if rendered.problems:
        problem = rendered.problems[0]
        raise UsageError(f"{sanitize(folder)} cannot be rendered: {problem.message}", "See: devenv manifests check")
    if rendered.notes:
        raise UsageError(f"{sanitize(folder)} lacks a file: {'; '.join(rendered.notes)}", "Examples are not applied.")
    return [dict(manifest.data) for manifest in rendered.manifests]


def parse_objects(text: str, name: str) -> list[dict[str, Any]]:
    """Return the objects of a YAML text; raises UsageError with the name and the line."""
    from devenv.manifests.yamlread import YamlError, read_documents

    shown = sanitize(name)
    try:
        documents = read_documents(text)
    except YamlError as error:
        where = f", line {error.line}" if error.line else ""
        raise UsageError(f"{shown}{where}: {sanitize(error.message)}", "Correct the YAML.") from error
    for document in documents:
        if not isinstance(document.data, dict):
            raise UsageError(f"{shown}, line {document.node.start_mark.line + 1}: this is no object", "Correct it.")
    return [document.data for document in documents]
