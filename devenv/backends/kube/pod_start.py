"""How far a pod's start is, by the times that the cluster wrote, and what keeps it from getting ready.

Kubernetes writes times in whole seconds (metav1.Time), so a difference of two is exact to one second. The reasons are
the kubelet's (pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go in kubernetes/kubernetes) and the
scheduler's (PodReasonUnschedulable in its API).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from devenv.backends.kube.fields import mapping, time_of
from devenv.backends.kube.pod import Container, End, Pod
from devenv.core.masking import mask_secrets
from devenv.core.text import sanitize

STAGES: Final = ("created", "scheduled", "pulled", "started", "ready")
WORDS_KEPT: Final = 300  # characters of a message of the cluster


@dataclass(frozen=True, slots=True)
class PodStages:
    """When a pod reached each stage, in seconds since 1970; None: not yet, or nobody wrote it down.

    `digests` has the digest of each running container's image, as the kubelet reports it; "" where it does not.
    """

    namespace: str
    name: str
    workload: str  # "deployment/backend"
    created: float
    scheduled: float | None = None
    pulled: float | None = None
    started: float | None = None
    ready: float | None = None
    restarts: int = 0
    digests: Mapping[str, str] | None = None

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds from the creation to each stage that was reached."""
        times = {stage: getattr(self, stage) for stage in STAGES[1:]}
        return {stage: max(0.0, at - self.created) for stage, at in times.items() if at is not None}


def stages_of(pod: Pod, events: Iterable[Mapping[str, Any]], workload: str) -> PodStages:
    """Return the stages of a pod. `events` are those about it: only they know when an image was pulled."""
    since = [item.running_since for item in pod.mains]
    known = [at for at in since if at is not None]
    started = max(known) if known and len(known) == len(since) else None
    pulls = [at for event in events if event.get("reason") == "Pulled" and (at := first_time(event)) is not None]
    return PodStages(
        namespace=pod.namespace,
        name=pod.name,
        workload=workload,
        created=pod.created or 0.0,
        scheduled=_since(pod, "PodScheduled"),
        pulled=max(pulls) if pulls and started is not None else None,
        started=started,
        ready=_since(pod, "Ready"),
        restarts=sum(item.restarts for item in pod.mains),
        digests={item.name: digest_of(item.image_id) for item in pod.mains},
    )


def _since(pod: Pod, condition: str) -> float | None:
    """Return since when a condition holds."""
    return time_of(pod.condition(condition).get("lastTransitionTime")) if pod.holds(condition) else None


def digest_of(image_id: str) -> str:
    """Return the `sha256:...` in an image's reference or imageID; "" where there is none."""
    _, prefix, digest = image_id.rpartition("sha256:")
    return f"sha256:{digest}" if prefix else ""


def first_time(event: Mapping[str, Any]) -> float | None:
    """Return when an event happened first: the kubelet writes firstTimestamp, the scheduler eventTime."""
    for key in ("firstTimestamp", "eventTime", "lastTimestamp"):
        at = time_of(event.get(key))
        if at is not None:
            return at
    return time_of(mapping(event.get("metadata")).get("creationTimestamp"))


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


_IMAGE_NEVER: Final = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE: Final = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed")
_CONFIG: Final = ("CreateContainerConfigError", "CreateContainerError", "CreatePodSandboxError")
# Events that only repeat, in other words, what the pod's own conditions and container states say a moment later.
_SAID_BY_STATUS: Final = ("FailedScheduling", "Failed", "BackOff")
# A registry that says no will say no again; "no such host" or a timeout may pass.
_REFUSED: Final = re.compile(
    r"not found|manifest unknown|name unknown|denied|unauthorized|forbidden|does not exist|no match for platform",
    re.IGNORECASE,
)
_NETWORK: Final = re.compile(
    r"no such host|lookup |timeout|timed out|connection refused|connection reset|EOF", re.IGNORECASE
)


def pod_trouble(pod: Pod, events: Sequence[Mapping[str, Any]] = (), restarts_before: int = 0) -> Trouble | None:
    """Return what holds this pod back, the worst first; None when it is ready or has completed.

    `restarts_before` are not counted: they were before anybody waited.
    """
    if pod.is_ready or pod.phase == "Succeeded":
        return None
    troubles = [*_of_scheduling(pod, events), *_of_containers(pod, restarts_before)]
    if pod.phase == "Failed":
        troubles.append(Trouble(pod.name, pod.reason or "Failed", words_of(pod.message), Healing.TIME))
    if not troubles:
        return _on_its_way(pod, events)
    order = list(Healing)
    return min(troubles, key=lambda trouble: order.index(trouble.healing))


def _of_scheduling(pod: Pod, events: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    condition = pod.condition("PodScheduled")
    if condition.get("status") == "False":
        reason = str(condition.get("reason") or "Unschedulable")
        if any(event.get("reason") == "TriggeredScaleUp" for event in events):  # the cluster autoscaler's
            yield Trouble(pod.name, reason, "no node takes it yet, and a node is being added", Healing.TIME)
            return
        healing = Healing.SCHEDULE if reason == "Unschedulable" else Healing.TIME
        yield Trouble(pod.name, reason, f"no node takes it: {words_of(condition.get('message'))}", healing)


def _of_containers(pod: Pod, restarts_before: int) -> Iterator[Trouble]:
    for item in pod.containers:
        reason, message = item.waiting or "", item.waiting_message
        if reason in _IMAGE_NEVER:
            text = f"image {_image(pod, item)} cannot be used: {words_of(message)}"
            yield Trouble(pod.name, reason, text, Healing.NEVER)
        elif reason in _IMAGE:
            refused = _REFUSED.search(message) and not _NETWORK.search(message)
            healing = Healing.NEVER if refused or reason == "SignatureValidationFailed" else Healing.PULL
            yield Trouble(pod.name, reason, f"image {_image(pod, item)} cannot be pulled: {words_of(message)}", healing)
        elif reason in _CONFIG:
            text = f"container {item.name} cannot be created: {words_of(message)}"
            yield Trouble(pod.name, reason, text, Healing.CONFIG)
        else:
            ended = item.last_end
            if item.is_looping or (ended is not None and ended.code and not item.ready):
                text = f"container {item.name} {how_it_ended(ended)}{_times(item.restarts)}"
                yield Trouble(pod.name, reason or "Error", text, Healing.CRASH, item.restarts - restarts_before)


def _image(pod: Pod, container: Container) -> str:
    """Return the image as the spec names it: the runtime's name is empty before it was pulled."""
    named = next((item.get("image") for item in pod.declared() if item.get("name") == container.name), None)
    return sanitize(str(named or container.image))


def _on_its_way(pod: Pod, events: Sequence[Mapping[str, Any]]) -> Trouble:
    warning = _newest_warning(events)
    if warning:
        text = words_of(warning.get("message")).rstrip(": ")  # a probe's program may fail without a word
        return Trouble(pod.name, str(warning.get("reason")), text, Healing.TIME)
    if not pod.holds("PodScheduled"):
        return Trouble(pod.name, "Pending", "waits for the scheduler", Healing.TIME)
    waiting = [item.waiting for item in pod.containers if item.waiting]
    if pod.phase == "Pending" or waiting:
        step = waiting[0] if waiting else "ContainerCreating"
        return Trouble(pod.name, step, "its containers are being created", Healing.TIME)
    gates = [name for name in pod.conditions if not pod.holds(name)]
    if "ContainersReady" in gates or not gates:
        return Trouble(pod.name, "ContainersNotReady", "runs, and is not ready yet", Healing.TIME)
    return Trouble(pod.name, "ReadinessGates", f"runs, and waits for {sanitize(', '.join(gates))}", Healing.TIME)


def _newest_warning(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    news = [item for item in events if item.get("type") == "Warning" and item.get("reason") not in _SAID_BY_STATUS]
    return max(news, key=lambda item: first_time(item) or 0.0, default=None)


def how_it_ended(ended: End | None) -> str:
    """Say a container's end: exit code, reason, and its termination message."""
    if ended is None:
        return "keeps ending"
    why = f" ({ended.reason})" if ended.reason not in ("", "Error", "Completed") else ""
    message = words_of(ended.message)
    return f"ended with exit code {ended.code}{why}{f': {message}' if message else ''}"


def creation_trouble(name: str, condition: Mapping[str, Any]) -> Trouble:
    """Return why a controller cannot create a pod: a quota may get room again, a policy will not change its mind."""
    message = str(condition.get("message") or "")
    quota = "exceeded quota" in message
    reason = "exceeded quota" if quota else sanitize(str(condition.get("reason") or "FailedCreate"))
    refused = "forbidden" in message or "invalid" in message.lower()
    healing = Healing.QUOTA if quota else Healing.NEVER if refused else Healing.CONFIG
    return Trouble(name, reason, f"no pod may be created: {words_of(message)}", healing)


def _times(restarts: int) -> str:
    return "" if not restarts else ", restarted once" if restarts == 1 else f", restarted {restarts} times"


def words_of(text: object) -> str:
    """Make a message of the cluster safe to show, and short."""
    shown = mask_secrets(sanitize(str(text or "")))
    return shown if len(shown) <= WORDS_KEPT else f"{shown[: WORDS_KEPT - 1]}…"
