"""A service that runs in both runtimes: which of its sides a key can be meant for. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from devenv.core.model import Resource, Runtime, State
from devenv.tui.kube import cells
from devenv.tui.kube.groups import compose_words
from devenv.tui.kube.meant import PODS_OF, ROLLED, SCALED
from devenv.tui.screens.main import makes_sense

COMPOSE: Final = "compose"
KUBERNETES: Final = "kubernetes"
DONE_TO: Final = {"restart": "restart", "stop": "stop", "start": "start", "up": "bring up", "shell": "open a shell in"}


@dataclass(frozen=True, slots=True)
class Side:
    """One of them: `name` is what the user chooses, `words` how it is."""

    name: str
    words: str
    resource: Resource

    @property
    def in_cluster(self) -> bool:
        """Whether it is the cluster's."""
        return self.resource.runtime is Runtime.KUBERNETES


def sides(verb: str, compose: Iterable[Resource], cluster: Iterable[Resource]) -> list[Side]:
    """Return the sides on which the verb does something: Compose first, then each workload."""
    return [*_of_compose(verb, list(compose)), *_of_cluster(verb, cluster)]


def preferred(found: Iterable[Side], last: str) -> str:
    """Return the side to offer first: that of the runtime which was chosen last."""
    names = [side.name for side in found]
    return next((name for name in names if name.startswith(last)), names[0])


def runtime_of(name: str) -> str:
    """Return the runtime of a side by its name."""
    return name.partition(" ")[0]


def _of_compose(verb: str, compose: list[Resource]) -> Iterator[Side]:
    for resource in compose:
        if resource.service and (resource.state is State.RUNNING if verb == "shell" else makes_sense(verb, resource)):
            yield Side(COMPOSE, compose_words(compose), resource)
            return  # Compose does it to all replicas


def _of_cluster(verb: str, cluster: Iterable[Resource]) -> Iterator[Side]:
    for resource in cluster:
        wanted = resource.ready[1] if resource.ready is not None else 0
        fits = {
            "restart": resource.kind in ROLLED,
            "stop": resource.kind in SCALED and wanted > 0,
            "start": resource.kind in SCALED and wanted == 0,
            "shell": resource.kind in PODS_OF,
        }
        if fits.get(verb, False):
            words = f"{cells.state_cell(resource).text}  {resource.context}/{resource.namespace}"
            yield Side(f"{KUBERNETES} {resource.kind}/{resource.name}", words, resource)
