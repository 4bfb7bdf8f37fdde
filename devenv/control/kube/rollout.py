"""Rollouts of Deployments, StatefulSets and DaemonSets: restart, undo, pause, resume; and their scale.

The revisions that the cluster keeps: ReplicaSets of a Deployment, else ControllerRevisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import NotFound
from devenv.backends.kube.kinds import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    HPAS,
    JOBS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Kind,
)
from devenv.backends.kube.pod import HASH
from devenv.backends.kube.workload import REVISION, progress_of, read_workload
from devenv.control.kube.apply import diff_lines
from devenv.control.kube.change import (
    Call,
    Impact,
    Ref,
    label_selector,
    last_ready,
    local_volumes,
    losses_with,
    pods_in,
)
from devenv.core.errors import UsageError
from devenv.core.text import sanitize

CONTROLLERREVISIONS = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
ROLLED = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
_RUN_AGAIN = (JOBS, CRON_JOBS)
_CAUSE = "kubernetes.io/change-cause"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: `template` is the pod template that undo brings back. `current`: the one that is in place now."""

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
    kind = REPLICA_SETS if ref.kind == DEPLOYMENTS else CONTROLLERREVISIONS
    items, _ = client.list(kind, ref.namespace, labels=selector)
    uid = workload["metadata"].get("uid")
    mine = [
        item for item in items if any(one.get("uid") == uid for one in item["metadata"].get("ownerReferences") or ())
    ]
    make = _of_replica_set if ref.kind == DEPLOYMENTS else _of_controller_revision
    newest = max((_number(item) for item in mine), default=0)
    revisions = [make(item, current=_number(item) == newest) for item in mine]
    return sorted(revisions, key=lambda revision: revision.number, reverse=True)


def check_rolled(ref: Ref) -> None:
    """Raise UsageError for a kind that nothing rolls out."""
    if ref.kind not in ROLLED:
        raise UsageError(f"A {ref.kind.name} has no rollout", "Deployments, StatefulSets and DaemonSets have one.")


def _number(item: Mapping[str, Any]) -> int:
    annotated = (item["metadata"].get("annotations") or {}).get(REVISION)
    return int(annotated or item.get("revision") or 0)


def _of_replica_set(item: Mapping[str, Any], *, current: bool) -> Revision:
    template = dict((item.get("spec") or {}).get("template") or {})
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
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


MANAGER = "devenv-rollout"
UNDO_MANAGER = "devenv-undo"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"  # kubectl's own, so that both tools restart in the same way
_STRATEGIC = "application/strategic-merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


def status_words(ref: Ref, workload: Mapping[str, Any]) -> str:
    """Say how far the rollout is: "rolled out", or what is missing; raises UsageError for other kinds."""
    check_rolled(ref)
    progress = progress_of(read_workload(ref.kind.name.lower(), workload))
    troubles = "; ".join(f"{one.reason}: {one.text}" for one in progress.troubles)
    counts = f"{progress.ready} of {progress.desired} pods ready"
    if progress.done:
        return f"rolled out, {counts}"
    return ", ".join(filter(None, (progress.words or "not rolled out", troubles, counts)))


def survey_restart(call: Call) -> Impact:
    """Say how the pods are replaced, and what that takes away where nothing serves meanwhile."""
    replaced = []
    for ref in call.refs:
        if ref.kind in _RUN_AGAIN:
            ref.read(call.client)
            what = "Runs" if ref.kind == CRON_JOBS else "Runs again"
            replaced.append(Impact((f"{what} {ref.text}, as a job of a new name; what ran before stays.",)))
            continue
        workload = _rolled(call, ref)
        spec = workload.get("spec") or {}
        if spec.get("paused"):
            raise UsageError(f"{ref.text} is paused, so it would not restart", "First: devenv kubectl rollout resume")
        replaced.append(_replacing(call, ref, workload, f"Replaces every pod of {ref.text}, {_how(spec)}."))
    return _together(replaced)


def restart(call: Call) -> str:
    """Write a new annotation into the pod template, as `kubectl rollout restart` does: the pods are replaced."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    for ref in call.refs:
        if ref.kind in _RUN_AGAIN:
            body = again(ref.read(call.client), ref, f"{datetime.now(UTC):%H%M%S%f}"[:9])
            call.client.request("POST", JOBS.path(ref.namespace), body=body)
            call.step(ref, f"Runs as job/{body['metadata']['name']}")
            continue
        body = {"spec": {"template": {"metadata": {"annotations": {_RESTARTED: at}}}}}
        _patch(call, ref, body, _STRATEGIC, MANAGER)
        call.step(ref, "Restarting")
    return ""


def again(item: Mapping[str, Any], ref: Ref, suffix: str) -> dict[str, Any]:
    """Return a job that does once more what a job did, or what a cron job does, as `kubectl create job --from` does."""
    source = item["spec"]["jobTemplate"] if ref.kind == CRON_JOBS else item
    metadata, spec = source.get("metadata") or {}, dict(source["spec"])
    for key in ("selector", "manualSelector", "suspend"):
        spec.pop(key, None)  # the controller selects by labels of its own
    template = dict(spec["template"])
    template["metadata"] = {**(template.get("metadata") or {}), "labels": _own_labels(template.get("metadata") or {})}
    annotations = {"cronjob.kubernetes.io/instantiate": "manual"} if ref.kind == CRON_JOBS else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{ref.name[:53].rstrip('-.')}-{suffix}",  # at most 63 characters, as a label may have
            "namespace": ref.namespace,
            "labels": _own_labels(metadata),
            "annotations": annotations,
        },
        "spec": {**spec, "template": template},
    }


def _own_labels(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels but for those by which the controller finds the pods of one job."""
    labels = metadata.get("labels") or {}
    return {key: value for key, value in labels.items() if key.rpartition("/")[2] not in ("controller-uid", "job-name")}


def survey_pause(call: Call) -> Impact:
    """Say what a pause keeps back."""
    for ref in call.refs:
        _only_deployments(ref)
    return Impact(tuple(f"Changes of {ref.text} are kept back until it is resumed." for ref in call.refs))


def survey_resume(call: Call) -> Impact:
    """Say what a resume sets going."""
    for ref in call.refs:
        _only_deployments(ref)
    return Impact(tuple(f"Rolls out what changed in {ref.text} since it was paused." for ref in call.refs))


def pause(call: Call) -> str:
    """Pause the rollouts."""
    return _set_paused(call, paused=True)


def resume(call: Call) -> str:
    """Resume the rollouts."""
    return _set_paused(call, paused=False)


def history(call: Call, ref: Ref) -> list[Revision]:
    """Return the kept revisions, newest first."""
    return revisions_of(call.client, ref, _rolled(call, ref))


def survey_undo(call: Call) -> Impact:
    """Say which revision comes back and how it differs; raises UsageError where there is none."""
    replaced = []
    for ref in call.refs:
        workload = _rolled(call, ref)
        revision = _asked_for(call, ref, workload)
        now = (workload.get("spec") or {}).get("template") or {}
        sentences = [f"Brings back revision {revision.number} of {ref.text} ({', '.join(revision.images)})."]
        sentences += diff_lines({"metadata": {}, "template": now}, {"metadata": {}, "template": revision.template})
        sentences.append(f"Its pods are replaced, {_how(workload.get('spec') or {})}.")
        replaced.append(_replacing(call, ref, workload, *sentences))
    return _together(replaced)


def undo(call: Call) -> str:
    """Put the template of an earlier revision (option `revision`; default: the one before) in its place."""
    for ref in call.refs:
        workload = _rolled(call, ref)
        revision = _asked_for(call, ref, workload)
        body = [
            # Refused when somebody changed the object after it was looked at (RFC 6902, `test`).
            {"op": "test", "path": "/metadata/resourceVersion", "value": workload["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/spec/template", "value": revision.template},
        ]
        _patch(call, ref, body, _JSON_PATCH, UNDO_MANAGER)
        call.step(ref, "Set back", details=f"revision {revision.number}")
    return ""


def _asked_for(call: Call, ref: Ref, workload: Mapping[str, Any]) -> Revision:
    if (workload.get("spec") or {}).get("paused"):
        raise UsageError(f"{ref.text} is paused, so it would not go back", "First: devenv kubectl rollout resume")
    revisions = revisions_of(call.client, ref, workload)
    number = call.options.get("revision", "")
    numbers = ", ".join(str(one.number) for one in revisions) or "none"
    if number and number != "0":
        match = next((one for one in revisions if str(one.number) == number), None)
        if match is None:
            raise UsageError(f"{ref.text} has no revision {number}", f"Revisions that are kept: {numbers}")
        if match.current:
            raise UsageError(
                f"Revision {number} of {ref.text} is the current one", f"Revisions that are kept: {numbers}"
            )
        return match
    earlier = [one for one in revisions if not one.current]
    if not earlier:
        raise UsageError(f"{ref.text} has no earlier revision", "Nothing was rolled out since it was created.")
    return earlier[0]


def _set_paused(call: Call, *, paused: bool) -> str:
    for ref in call.refs:
        _only_deployments(ref)
        before = bool((ref.read(call.client).get("spec") or {}).get("paused"))
        _patch(call, ref, {"spec": {"paused": paused}}, _STRATEGIC, MANAGER)
        call.step(ref, ("Paused" if paused else "Resumed") + (" already" if before == paused else ""))
    return ""


def _patch(call: Call, ref: Ref, body: object, content_type: str, manager: str) -> None:
    call.client.request("PATCH", ref.path(), query={"fieldManager": manager}, body=body, content_type=content_type)


def _rolled(call: Call, ref: Ref) -> dict[str, Any]:
    check_rolled(ref)
    return ref.read(call.client)


def _only_deployments(ref: Ref) -> None:
    if ref.kind != DEPLOYMENTS:
        raise UsageError(f"{ref.text} cannot be paused", "Only the rollout of a Deployment can.")


def _replacing(call: Call, ref: Ref, workload: Mapping[str, Any], *sentences: str) -> Impact:
    """Weigh that all pods are replaced. Asked is only where nothing serves meanwhile: else every restart would ask."""
    spec = workload.get("spec") or {}
    if not _has_gap(spec):
        local = local_volumes(((spec.get("template") or {}).get("spec")) or {})
        return Impact((*sentences, *([f"Its pods lose their local data: {local}."] if local else [])))
    pods = pods_in(call.client, ref.namespace, labels=label_selector(spec.get("selector") or {}))
    serving = last_ready(call.client, pods)
    return Impact((*sentences, *serving), losses_with(pods), confirm=bool(serving))


def _together(impacts: list[Impact]) -> Impact:
    return Impact(
        tuple(sentence for one in impacts for sentence in one.sentences),
        tuple(loss for one in impacts for loss in one.losses),
        confirm=any(one.confirm for one in impacts),
    )


def _has_gap(spec: Mapping[str, Any]) -> bool:
    """Whether nothing serves while the pods are replaced."""
    if "updateStrategy" in spec:
        return spec.get("replicas") == 1 and spec["updateStrategy"].get("type") != "OnDelete"
    strategy, replicas = spec.get("strategy") or {}, int(spec.get("replicas") or 0)
    if strategy.get("type") == "Recreate":
        return True
    away = str((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 0))
    unavailable = replicas * int(away[:-1]) // 100 if away.endswith("%") else int(away)
    return 0 < replicas <= unavailable


def _how(spec: Mapping[str, Any]) -> str:
    strategy = spec.get("strategy") or spec.get("updateStrategy") or {}
    kind = strategy.get("type", "RollingUpdate")
    if kind == "Recreate":
        return "all at once: nothing serves until the new ones are ready (strategy Recreate)"
    if kind == "OnDelete":
        return "but only when they are deleted (strategy OnDelete)"
    if _has_gap(spec) and "strategy" in spec:
        return "all at once: nothing serves until the new ones are ready (maxUnavailable)"
    if _has_gap(spec):
        return "one after the other: with one replica nothing serves for a moment"
    return "some at a time"


SCALE_MANAGER = "devenv-scale"
_SYNC = (
    15  # seconds between two looks of an autoscaler (kube-controller-manager, --horizontal-pod-autoscaler-sync-period)
)


def survey_scale(call: Call) -> Impact:
    """Say what changes, which autoscaler sets it back, what stops serving, and which local data go."""
    replicas = _replicas_asked_for(call)
    sentences: list[str] = []
    losses: list[str] = []
    for ref in call.refs:
        scale = _read_scale(call, ref)
        now = int((scale.get("spec") or {}).get("replicas") or 0)
        if replicas == now:
            sentences.append(f"{ref.text} has {now} replicas already.")
        else:
            gone = " Nothing of it serves any more." if replicas == 0 else ""
            sentences.append(f"Scales {ref.text} from {now} to {replicas} replicas.{gone}")
        if ref.kind == STATEFUL_SETS and replicas < now:
            sentences.append("The claims of the pods that go stay, with their data.")
        sentences += _autoscalers(call, ref, replicas)
        labels = str((scale.get("status") or {}).get("selector") or "")
        if replicas < now and labels:
            pods = pods_in(call.client, ref.namespace, labels=labels)
            local = next((text for pod in pods if (text := local_volumes(pod.spec))), "")
            if replicas == 0:
                losses += losses_with(pods)
                sentences += last_ready(call.client, pods)
            elif local:
                sentences.append(f"The pods that go lose their local data: {local}.")
    return Impact(tuple(sentences), tuple(losses), confirm=replicas == 0)


def scale(call: Call) -> str:
    """Set the number of replicas; the pods follow later."""
    replicas = _replicas_asked_for(call)
    for ref in call.refs:
        before = int((_read_scale(call, ref).get("spec") or {}).get("replicas") or 0)
        call.client.request(
            "PATCH",
            ref.path("scale"),
            query={"fieldManager": SCALE_MANAGER},
            body={"spec": {"replicas": replicas}},
            content_type="application/merge-patch+json",
        )
        call.step(ref, "Scaled" if before != replicas else "Unchanged", details=f"{before} -> {replicas}")
    return ""


def _autoscalers(call: Call, ref: Ref, replicas: int) -> list[str]:
    sentences = []
    for item in call.client.list(HPAS, ref.namespace)[0]:
        spec = item.get("spec") or {}
        target = spec.get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) != (ref.kind.name, ref.name):
            continue
        name = sanitize(str(item["metadata"]["name"]))
        least, most = int(spec.get("minReplicas") or 1), int(spec.get("maxReplicas") or 1)
        if replicas == 0:
            sentences.append(f"HorizontalPodAutoscaler {name} rests while there are 0 replicas.")
        elif least <= replicas <= most:
            sentences.append(
                f"HorizontalPodAutoscaler {name} decides again within {_SYNC} s, between {least} and {most}."
            )
        else:
            back = f"{least} or more" if replicas < least else f"{most} or fewer"
            sentences.append(
                f"HorizontalPodAutoscaler {name} undoes it within {_SYNC} s: "
                f"it keeps {least} to {most}, so it goes back to {back}."
            )
    return sentences


def _read_scale(call: Call, ref: Ref) -> dict[str, Any]:
    try:
        item: dict[str, Any] = call.client.get(ref.path("scale"))
    except NotFound as error:
        ref.read(call.client)  # tells when the object itself is not there
        raise UsageError(f"A {ref.kind.name} cannot be scaled", "Workloads with replicas can.") from error
    return item


def _replicas_asked_for(call: Call) -> int:
    text = call.options.get("replicas", "")
    if not text.isdecimal():
        raise UsageError(f"{sanitize(text)!r} is not a number of replicas", "Write --replicas N, 0 or more.")
    return int(text)
