"""Deployments: a replica set for each template, moved between by the strategy, with the controller's conditions."""

from __future__ import annotations

import copy
import math
import time
from typing import TYPE_CHECKING

from devenv.backends.kube.kinds import DEPLOYMENTS, REPLICA_SETS
from fakes.api_server.pod_life import set_condition
from fakes.api_server.samples import owner_reference
from fakes.api_server.status import Object
from fakes.api_server.workloads import template_hash

if TYPE_CHECKING:
    from fakes.api_server.controllers import Controllers

REVISION = "deployment.kubernetes.io/revision"


def deployment(controllers: Controllers, content: Object) -> None:
    """Look once at one deployment."""
    sets = _sets(controllers, content)
    name = template_hash(content["spec"]["template"])
    current = next((one for one in sets if one["metadata"]["labels"].get("pod-template-hash") == name), None)
    if not content["spec"].get("paused"):
        if current is None:
            current = _new_set(controllers, content, name, sets)
        else:
            _revise(controllers, content, current, sets)
        old = [one for one in sets if one["metadata"]["uid"] != current["metadata"]["uid"]]
        if content["spec"].get("strategy", {}).get("type") == "Recreate":
            _recreate(controllers, content, current, old)
        else:
            _roll(controllers, content, current, old)
        _forget(controllers, content, old)
    _tell(controllers, content, name)


def _sets(controllers: Controllers, content: Object) -> list[Object]:
    uid = content["metadata"]["uid"]
    return [
        copy.deepcopy(entry.content)
        for entry in controllers.api.store.all(REPLICA_SETS, content["metadata"]["namespace"])
        if any(owner.get("uid") == uid for owner in entry.content["metadata"].get("ownerReferences") or [])
    ]


def revision_of(content: Object) -> int:
    return int((content["metadata"].get("annotations") or {}).get(REVISION, 0))


def _new_set(controllers: Controllers, content: Object, name: str, sets: list[Object]) -> Object:
    about, spec = content["metadata"], content["spec"]
    template = copy.deepcopy(spec["template"])
    labels = {**(template.setdefault("metadata", {}).get("labels") or {}), "pod-template-hash": name}
    template["metadata"]["labels"] = labels
    matched = {**(spec["selector"].get("matchLabels") or {}), "pod-template-hash": name}
    made = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{about['name']}-{name}",
            "namespace": about["namespace"],
            "labels": labels,
            "annotations": {REVISION: str(max((revision_of(one) for one in sets), default=0) + 1)},
            "ownerReferences": [owner_reference(content)],
        },
        "spec": {"replicas": 0, "selector": {"matchLabels": matched}, "template": template},
        "status": {"replicas": 0},
    }
    return controllers.save(REPLICA_SETS, made)


def _revise(controllers: Controllers, content: Object, current: Object, sets: list[Object]) -> None:
    """Count a template that is used again (an undo) as the newest revision."""
    newest = max(revision_of(one) for one in sets)
    if revision_of(current) < newest:
        current["metadata"]["annotations"][REVISION] = str(newest + 1)
        controllers.save(REPLICA_SETS, current)


def _recreate(controllers: Controllers, content: Object, current: Object, old: list[Object]) -> None:
    for one in old:
        _scale(controllers, content, one, 0)
    if not any(controllers.pods_of(one) for one in old):
        _scale(controllers, content, current, content["spec"].get("replicas", 1))


def _roll(controllers: Controllers, content: Object, current: Object, old: list[Object]) -> None:
    wanted = content["spec"].get("replicas", 1)
    limits = content["spec"].get("strategy", {}).get("rollingUpdate", {})
    surge = _part(limits.get("maxSurge", "25%"), wanted, math.ceil)
    missing = _part(limits.get("maxUnavailable", "25%"), wanted, math.floor)
    if not surge and not missing:
        missing = 1
    sized = sum(one["spec"].get("replicas", 0) for one in old)
    size = current["spec"].get("replicas", 0)
    _scale(controllers, content, current, min(wanted, max(size, wanted + surge - sized)) if sized else wanted)
    available = sum(one.get("status", {}).get("availableReplicas", 0) for one in (*old, current))
    # Unhealthy old pods go first: they serve nobody.
    spare = available - (wanted - missing)
    for one in old:
        broken = one["spec"].get("replicas", 0) - one.get("status", {}).get("availableReplicas", 0)
        size = one["spec"].get("replicas", 0)
        less = max(0, broken) + max(0, min(spare, size - max(0, broken)))
        spare -= max(0, less - max(0, broken))
        _scale(controllers, content, one, size - less)


def _part(value: object, whole: int, rounded: object) -> int:
    text = str(value)
    if text.endswith("%"):
        share = int(text[:-1]) * whole / 100
        return math.ceil(share) if rounded is math.ceil else math.floor(share)
    return int(text)


def _scale(controllers: Controllers, content: Object, one: Object, replicas: int) -> None:
    if one["spec"].get("replicas", 0) == replicas:
        return
    word = "up" if replicas > one["spec"].get("replicas", 0) else "down"
    told = f"Scaled {word} replica set {one['metadata']['name']} to {replicas}"
    one["spec"]["replicas"] = replicas
    controllers.save(REPLICA_SETS, one)
    controllers.tell(content, "ScalingReplicaSet", told, component="deployment-controller")


def _forget(controllers: Controllers, content: Object, old: list[Object]) -> None:
    empty = [one for one in old if not one["spec"].get("replicas") and not controllers.pods_of(one)]
    surplus = len(empty) - content["spec"].get("revisionHistoryLimit", 10)
    for one in sorted(empty, key=revision_of)[: max(0, surplus)]:
        controllers.api.operations.remove(REPLICA_SETS, one)


def _tell(controllers: Controllers, content: Object, name: str) -> None:
    sets = _sets(controllers, content)
    current = next((one for one in sets if one["metadata"]["labels"].get("pod-template-hash") == name), None)
    wanted, status = content["spec"].get("replicas", 1), content.setdefault("status", {})
    totals = {
        key: sum(one.get("status", {}).get(key, 0) for one in sets)
        for key in ("replicas", "readyReplicas", "availableReplicas")
    }
    updated = (current or {}).get("status", {}).get("replicas", 0)
    status |= totals | {
        "observedGeneration": content["metadata"].get("generation", 1),
        "updatedReplicas": updated,
        "unavailableReplicas": max(0, wanted - totals["availableReplicas"]),
    }
    if current is not None:
        content["metadata"].setdefault("annotations", {})[REVISION] = str(revision_of(current))
    least = wanted - _part(
        content["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable", "25%"), wanted, math.floor
    )
    enough = totals["availableReplicas"] >= least
    set_condition(
        status,
        "Available",
        enough,
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )
    failures = [item for one in sets for item in one.get("status", {}).get("conditions") or []]
    status["conditions"] = [item for item in status["conditions"] if item["type"] != "ReplicaFailure"]
    if failures:
        set_condition(status, "ReplicaFailure", True, failures[0]["reason"], failures[0]["message"])
    _progress(controllers, content, current, updated == wanted == totals["replicas"] == totals["availableReplicas"])
    controllers.save(DEPLOYMENTS, content)


def _progress(controllers: Controllers, content: Object, current: Object | None, complete: bool) -> None:
    status, shown = content["status"], (current or {}).get("metadata", {}).get("name", "")
    if content["spec"].get("paused"):
        set_condition(status, "Progressing", False, "DeploymentPaused", "Deployment is paused")
        return
    uid = content["metadata"]["uid"]
    facts = (shown, status["updatedReplicas"], status["readyReplicas"], status["availableReplicas"], status["replicas"])
    before = controllers.progressed.get(uid)
    if before is None or before[0] != facts:
        controllers.progressed[uid] = before = (facts, time.monotonic())
    if complete:
        told = f'ReplicaSet "{shown}" has successfully progressed.'
        set_condition(status, "Progressing", True, "NewReplicaSetAvailable", told)
    elif time.monotonic() - before[1] > content["spec"].get("progressDeadlineSeconds", 600):
        told = f'ReplicaSet "{shown}" has timed out progressing.'
        set_condition(status, "Progressing", False, "ProgressDeadlineExceeded", told)
    else:
        set_condition(status, "Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{shown}" is progressing.')
