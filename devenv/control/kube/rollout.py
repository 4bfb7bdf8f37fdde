"""Rollouts of Deployments, StatefulSets and DaemonSets: restart, undo, pause, resume, and how far they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from devenv.backends.kube.kinds import DEPLOYMENTS, PODS
from devenv.control.kube.difference import diff_lines
from devenv.control.kube.impact import Call, Impact
from devenv.control.kube.pod_losses import last_ready, local_volumes, losses_with
from devenv.control.kube.refs import Ref
from devenv.control.kube.revisions import Revision, check_rolled, revisions_of
from devenv.control.kube.selectors import label_selector
from devenv.control.kube.workload_progress import progress_of
from devenv.core.errors import UsageError

MANAGER = "devenv-rollout"
UNDO_MANAGER = "devenv-undo"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"  # kubectl's own, so that both tools restart in the same way
_STRATEGIC = "application/strategic-merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


def status_words(ref: Ref, workload: Mapping[str, Any]) -> str:
    """Say how far the rollout is: "rolled out", or what is missing; raises UsageError for other kinds."""
    check_rolled(ref)
    progress = progress_of(ref.kind.name.lower(), workload)
    troubles = "; ".join(f"{one.reason}: {one.text}" for one in progress.troubles)
    counts = f"{progress.ready} of {progress.desired} pods ready"
    if progress.done:
        return f"rolled out, {counts}"
    return ", ".join(filter(None, (progress.words or "not rolled out", troubles, counts)))


def survey_restart(call: Call) -> Impact:
    """Say how the pods are replaced, and what that takes away where nothing serves meanwhile."""
    replaced = []
    for ref in call.refs:
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
        body = {"spec": {"template": {"metadata": {"annotations": {_RESTARTED: at}}}}}
        _patch(call, ref, body, _STRATEGIC, MANAGER)
        call.step(ref, "Restarting")
    return ""


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
        revision = _wanted(call, ref, workload)
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
        revision = _wanted(call, ref, workload)
        body = [
            # Refused when somebody changed the object after it was looked at (RFC 6902, `test`).
            {"op": "test", "path": "/metadata/resourceVersion", "value": workload["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/spec/template", "value": revision.template},
        ]
        _patch(call, ref, body, _JSON_PATCH, UNDO_MANAGER)
        call.step(ref, "Set back", details=f"revision {revision.number}")
    return ""


def _wanted(call: Call, ref: Ref, workload: Mapping[str, Any]) -> Revision:
    if (workload.get("spec") or {}).get("paused"):
        raise UsageError(f"{ref.text} is paused, so it would not go back", "First: devenv kubectl rollout resume")
    found = revisions_of(call.client, ref, workload)
    number = call.options.get("revision", "")
    numbers = ", ".join(str(one.number) for one in found) or "none"
    if number and number != "0":
        match = next((one for one in found if str(one.number) == number), None)
        if match is None:
            raise UsageError(f"{ref.text} has no revision {number}", f"Kept are: {numbers}")
        if match.current:
            raise UsageError(f"Revision {number} of {ref.text} is the present one", f"Kept are: {numbers}")
        return match
    earlier = [one for one in found if not one.current]
    if not earlier:
        raise UsageError(f"{ref.text} has no earlier revision", "Nothing was rolled out since it was made.")
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
    pods = call.client.list(PODS, ref.namespace, labels=label_selector(spec.get("selector") or {}))[0]
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
