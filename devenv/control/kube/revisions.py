"""The revisions of a workload that the cluster keeps: ReplicaSets of a Deployment, else ControllerRevisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kinds import DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, Kind
from devenv.control.kube.refs import Ref
from devenv.control.kube.selectors import label_selector
from devenv.core.errors import UsageError
from devenv.core.text import sanitize

CONTROLLER_REVISIONS = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
ROLLED = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
_REVISION = "deployment.kubernetes.io/revision"
_CAUSE = "kubernetes.io/change-cause"
_HASH = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: `template` is the pod template that undo brings back. `current`: the one that is wanted now."""

    number: int
    current: bool
    created: str
    images: tuple[str, ...]
    cause: str
    template: Mapping[str, Any]
    replicas: int | None = None  # pods of it now; None where the object does not tell


def revisions_of(client: KubeClient, ref: Ref, workload: Mapping[str, Any]) -> list[Revision]:
    """Return the revisions, newest first. Raises UsageError for kinds that have none, and KubeError."""
    check_rolled(ref)
    selector = label_selector((workload.get("spec") or {}).get("selector") or {})
    kind = REPLICA_SETS if ref.kind == DEPLOYMENTS else CONTROLLER_REVISIONS
    items, _ = client.list(kind, ref.namespace, labels=selector)
    uid = workload["metadata"].get("uid")
    mine = [
        item for item in items if any(one.get("uid") == uid for one in item["metadata"].get("ownerReferences") or ())
    ]
    make = _of_replica_set if ref.kind == DEPLOYMENTS else _of_controller_revision
    newest = max((_number(item) for item in mine), default=0)
    found = [make(item, current=_number(item) == newest) for item in mine]
    return sorted(found, key=lambda revision: revision.number, reverse=True)


def check_rolled(ref: Ref) -> None:
    """Raise UsageError for a kind that nothing rolls out."""
    if ref.kind not in ROLLED:
        raise UsageError(f"A {ref.kind.name} is not rolled out", "Deployments, StatefulSets and DaemonSets are.")


def _number(item: Mapping[str, Any]) -> int:
    annotated = (item["metadata"].get("annotations") or {}).get(_REVISION)
    return int(annotated or item.get("revision") or 0)


def _of_replica_set(item: Mapping[str, Any], *, current: bool) -> Revision:
    template = dict((item.get("spec") or {}).get("template") or {})
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != _HASH}
    template["metadata"] = metadata
    replicas = int((item.get("status") or {}).get("replicas") or 0)
    return _revision(item, template, current=current, replicas=replicas)


def _of_controller_revision(item: Mapping[str, Any], *, current: bool) -> Revision:
    template = dict(((item.get("data") or {}).get("spec") or {}).get("template") or {})
    template.pop("$patch", None)  # it is stored as a patch that replaces the template
    return _revision(item, template, current=current, replicas=None)


def _revision(item: Mapping[str, Any], template: Mapping[str, Any], *, current: bool, replicas: int | None) -> Revision:
    metadata = item["metadata"]
    containers = (template.get("spec") or {}).get("containers") or ()
    return Revision(
        number=_number(item),
        current=current,
        created=sanitize(str(metadata.get("creationTimestamp") or "")),
        images=tuple(sanitize(str(one.get("image"))) for one in containers),
        cause=sanitize(str((metadata.get("annotations") or {}).get(_CAUSE) or "")),
        template=template,
        replicas=replicas,
    )
