"""A pod as a resource: its state, its health and why, in words for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

from devenv.backends.kube.fields import (
    Parsed,
    base,
    facts,
    joined,
    mapping,
    mappings,
    number,
    quantity,
    time_of,
    why_not,
    word,
)
from devenv.backends.kube.fields import text as shown
from devenv.backends.kube.pod import Container, End, Pod, read_pod
from devenv.core.model import Health, PodFacts, Port, State
from devenv.core.text import human_bytes

NAME: Final = "app.kubernetes.io/name"
# Events that say why a pod's containers are not created (pkg/kubelet/events/event.go).
_CREATION: Final = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady")
_SIGNALS: Final = {6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
# kubelet's and the runtime's words (pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go).
_WAITING: Final = {
    "ErrImagePull": "its image cannot be pulled",
    "ImagePullBackOff": "its image cannot be pulled",
    "ErrImageNeverPull": "its image is not on the node and must not be pulled",
    "InvalidImageName": "its image's name is not valid",
    "ErrImageInspect": "its image cannot be inspected",
    "RegistryUnavailable": "the image registry does not answer",
    "CrashLoopBackOff": "crash loop",
    "CreateContainerConfigError": "its configuration is incomplete",
    "CreateContainerError": "it cannot be created",
    "RunContainerError": "it cannot be started",
    "StartError": "it cannot be started",
    "PostStartHookError": "its postStart hook failed",
}
_BACK_OFF: Final = "back-off "


class _Meta(TypedDict, total=False):
    name: Any
    namespace: Any
    uid: Any
    labels: Any
    ownerReferences: Any
    creationTimestamp: Any
    deletionTimestamp: Any
    finalizers: Any


class _Container(TypedDict, total=False):
    name: Any
    image: Any
    ports: Any
    resources: Any
    restartPolicy: Any


class _Volume(TypedDict, total=False):
    persistentVolumeClaim: Any


class _Spec(TypedDict, total=False):
    nodeName: Any
    volumes: list[_Volume]
    initContainers: list[_Container]
    containers: list[_Container]


class _Pod(TypedDict, total=False):
    metadata: _Meta
    spec: _Spec
    status: Any


class PodPage(TypedDict, total=False):
    """What `parse_pod` reads of a page of pods: a fifth of it, and decoded in a sixth of the time."""

    metadata: Any
    items: list[_Pod]


def parse_pod(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a pod; a probe's message is in an event, which the cache adds."""
    pod = read_pod(raw)
    spec = pod.spec
    why, explained_by = _why(pod)
    state = _state(pod)
    row, is_ready = pod.row(), pod.is_ready
    ended = [end for item in pod.mains if (end := item.last_end) is not None]
    running = [at for item in pod.mains if (at := item.running_since) is not None]
    started = max(running, default=time_of(pod.status.get("startTime")))
    health = _health(pod, state, started)
    is_over = state is not State.RUNNING
    first = pod.mains[0] if pod.mains else None
    resource = base(
        raw,
        "pod",
        context,
        state,
        service=pod.workload[1] or word(pod.labels.get(NAME)),
        health=health,
        image=word(next((item.get("image") for item in mappings(spec.get("containers"))), "")),
        image_id=first.image_id if first is not None else "",
        status=row.status,
        leaving_status=row.status,
        started_at=started,
        finished_at=max((end.at for end in ended if end.at), default=None) if is_over else None,
        exit_code=_exit_code(ended) if is_over else None,
        restarts=row.restarts,
        restarted_at=row.restarted_at,
        oom_killed=any(end.reason == "OOMKilled" for end in ended),
        error=why if health is Health.UNHEALTHY and state is State.CREATED else "",
        ports=_ports(spec),
        container_id=first.id if first is not None else "",
        why=joined(_restarts(pod)) if is_ready else why,
        ready=(row.ready, row.total),
        facts=_facts(pod),
        kind_facts=PodFacts(word(spec.get("nodeName")), pod.owner[0]),
    )
    limit = total(mappings(spec.get("containers")), "limits", "memory")
    return Parsed(
        resource,
        () if is_ready or state is State.EXITED else explained_by,
        None if limit is None else int(limit),
    )


def end_words(end: End) -> str:
    """Say an end: exit code, signal, out of memory, the container's own termination message."""
    if end.reason == "OOMKilled":
        return f"out of memory, exit code {end.code}"
    message = shown(end.message)
    if end.reason == "ContainerStatusUnknown":
        return f"lost: {message}" if message else "lost"
    words = f"exit code {end.code}"
    if 128 < end.code < 160:  # a shell's way to say: ended by signal n (POSIX shell, 2.8.2)
        words += f" ({_SIGNALS.get(end.code - 128, f'signal {end.code - 128}')})"
    if end.reason not in ("Error", "Completed", ""):
        words = f"{end.reason}, {words}"
    return f"{words}: {message}" if message else words


def _state(pod: Pod) -> State:
    if pod.is_finished:
        return State.EXITED
    if any(item.is_looping for item in pod.containers):
        return State.RESTARTING
    return {"Pending": State.CREATED, "Running": State.RUNNING}.get(pod.phase, State.UNKNOWN)


def _health(pod: Pod, state: State, started: float | None) -> Health:
    if state is State.EXITED:
        return Health.NONE
    if pod.is_ready:
        return Health.HEALTHY
    if pod.condition("PodScheduled").get("reason") == "Unschedulable" or any(map(_is_bad, pod.containers)):
        return Health.UNHEALTHY
    # It was ready in this run and is not any more; one that never was is still starting.
    lost_at = time_of(pod.condition("Ready").get("lastTransitionTime"))
    was_ready = state is State.RUNNING and lost_at is not None and started is not None and lost_at > started + 1
    is_starting = any(item.started is False for item in pod.containers)
    return Health.UNHEALTHY if was_ready and not is_starting else Health.STARTING


def _is_bad(container: Container) -> bool:
    return container.is_waiting_in_vain or (container.ended is not None and container.ended.code != 0)


def _why(pod: Pod) -> tuple[str, tuple[str, ...]]:
    """Say why the pod is not ready, and which events may tell more."""
    if pod.phase == "Succeeded":
        return "", ()
    if pod.phase == "Failed":
        return _failure(pod), ()
    scheduled = pod.condition("PodScheduled")
    if scheduled.get("status") == "False":
        return f"not scheduled: {why_not(scheduled)}", ()
    words: list[str] = []
    slots: list[str] = []
    for item in pod.inits:
        kind = "sidecar" if item.sidecar else "init container"
        words.append(_words(item, f"{kind} {item.name}", slots, lasts=item.sidecar))
        if not item.sidecar and item.ended is not None and item.ended.code:
            break
    initialized = pod.condition("Initialized").get("status") != "False"
    if initialized:
        words += [_words(item, item.name, slots, lasts=True) for item in pod.mains]
    elif not any(words):
        words.append(next((f"init container {item.name} runs" for item in pod.inits if _works(item)), ""))
    creating = (initialized or not any(words)) and any(item.is_creating for item in pod.containers)
    if (creating or (not pod.mains and pod.phase in ("Pending", ""))) and not any(words):
        words.append("being created")
        slots += _CREATION
    gate = pod.condition("Ready")
    if gate.get("reason") == "ReadinessGatesNotReady":
        words.append(f"waits for a readiness gate: {shown(gate.get('message'))}")
    return joined(words), tuple(slots)


def _failure(pod: Pod) -> str:
    message, evicted = shown(pod.message), pod.reason == "Evicted"
    whole = f"{'evicted' if evicted else pod.reason}: {message}" if message else pod.reason
    if evicted:
        return whole
    ends = ((item.name, item.last_end) for item in pod.containers)
    return joined((whole, *(f"{name}: {end_words(end)}" for name, end in ends if end is not None and end.code)))


def _words(container: Container, name: str, slots: list[str], *, lasts: bool) -> str:
    """Say what is wrong with a container of a pod that is not ready, and note which events may explain it."""
    probe = f"Unhealthy/{container.name}"
    if container.waiting is not None:
        words = _waiting(container)
        if container.is_looping:
            slots.append(probe)
        return f"{name}: {words}" if words else ""
    if container.ended is not None:
        return f"{name}: {end_words(container.ended)}" if lasts or container.ended.code else ""
    if not lasts or not container.running:
        return ""
    if container.started is False:
        slots.append(probe)
        return joined((f"{name} has not passed its startup probe", _restart_words(container)))
    if not container.ready:
        slots.append(probe)
        return joined((f"{name} is not ready", _restart_words(container)))
    return ""


def _waiting(container: Container) -> str:
    """Say what a waiting container waits for; "" where it is only being created."""
    if not container.is_waiting_in_vain:
        return ""
    reason, message = container.waiting or "", shown(container.waiting_message)
    words = _WAITING.get(reason, reason)
    if container.is_looping:
        words += f", {end_words(container.last_end)}" if container.last_end is not None else ""
        words += f", {_times(container.restarts)}" if container.restarts else ""
        pause = message.removeprefix(_BACK_OFF).partition(" ")[0] if message.startswith(_BACK_OFF) else ""
        return f"{words}, next start within {pause}" if pause else words
    return f"{words} ({reason}): {message}" if message else f"{words} ({reason})"


def _works(container: Container) -> bool:
    return container.running and not container.sidecar


def _restarts(pod: Pod) -> list[str]:
    return [f"{item.name} {words}" for item in pod.lasting if (words := _restart_words(item))]


def _restart_words(container: Container) -> str:
    """Say how often and why the container was started again; "" where it never was."""
    if not container.restarts:
        return ""
    end = container.last_end
    return f"{_times(container.restarts)}, last {end_words(end)}" if end is not None else _times(container.restarts)


def _times(count: int) -> str:
    return "restarted once" if count == 1 else f"restarted {count} times"


def _exit_code(ended: Iterable[End]) -> int | None:
    codes = [end.code for end in ended]
    return next((code for code in codes if code), codes[0] if codes else None)


def _ports(spec: Mapping[str, Any]) -> tuple[Port, ...]:
    return tuple(
        Port(number(port.get("containerPort")), word(port.get("protocol") or "TCP").lower())
        for item in mappings(spec.get("containers"))
        for port in mappings(item.get("ports"))
    )


def _facts(pod: Pod) -> tuple[tuple[str, str], ...]:
    spec, status = pod.spec, pod.status
    mains = mappings(spec.get("containers"))
    claims = (mapping(item.get("persistentVolumeClaim")).get("claimName") for item in mappings(spec.get("volumes")))
    kind, name, _ = pod.owner
    return facts(
        ("node", word(spec.get("nodeName"))),
        ("ip", word(status.get("podIP"))),
        ("qos", word(status.get("qosClass"))),
        ("containers", ",".join(word(item.get("name")) for item in mains)),
        ("init containers", ",".join(word(item.get("name")) for item in mappings(spec.get("initContainers")))),
        ("cpu request", _cores(total(mains, "requests", "cpu"))),
        ("cpu limit", _cores(total(mains, "limits", "cpu"))),
        ("memory request", _bytes(total(mains, "requests", "memory"))),
        ("memory limit", _bytes(total(mains, "limits", "memory"))),
        ("claims", ",".join(word(claim) for claim in claims if claim)),
        ("controlled by", f"{kind}/{name}" if kind else ""),
    )


def total(mains: list[Mapping[str, Any]], which: str, name: str) -> float | None:
    """Sum what the containers ask for, in cores or bytes; None where one of them leaves it open."""
    amount = 0.0
    for item in mains:
        part = quantity(mapping(mapping(item.get("resources")).get(which)).get(name))
        if part is None:
            return None
        amount += part
    return amount if mains else None


def _cores(amount: float | None) -> str:
    return "" if amount is None else f"{amount * 1000:.0f}m"


def _bytes(amount: float | None) -> str:
    return "" if amount is None else human_bytes(amount)
