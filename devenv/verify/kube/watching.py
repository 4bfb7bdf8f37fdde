"""What records a namespace: the reader that the terminal has too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from devenv.backends.kube.backend import KubeBackend
from devenv.core.model import Project, Service
from devenv.verify.kube.source import KubeSource
from devenv.verify.recorder import Recorder

RECORDED: Final = ("pod",)  # kinds that have logs


def record(source: KubeSource, namespace: str, workloads: Iterable[str], run: str, path: Path) -> Recorder:
    """Return the recorder of a namespace, not started."""
    target = replace(source.target, namespace=namespace)
    project = Project(namespace, "", (), tuple(Service(name) for name in workloads))
    environ: Mapping[str, str] = source.environ
    return Recorder(path, run, project, environ, KubeBackend(target, environ), RECORDED)
