"""Where a deployment can go back to: the last revision that succeeded, else what ran before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from devenv.control.deploy.ledger import Ledger
from devenv.control.deploy.revisions import LocalRevisions, Revision, trusted


@dataclass(frozen=True, slots=True)
class WayBack:
    """What is applied to go back, what shall run then, and how it is called; no objects: there is no way back."""

    name: str = ""
    objects: tuple[dict[str, Any], ...] = ()
    digests: Mapping[str, str] | None = None
    revision: Revision | None = None

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return bool(self.objects)


def last_good(
    ledger: Ledger, local: LocalRevisions, rendered: Sequence[Mapping[str, Any]], namespace: str
) -> Revision | None:
    """Return the last revision that succeeded: the cluster knows which, this machine's copy of it is preferred."""
    in_cluster = ledger.last()
    here = local.find(in_cluster.id) if in_cluster is not None else local.newest()
    if here is not None:
        return here
    return trusted(in_cluster, rendered, namespace) if in_cluster is not None else None


def way_back(
    good: Revision | None,
    rendered: Sequence[Mapping[str, Any]],
    before: Mapping[tuple[str, str, str], Mapping[str, Any]],
    digests_before: Mapping[str, str],
) -> WayBack:
    """Choose: a recorded revision with all its objects, else each Deployment's pod template as it was before.

    `before` has the live workloads as they were. A template of before finds its old ReplicaSet, as `kubectl rollout
    undo` does; it is applied inside the rendered object, so that the fields keep their one owner.
    """
    if good is not None and good.objects:
        return WayBack(f"revision {good.id}", good.objects, good.digests, good)
    found = []
    for item in rendered:
        metadata = item.get("metadata") or {}
        live = before.get(("deployment", str(metadata.get("namespace", "")), str(metadata.get("name", ""))))
        if item.get("kind") == "Deployment" and live is not None:
            copy = deepcopy(dict(item))
            copy["spec"]["template"] = deepcopy(dict((live.get("spec") or {}).get("template") or {}))
            found.append(copy)
    return WayBack("what ran before", tuple(found), digests_before) if found else WayBack()
