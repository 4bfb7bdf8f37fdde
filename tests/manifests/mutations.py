"""For every rule, the smallest change of the clean folder that breaks that rule and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mutations_cluster
import mutations_pods
from mutation_tools import Mutation

MUTATIONS: dict[str, Mutation] = mutations_cluster.MUTATIONS | mutations_pods.MUTATIONS


def _append(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / name
        file.write_text(file.read_text("utf-8") + text, "utf-8")

    return change


def _resource(line: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "base" / "kustomization.yaml"
        file.write_text(file.read_text().replace("resources:\n", f"resources:\n  - {line}\n"))

    return change


def _duplicate(folder: Path) -> None:
    file = folder / "base" / "roles.yaml"
    file.write_text(
        file.read_text().replace("metadata: {name: viewer}\nrules:", "metadata: {name: v, name: viewer}\nrules:")
    )


FILES: dict[str, Callable[[Path], None]] = {
    "common-labels": _append("overlays/production/kustomization.yaml", "commonLabels: {team: shop}\n"),
    "duplicate-key": _duplicate,
    "invalid-yaml": _append("base/roles.yaml", "---\na: [b\n"),
    "missing-file": _resource("nowhere.yaml"),
    "remote-base": _resource("https://github.com/example/base?ref=v1"),
    "render-failed": _append("overlays/production/kustomization.yaml", "namePrefx: a\n"),
}
