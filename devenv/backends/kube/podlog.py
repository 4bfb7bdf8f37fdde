"""A pod as its log readers see it: which containers there are, how often each ran, and how its last run ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.parse.common import mapping, mappings, number, time_of, word
from devenv.backends.kube.parse.container import end_words, last_end


@dataclass(frozen=True, slots=True)
class Run:
    """How one container of a pod is now; `restarts` numbers its runs."""

    restarts: int
    running: bool
    ended: bool  # it has ended, now or before the present run
    end: str  # in words
    ended_at: float | None
    over: bool  # the pod has ended, or is an init container's work done: it will not run again


def container_names(pod: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all containers of a pod's object: init first, then those of its life, then debug containers."""
    spec = mapping(pod.get("spec"))
    lists = ("initContainers", "containers", "ephemeralContainers")
    return tuple(word(item.get("name")) for name in lists for item in mappings(spec.get(name)))


def run_of(pod: Mapping[str, Any], container: str) -> Run:
    """Return how that container is, from the pod's object."""
    status = mapping(pod.get("status"))
    lists = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    found = mapping(
        next((item for name in lists for item in mappings(status.get(name)) if item.get("name") == container), None)
    )
    state, ended = mapping(found.get("state")), last_end(found)
    done = mapping(state.get("terminated"))
    is_init = any(item.get("name") == container for item in mappings(status.get("initContainerStatuses")))
    return Run(
        restarts=number(found.get("restartCount")),
        running=bool(state.get("running")),
        ended=bool(ended),
        end=end_words(ended) if ended else "",
        ended_at=time_of(ended.get("finishedAt")),
        over=status.get("phase") in ("Succeeded", "Failed")
        or (is_init and bool(done) and number(done.get("exitCode")) == 0),
    )
