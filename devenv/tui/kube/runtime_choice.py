"""A service that runs in both runtimes: in which of them a key can be meant. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from devenv.core.model import Resource, Runtime, State
from devenv.tui.action_table import BY_NAME, makes_sense
from devenv.tui.kube import cells
from devenv.tui.kube.groups import compose_words

COMPOSE: Final = "compose"
KUBERNETES: Final = "kubernetes"
DONE_TO: Final = {"restart": "restart", "stop": "stop", "start": "start", "up": "bring up", "shell": "open a shell in"}


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """One of them: `name` is what the user chooses, `words` how the service is there."""

    name: str
    words: str
    resource: Resource

    @property
    def in_cluster(self) -> bool:
        """Whether it is that of the cluster."""
        return self.resource.runtime is Runtime.KUBERNETES


def choices(verb: str, compose: Iterable[Resource], cluster: Iterable[Resource]) -> list[RuntimeChoice]:
    """Return where the verb does something: Compose first, then each workload."""
    return [*_of_compose(verb, list(compose)), *_of_cluster(verb, cluster)]


def preferred(found: Iterable[RuntimeChoice], last: str) -> str:
    """Return the choice to offer first: that of the runtime which was chosen last."""
    names = [choice.name for choice in found]
    return next((name for name in names if name.startswith(last)), names[0])


def runtime_of(name: str) -> str:
    """Return the runtime of a choice by its name."""
    return name.partition(" ")[0]


def _of_compose(verb: str, compose: list[Resource]) -> Iterator[RuntimeChoice]:
    for resource in compose:
        if resource.service and (resource.state is State.RUNNING if verb == "shell" else makes_sense(verb, resource)):
            yield RuntimeChoice(COMPOSE, compose_words(compose), resource)
            return  # Compose does it to all replicas


def _of_cluster(verb: str, cluster: Iterable[Resource]) -> Iterator[RuntimeChoice]:
    for resource in cluster:
        pods = resource.ready[1] if resource.ready is not None else 0
        fits = {"stop": pods > 0, "start": pods == 0}.get(verb, True)
        if fits and resource.kind in BY_NAME[verb].kinds:
            words = f"{cells.state_cell(resource).text}  {resource.context}/{resource.namespace}"
            yield RuntimeChoice(f"{KUBERNETES} {resource.kind}/{resource.name}", words, resource)
