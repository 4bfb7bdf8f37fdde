"""The objects that an overlay is made of, rendered as `kubectl apply -k` would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devenv.config import Config
from devenv.errors import ProjectError, UsageError
from devenv.manifests.render import render
from devenv.manifests.tree import read_tree

Object = dict[str, Any]


def overlay_folder(config: Config, name: str) -> Path:
    """Return the folder of an overlay of devenv.toml, or of a folder's path; raises UsageError with the names."""
    known = {overlay.name: overlay.path for overlay in config.manifests.overlays}
    if name in known:
        return known[name]
    folder = (config.root or Path.cwd()) / name
    if name and folder.is_dir():
        return folder
    names = ", ".join(known) or "none"
    said = f"There is no overlay {name!r}" if name else "It is not said which overlay is tested on Kubernetes"
    raise UsageError(said, f"Name one in devenv.toml: [verify.kubernetes] overlay; [manifests.overlays] has: {names}.")


def read_overlay(folder: Path, environ: Mapping[str, str]) -> list[Object]:
    """Render the folder; raises UsageError, ToolMissing, and ProjectError with what kustomize says."""
    rendered = render(read_tree(folder), environ)
    if rendered.problems:
        first = rendered.problems[0]
        raise ProjectError(f"{folder} cannot be rendered: {first.message}", f"Try: devenv manifests check {folder}")
    return [dict(manifest.data) for manifest in rendered.manifests]
