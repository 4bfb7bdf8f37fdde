"""Services of both runtimes: which resources belong together, and what they amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from devenv.core.model import Health, Resource, Runtime, State
from devenv.tui.kube.cells import WORKLOADS
from devenv.tui.kube.lines import Path

SHOWN_KINDS: Final = WORKLOADS | {"pod"}
LAST: Final = "\U0010ffff"  # what has no service stands after all that have one


class GroupKey(NamedTuple):
    """A service, and the namespace where that is not the one whose services are the Compose project's too."""

    service: str
    namespace: str


@dataclass(slots=True)
class Group:
    """The members of one service by their place; a place is the path of the member's line."""

    key: GroupKey
    compose: dict[Path, str] = field(default_factory=dict)
    workloads: dict[Path, str] = field(default_factory=dict)
    pods: dict[Path, str] = field(default_factory=dict)
    restarts: int = 0  # of the pods together

    @property
    def has_line(self) -> bool:
        """Whether it is one line that opens; else its members are lines by themselves."""
        return bool(self.workloads) or (bool(self.compose) and bool(self.pods))

    @property
    def joint(self) -> bool:
        """Whether it runs in both runtimes."""
        return bool(self.compose) and bool(self.workloads or self.pods)

    @property
    def alone(self) -> str:
        """The key of the one workload that its line stands for; "" where it stands for more."""
        return next(iter(self.workloads.values())) if len(self.workloads) == 1 and not self.compose else ""

    @property
    def empty(self) -> bool:
        """Whether nothing is left of it."""
        return not (self.compose or self.workloads or self.pods)

    def members(self) -> list[Path]:
        """Return the lines below its own, or those that stand for it where it has none."""
        workloads = () if self.alone else self.workloads
        return [*self.compose, *workloads, *self.pods]

    def place(self, resource: Resource) -> dict[Path, str]:
        """Return the shelf that a resource of a cluster belongs to."""
        return self.pods if resource.kind == "pod" else self.workloads


def belongs(resource: Resource) -> bool:
    """Whether a resource of a cluster has a line in the table of services."""
    if resource.runtime is not Runtime.KUBERNETES or resource.kind not in SHOWN_KINDS:
        return False
    # Replica sets and jobs that somebody owns are steps of their owner: their pods tell what there is to tell.
    return resource.kind not in ("replicaset", "job") or not resource.owner


def worst(healths: list[Health]) -> Health:
    """Return the one that matters most."""
    order = (Health.UNHEALTHY, Health.STARTING, Health.HEALTHY)
    return next((health for health in order if health in healths), Health.NONE)


def compose_words(resources: Sequence[Resource]) -> str:
    """Return the Compose side of a joint line: a glyph, and numbers where there are several."""
    up = sum(resource.state is State.RUNNING for resource in resources)
    glyph = "●" if up and up == len(resources) else "◐" if up else "○"
    return f"{glyph} {up}/{len(resources)}" if len(resources) > 1 else glyph
