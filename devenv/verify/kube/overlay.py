"""The objects that an overlay is made of, rendered as `kubectl apply -k` would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from devenv.core.errors import ProjectError, UsageError
from devenv.core.settings import Config
from devenv.manifests.render import render
from devenv.manifests.tree import read_tree

Object = dict[str, Any]


# https://github.com/kubernetes-sigs/kustomize, api/konfig: the recognized names
_FILES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def is_kustomization(folder: Path) -> bool:
    """Whether Kustomize can render the folder."""
    return any((folder / name).is_file() for name in _FILES)


def overlay_folder(config: Config, name: str, root: Path) -> Path:
    """Return the folder of an overlay of devenv.toml, or of a path from the root; raises UsageError with the names."""
    known = config.manifests.overlays
    if name in known:
        return known[name].path
    folder = root / name
    if name and folder.is_dir():
        return folder
    names = ", ".join(known) or "none"
    said = f"There is no overlay {name!r}" if name else "It is not said which overlay is tested on Kubernetes"
    hint = (
        f"Name one with --overlay, or in devenv.toml: [verify.kubernetes] overlay. [manifests.overlays] has: {names}."
    )
    raise UsageError(said, hint)


def read_overlay(folder: Path, environ: Mapping[str, str]) -> list[Object]:
    """Render the folder; raises UsageError, ToolMissing, and ProjectError with what kustomize says."""
    rendered = render(read_tree(folder), environ)
    if rendered.problems:
        first = rendered.problems[0]
        raise ProjectError(f"{folder} cannot be rendered: {first.message}", f"Try: devenv manifests check {folder}")
    return [dict(manifest.data) for manifest in rendered.manifests]
