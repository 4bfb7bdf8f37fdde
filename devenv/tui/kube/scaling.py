"""How autoscalers went over time: kept while devenv runs, since the cluster itself keeps only the present."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from devenv.core.model import Resource, Scaling
from devenv.core.state import Store

# Two hours of the controller's 15 s (kube-controller-manager, --horizontal-pod-autoscaler-sync-period).
KEPT: Final = 480


class ScalingHistory:
    """The newest moments of each autoscaler."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Scaling]] = {}

    def take(self, scalings: Iterable[Scaling]) -> None:
        """Keep these moments."""
        for scaling in scalings:
            self._kept.setdefault(scaling.key, deque(maxlen=KEPT)).append(scaling)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the autoscalers that were heard of."""
        return tuple(self._kept)

    def of(self, key: str) -> tuple[Scaling, ...]:
        """Return the moments of that autoscaler, oldest first."""
        return tuple(self._kept.get(key, ()))

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


def autoscaler(resource: Resource, store: Store, history: ScalingHistory) -> str | None:
    """Return the key of the autoscaler that a workload has, or of the one that the resource is."""
    if resource.kind == "horizontalpodautoscaler":
        return resource.key
    for key in history.keys:
        scaler, scaling = store.resource(key), store.scaling(key)
        if scaler is None or scaling is None or scaler.namespace != resource.namespace:
            continue
        if scaling.target.casefold() == f"{resource.kind}/{resource.name}":
            return key
    return None
