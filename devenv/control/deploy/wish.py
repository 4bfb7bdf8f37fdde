"""What is asked of a deployment, and everything that it works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.control.deploy.prepare import Rendition
from devenv.control.deploy.records import Outcome, Prover
from devenv.control.deploy.shipping import Dock
from devenv.control.kube.wait import Patience, Waiting


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of one deployment; `wait` is implied by `verify`, `rollback` and `prune`."""

    overlay: str
    wait: bool = False
    verify: bool = False
    rollback: bool = False
    dry_run: bool = False
    build: bool = True
    push: bool = False
    prune: bool = False
    prune_data: bool = False
    include_platform: bool = False
    force_conflicts: bool = False
    namespace: str = ""  # the command line's, "" where it names none
    images: tuple[str, ...] = ()  # NAME=REF
    patience: Patience = field(default_factory=Patience)

    @property
    def waits(self) -> bool:
        """Whether the rollout is waited for."""
        return self.wait or self.verify or self.rollback or self.prune


@dataclass(frozen=True, slots=True)
class Rig:
    """What a deployment works with, so that each part can be another one in a test.

    `prover` makes what looks through the cluster for the objects that are deployed; None: no endpoint is known.
    `confirm` is shown the changes and raises Refused; `waiting` is told how far a rollout is.
    """

    client: KubeClient
    render: Callable[[], Rendition]
    state: Path
    dock: Callable[[], Dock] = Dock
    prover: Callable[[Sequence[dict[str, Any]], str], Prover] | None = None
    confirm: Callable[[Outcome], None] = lambda outcome: None
    waiting: Callable[[Waiting], None] = lambda waiting: None
