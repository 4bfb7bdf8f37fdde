"""PodDisruptionBudgets: which of them hold a pod where it is, and why in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kinds import PDBS
from devenv.control.kube.selectors import matches
from devenv.core.text import sanitize


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget as its controller last counted it."""

    namespace: str
    name: str
    selector: Mapping[str, Any] | None
    allowed: int
    healthy: int
    needed: int
    rule: str

    @property
    def words(self) -> str:
        """Say what it allows now and why."""
        counts = f"{self.healthy} pods are healthy and {self.needed} must be"
        now = "no disruption" if not self.allowed else f"{self.allowed} disruption{'s' if self.allowed != 1 else ''}"
        return f"PodDisruptionBudget {self.name} ({self.rule}) allows {now} now: {counts}"


def read_budgets(client: KubeClient, namespace: str | None) -> tuple[Budget, ...]:
    """Return the budgets of a namespace, of all where None; raises KubeError."""
    items, _ = client.list(PDBS, namespace)
    return tuple(_budget(item) for item in items)


def budgets_of(pod: Mapping[str, Any], budgets: tuple[Budget, ...]) -> list[Budget]:
    """Return those that count this pod."""
    metadata = pod["metadata"]
    return [
        budget
        for budget in budgets
        if budget.namespace == metadata.get("namespace") and matches(budget.selector, metadata.get("labels") or {})
    ]


def _budget(item: Mapping[str, Any]) -> Budget:
    spec, status, metadata = item.get("spec") or {}, item.get("status") or {}, item["metadata"]
    kept = spec.get("minAvailable")
    rule = f"minAvailable {kept}" if kept is not None else f"maxUnavailable {spec.get('maxUnavailable', 1)}"
    return Budget(
        namespace=str(metadata.get("namespace")),
        name=sanitize(str(metadata["name"])),
        selector=spec.get("selector"),
        allowed=int(status.get("disruptionsAllowed") or 0),
        healthy=int(status.get("currentHealthy") or 0),
        needed=int(status.get("desiredHealthy") or 0),
        rule=sanitize(rule),
    )
