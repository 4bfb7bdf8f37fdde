"""Kustomize folders written for one test, and what the check says of them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from devenv.manifests.check import Outside, check
from devenv.manifests.model import TargetReport
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / {"kustomization": "kustomization.yaml"}.get(name, name.replace("__", "/") + ".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), "utf-8")
    return folder


def check_folder(folder: Path) -> TargetReport:
    report = check([Target(folder.name, folder)], choose_versions(()), Outside(folder))
    return report.targets[0]
