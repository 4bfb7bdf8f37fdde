"""What keeps a pod from getting ready, in words, and whether waiting can help.

The reasons are the kubelet's (pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go in
kubernetes/kubernetes) and the scheduler's (PodReasonUnschedulable in its API).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from devenv.control.kube.pod_stages import first_time
from devenv.core.text import mask_secrets, sanitize

WORDS_KEPT = 300  # characters of a message of the cluster


class Healing(StrEnum):
    """What waiting can do about a trouble; `Patience` says how long each kind is given."""

    NEVER = "never"  # somebody has to change something
    PULL = "pull"  # a registry or the network may come back
    CONFIG = "config"  # another controller may still make the Secret or ConfigMap
    SCHEDULE = "schedule"  # a pod may go, an autoscaler may bring a node
    CRASH = "crash"  # what it needs may come up; the number of restarts decides
    QUOTA = "quota"  # pods that are going still count
    TIME = "time"  # it is on its way


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something is not ready. `subject` is its name, `restarts` counts for Healing.CRASH only."""

    subject: str
    reason: str
    text: str
    healing: Healing
    restarts: int = 0


_IMAGE_NEVER = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "CreatePodSandboxError")
# Events that only repeat, in other words, what the pod's own conditions and container states say a moment later.
_TOLD_BY_STATUS = ("FailedScheduling", "Failed", "BackOff")
# A registry that says no will say no again; "no such host" or a timeout may pass.
_REFUSED = re.compile(
    r"not found|manifest unknown|name unknown|denied|unauthorized|forbidden|does not exist|no match for platform",
    re.IGNORECASE,
)
_NETWORK = re.compile(r"no such host|lookup |timeout|timed out|connection refused|connection reset|EOF", re.IGNORECASE)


def pod_trouble(
    pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]] = (), restarts_before: int = 0
) -> Trouble | None:
    """Return what holds this pod back, the worst first; None when it is ready or has completed.

    `restarts_before` are not counted: they were before anybody waited.
    """
    status = pod.get("status") or {}
    name = sanitize(str((pod.get("metadata") or {}).get("name", "")))
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    if (conditions.get("Ready") or {}).get("status") == "True" or status.get("phase") == "Succeeded":
        return None
    found = [
        *_of_scheduling(name, conditions.get("PodScheduled"), events),
        *_of_containers(name, pod, status, restarts_before),
    ]
    if status.get("phase") == "Failed":
        reason = str(status.get("reason") or "Failed")
        found.append(Trouble(name, reason, words_of(status.get("message")), Healing.TIME))
    if not found:
        return _on_its_way(name, status, conditions, events)
    order = list(Healing)
    return min(found, key=lambda trouble: order.index(trouble.healing))


def _of_scheduling(
    name: str, condition: Mapping[str, Any] | None, events: Sequence[Mapping[str, Any]]
) -> Iterator[Trouble]:
    if condition and condition.get("status") == "False":
        reason = str(condition.get("reason") or "Unschedulable")
        if any(event.get("reason") == "TriggeredScaleUp" for event in events):  # the cluster autoscaler's
            yield Trouble(name, reason, "no node takes it yet, and a node is being added", Healing.TIME)
            return
        healing = Healing.SCHEDULE if reason == "Unschedulable" else Healing.TIME
        yield Trouble(name, reason, f"no node takes it: {words_of(condition.get('message'))}", healing)


def _of_containers(
    name: str, pod: Mapping[str, Any], status: Mapping[str, Any], restarts_before: int
) -> Iterator[Trouble]:
    images = {item.get("name"): item.get("image") for item in _containers(pod)}
    for item in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        state = item.get("state") or {}
        waiting, restarts = state.get("waiting") or {}, int(item.get("restartCount") or 0)
        reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        container = sanitize(str(item.get("name", "")))
        image = sanitize(str(images.get(item.get("name")) or item.get("image") or ""))
        if reason in _IMAGE_NEVER:
            yield Trouble(name, reason, f"image {image} cannot be used: {words_of(message)}", Healing.NEVER)
        elif reason in _IMAGE:
            refused = _REFUSED.search(message) and not _NETWORK.search(message)
            healing = Healing.NEVER if refused or reason == "SignatureValidationFailed" else Healing.PULL
            yield Trouble(name, reason, f"image {image} cannot be pulled: {words_of(message)}", healing)
        elif reason in _CONFIG:
            yield Trouble(name, reason, f"container {container} cannot be created: {words_of(message)}", Healing.CONFIG)
        else:
            ended = state.get("terminated") or (item.get("lastState") or {}).get("terminated") or {}
            if reason == "CrashLoopBackOff" or (ended and ended.get("exitCode") and not item.get("ready")):
                text = f"container {container} {how_it_ended(ended)}{_times(restarts)}"
                yield Trouble(name, reason or "Error", text, Healing.CRASH, restarts - restarts_before)


def _on_its_way(
    name: str,
    status: Mapping[str, Any],
    conditions: Mapping[Any, Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
) -> Trouble:
    warning = _newest_warning(events)
    if warning:
        return Trouble(name, str(warning.get("reason")), words_of(warning.get("message")), Healing.TIME)
    if (conditions.get("PodScheduled") or {}).get("status") != "True":
        return Trouble(name, "Pending", "waits for the scheduler", Healing.TIME)
    waiting = [
        str(((item.get("state") or {}).get("waiting") or {}).get("reason") or "")
        for item in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    ]
    if status.get("phase") == "Pending" or any(waiting):
        step = next((reason for reason in waiting if reason), "ContainerCreating")
        return Trouble(name, step, "its containers are being created", Healing.TIME)
    gates = [str(item.get("type")) for item in conditions.values() if item.get("status") != "True"]
    if "ContainersReady" in gates or not gates:
        return Trouble(name, "ContainersNotReady", "runs, and is not ready yet", Healing.TIME)
    return Trouble(name, "ReadinessGates", f"runs, and waits for {sanitize(', '.join(gates))}", Healing.TIME)


def _newest_warning(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    told = [item for item in events if item.get("type") == "Warning" and item.get("reason") not in _TOLD_BY_STATUS]
    return max(told, key=lambda item: first_time(item) or 0.0, default=None)


def how_it_ended(ended: Mapping[str, Any]) -> str:
    """Tell a container's end: exit code, reason, and its termination message."""
    if not ended:
        return "keeps ending"
    reason = str(ended.get("reason") or "")
    why = f" ({sanitize(reason)})" if reason not in ("", "Error", "Completed") else ""
    message = words_of(ended.get("message"))
    return f"ended with exit code {ended.get('exitCode')}{why}{f': {message}' if message else ''}"


def restarts_of(pod: Mapping[str, Any]) -> int:
    """Return the most restarts that a container of the pod has had."""
    status = pod.get("status") or {}
    states = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return max((int(item.get("restartCount") or 0) for item in states), default=0)


def creation_trouble(name: str, told: Mapping[str, Any]) -> Trouble:
    """Return why a controller cannot create a pod: a quota may get room again, a policy will not change its mind."""
    message = str(told.get("message") or "")
    quota = "exceeded quota" in message
    reason = "exceeded quota" if quota else sanitize(str(told.get("reason") or "FailedCreate"))
    refused = "forbidden" in message or "invalid" in message.lower()
    healing = Healing.QUOTA if quota else Healing.NEVER if refused else Healing.CONFIG
    return Trouble(name, reason, f"no pod may be created: {words_of(message)}", healing)


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    spec = pod.get("spec") or {}
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _times(restarts: int) -> str:
    return "" if not restarts else ", restarted once" if restarts == 1 else f", restarted {restarts} times"


def words_of(text: object) -> str:
    """Make a message of the cluster safe to show, and short."""
    told = mask_secrets(sanitize(str(text or "")))
    return told if len(told) <= WORDS_KEPT else f"{told[: WORDS_KEPT - 1]}…"
