"""Field conflicts of server-side apply, in words: who owns the field, since when, and what can be done.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from devenv.core.text import sanitize

_REPLICAS = ".spec.replicas"
_BY_HAND = {
    "kubectl-edit": "edited by hand (kubectl edit)",
    "kubectl-patch": "patched by hand (kubectl patch)",
    "kubectl-set": "set by hand (kubectl set)",
    "kubectl-scale": "scaled by hand",
    "kubectl-label": "labelled by hand",
    "kubectl-annotate": "annotated by hand",
    "kubectl-rollout": "changed by a rollout command",
    "devenv-edit": "edited by hand (an older devenv)",
    "devenv-scale": "scaled by hand (devenv)",
    "devenv-undo": "set back by hand (devenv kube rollout undo)",
    "devenv-rollout": "restarted or paused by hand (devenv kube rollout)",
}
_TOOLS = {"helm": "Helm", "argocd-controller": "Argo CD", "kustomize-controller": "Flux", "helm-controller": "Flux"}


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field of the object that another manager owns with another value. `since` is the server's time, or ""."""

    manager: str
    field: str
    since: str = ""

    @property
    def explanation(self) -> str:
        """Who owns the field, in words."""
        since = f" since {self.since}" if self.since else ""
        return f"{self.field} is {_owner(self.manager)}{since}"

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.field == _REPLICAS and self.manager in ("kube-controller-manager", "kubectl-scale", "devenv-scale"):
            return "Leave replicas out of the manifest, so that the autoscaler or `scale` keeps them."
        if self.manager in _TOOLS:
            return f"Change it where {_TOOLS[self.manager]} takes it from: forced, it would be changed back."
        return "Write the wanted value into the manifest, or take the field over with --force-conflicts."


def find_conflicts(
    causes: Iterable[tuple[str, str]], live: Mapping[str, Any] | None = None
) -> tuple[FieldConflict, ...]:
    """Return the conflicts that the server named, with the time of the owner's last write from `live`."""
    times = {}
    for entry in ((live or {}).get("metadata") or {}).get("managedFields") or ():
        times[str(entry.get("manager"))] = str(entry.get("time") or "")
    return tuple(
        FieldConflict(sanitize(manager), sanitize(field), sanitize(times.get(manager, ""))) for manager, field in causes
    )


def _owner(manager: str) -> str:
    if manager in _BY_HAND:
        return f"owned by {manager}: {_BY_HAND[manager]}"
    if manager == "kubectl-client-side-apply":
        return "owned by kubectl-client-side-apply: applied before with kubectl apply"
    if manager == "kube-controller-manager":
        return "owned by kube-controller-manager: set by a controller, as an autoscaler does"
    if manager in _TOOLS:
        return f"owned by {manager} ({_TOOLS[manager]})"
    return f"owned by {manager or 'an unnamed manager'}"
