"""Scale a workload, and say when an autoscaler will undo it."""

from __future__ import annotations

from typing import Any

from devenv.backends.kube.errors import NotFound
from devenv.backends.kube.kinds import HPAS, PODS, STATEFUL_SETS
from devenv.control.kube.impact import Call, Impact
from devenv.control.kube.pod_losses import last_ready, local_volumes, losses_with
from devenv.control.kube.refs import Ref
from devenv.core.errors import UsageError
from devenv.core.text import sanitize

MANAGER = "devenv-scale"
_SYNC = (
    15  # seconds between two looks of an autoscaler (kube-controller-manager, --horizontal-pod-autoscaler-sync-period)
)


def survey_scale(call: Call) -> Impact:
    """Say what changes, which autoscaler sets it back, what stops serving, and which local data go."""
    wanted = _wanted(call)
    sentences: list[str] = []
    losses: list[str] = []
    for ref in call.refs:
        scale = _read(call, ref)
        now = int((scale.get("spec") or {}).get("replicas") or 0)
        if wanted == now:
            sentences.append(f"{ref.text} has {now} replicas already.")
        else:
            gone = " Nothing of it serves any more." if wanted == 0 else ""
            sentences.append(f"Scales {ref.text} from {now} to {wanted} replicas.{gone}")
        if ref.kind == STATEFUL_SETS and wanted < now:
            sentences.append("The claims of the pods that go stay, with their data.")
        sentences += _autoscalers(call, ref, wanted)
        labels = str((scale.get("status") or {}).get("selector") or "")
        if wanted < now and labels:
            pods = call.client.list(PODS, ref.namespace, labels=labels)[0]
            local = next((text for pod in pods if (text := local_volumes(pod["spec"]))), "")
            if wanted == 0:
                losses += losses_with(pods)
                sentences += last_ready(call.client, pods)
            elif local:
                sentences.append(f"The pods that go lose their local data: {local}.")
    return Impact(tuple(sentences), tuple(losses), confirm=wanted == 0)


def scale(call: Call) -> str:
    """Set the number of replicas; the pods follow later."""
    wanted = _wanted(call)
    for ref in call.refs:
        before = int((_read(call, ref).get("spec") or {}).get("replicas") or 0)
        call.client.request(
            "PATCH",
            ref.path("scale"),
            query={"fieldManager": MANAGER},
            body={"spec": {"replicas": wanted}},
            content_type="application/merge-patch+json",
        )
        call.step(ref, "Scaled" if before != wanted else "Unchanged", details=f"{before} -> {wanted}")
    return ""


def _autoscalers(call: Call, ref: Ref, wanted: int) -> list[str]:
    found = []
    for item in call.client.list(HPAS, ref.namespace)[0]:
        spec = item.get("spec") or {}
        target = spec.get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) != (ref.kind.name, ref.name):
            continue
        name = sanitize(str(item["metadata"]["name"]))
        least, most = int(spec.get("minReplicas") or 1), int(spec.get("maxReplicas") or 1)
        if wanted == 0:
            found.append(f"HorizontalPodAutoscaler {name} rests while there are 0 replicas.")
        elif least <= wanted <= most:
            found.append(f"HorizontalPodAutoscaler {name} decides again within {_SYNC} s, between {least} and {most}.")
        else:
            back = f"{least} or more" if wanted < least else f"{most} or fewer"
            found.append(
                f"HorizontalPodAutoscaler {name} undoes it within {_SYNC} s: "
                f"it keeps {least} to {most}, so it goes back to {back}."
            )
    return found


def _read(call: Call, ref: Ref) -> dict[str, Any]:
    try:
        found: dict[str, Any] = call.client.get(ref.path("scale"))
    except NotFound as error:
        ref.read(call.client)  # tells when the object itself is not there
        raise UsageError(f"A {ref.kind.name} cannot be scaled", "Workloads with replicas can.") from error
    return found


def _wanted(call: Call) -> int:
    text = call.options.get("replicas", "")
    if not text.isdecimal():
        raise UsageError(f"{sanitize(text)!r} is not a number of replicas", "Write --replicas N, 0 or more.")
    return int(text)
