"""A pod: its state, its health and why, from its containers, conditions and phase; and its row as kubectl prints it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from devenv.backends.kube.parse.common import (
    Parsed,
    base,
    conditions,
    facts,
    joined,
    mapping,
    mappings,
    number,
    owner_of,
    quantity,
    text,
    time_of,
    why_not,
    word,
)
from devenv.core.model import Health, Port, State
from devenv.core.text import human_bytes

CREATING: Final = ("ContainerCreating", "PodInitializing", "")
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


def is_waiting_in_vain(status: Mapping[str, Any]) -> bool:
    """Whether the container waits for something that does not come by waiting."""
    waiting = mapping(status.get("state")).get("waiting")
    return isinstance(waiting, dict) and waiting.get("reason") not in CREATING


def is_looping(status: Mapping[str, Any]) -> bool:
    """Whether the container crashed and the kubelet holds its next start back."""
    return mapping(mapping(status.get("state")).get("waiting")).get("reason") == "CrashLoopBackOff"


def last_end(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how the container ended last: now, or before its present run."""
    ended = mapping(status.get("state")).get("terminated") or mapping(status.get("lastState")).get("terminated")
    return mapping(ended)


def end_words(ended: Mapping[str, Any]) -> str:
    """Say an end: exit code, signal, out of memory, the container's own termination message."""
    code, reason = number(ended.get("exitCode")), word(ended.get("reason"))
    if reason == "OOMKilled":
        return f"out of memory, exit code {code}"
    message = text(ended.get("message"))
    if reason == "ContainerStatusUnknown":
        return f"lost: {message}" if message else "lost"
    told = f"exit code {code}"
    if 128 < code < 160:  # a shell's way to say: ended by signal n (POSIX shell, 2.8.2)
        told += f" ({_SIGNALS.get(code - 128, f'signal {code - 128}')})"
    if reason not in ("Error", "Completed", ""):
        told = f"{reason}, {told}"
    return f"{told}: {message}" if message else told


def waiting_words(status: Mapping[str, Any]) -> str:
    """Say what a waiting container waits for; "" where it is only being created."""
    waiting = mapping(mapping(status.get("state")).get("waiting"))
    reason = word(waiting.get("reason"))
    if reason in CREATING:
        return ""
    message = text(waiting.get("message"))
    told = _WAITING.get(reason, reason)
    if reason == "CrashLoopBackOff":
        ended, count = last_end(status), number(status.get("restartCount"))
        told += f", {end_words(ended)}" if ended else ""
        told += f", {_times(count)}" if count else ""
        pause = message.removeprefix(_BACK_OFF).partition(" ")[0] if message.startswith(_BACK_OFF) else ""
        return f"{told}, next start within {pause}" if pause else told
    return f"{told} ({reason}): {message}" if message else f"{told} ({reason})"


def restart_words(status: Mapping[str, Any]) -> str:
    """Say how often and why the container was started again; "" where it never was."""
    count, ended = number(status.get("restartCount")), last_end(status)
    if not count:
        return ""
    return f"{_times(count)}, last {end_words(ended)}" if ended else _times(count)


def started_at(status: Mapping[str, Any]) -> float | None:
    """Return when its present run began."""
    return time_of(mapping(mapping(status.get("state")).get("running")).get("startedAt"))


def _times(count: int) -> str:
    return "restarted once" if count == 1 else f"restarted {count} times"


ENDED: Final = ("Succeeded", "Failed")  # phases of a pod whose containers are over for good
_LOST: Final = "NodeLost"  # pkg/util/node: the pod's node does not answer any more


class PodRow(NamedTuple):
    """What kubectl prints; `restarted_at` is the end of the run before the newest restart, None where unknown."""

    status: str
    ready: int
    wanted: int
    restarts: int
    restarted_at: float | None


def sidecars_of(spec: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the init containers that run as long as the pod does (restartPolicy Always)."""
    inits = mappings(spec.get("initContainers"))
    return frozenset(word(item.get("name")) for item in inits if item.get("restartPolicy") == "Always")


def pod_row(raw: Mapping[str, Any]) -> PodRow:
    """Return what kubectl prints of a pod's object."""
    meta, spec, status = mapping(raw.get("metadata")), mapping(raw.get("spec")), mapping(raw.get("status"))
    told, sidecars = conditions(status), sidecars_of(spec)
    inits, mains = mappings(status.get("initContainerStatuses")), mappings(status.get("containerStatuses"))
    declared = spec.get("containers")
    phase, reason = word(status.get("phase")), word(status.get("reason"))
    status_word = reason or phase
    if mapping(told.get("PodScheduled")).get("reason") == "SchedulingGated":
        status_word = "SchedulingGated"
    stage, ready = _init_stage(inits, sidecars, len(mappings(spec.get("initContainers"))))
    counted = inits
    status_word = stage or status_word
    if not stage or mapping(told.get("Initialized")).get("status") == "True":
        status_word = _of_containers(mains, status_word, mapping(told.get("Ready")).get("status") == "True")
        ready += sum(_is_serving(item) for item in mains)
        counted = [*(item for item in inits if item.get("name") in sidecars), *mains]
    if meta.get("deletionTimestamp"):
        if reason == _LOST:
            status_word = "Unknown"
        elif phase not in ENDED:
            status_word = "Terminating"
    ends = (mapping(mapping(item.get("lastState")).get("terminated")).get("finishedAt") for item in counted)
    restarts = sum(number(item.get("restartCount")) for item in counted)
    return PodRow(
        status_word,
        ready,
        len(sidecars) + (len(declared) if isinstance(declared, list) else len(mains)),
        restarts,
        max((at for end in ends if (at := time_of(end)) is not None), default=None) if restarts else None,
    )


def _init_stage(inits: Iterable[Mapping[str, Any]], sidecars: frozenset[str], wanted: int) -> tuple[str, int]:
    """Return the word for the first init container that is not done, "" where all are, and the ready sidecars before.

    A sidecar is done once it has started; its own end does not hold up a pod that is over.
    """
    ready = 0
    for index, item in enumerate(inits):
        state = mapping(item.get("state"))
        if _has_ended(state) and not number(mapping(state["terminated"]).get("exitCode")):
            continue
        if item.get("name") in sidecars and item.get("started") is True:
            ready += item.get("ready") is True
            continue
        if _has_ended(state):
            return f"Init:{_end_word(mapping(state['terminated']))}", ready
        waits = word(mapping(state.get("waiting")).get("reason"))
        if waits and waits != "PodInitializing":
            return f"Init:{waits}", ready
        return f"Init:{index}/{wanted}", ready
    return "", ready


def _of_containers(mains: list[Mapping[str, Any]], found: str, is_ready: bool) -> str:
    """Return the word of the first container that waits or has ended, else `found`.

    What has ended well gives way to what failed, and to what still runs.
    """
    failure = ""
    for item in reversed(mains):
        state = mapping(item.get("state"))
        if waits := word(mapping(state.get("waiting")).get("reason")):
            found = waits
        elif _has_ended(state):
            end = mapping(state["terminated"])
            found = _end_word(end)
            failure = found if number(end.get("exitCode")) else failure
    if found != "Completed":
        return found
    serving = any(map(_is_serving, mains))
    if serving and is_ready:
        return "Running"
    return failure or ("NotReady" if serving else found)


def _has_ended(state: Mapping[str, Any]) -> bool:
    return isinstance(state.get("terminated"), dict)


def _is_serving(status: Mapping[str, Any]) -> bool:
    state = mapping(status.get("state"))
    waits = mapping(state.get("waiting")).get("reason")
    runs = isinstance(state.get("running"), dict) and not waits and not _has_ended(state)
    return runs and status.get("ready") is True


def _end_word(end: Mapping[str, Any]) -> str:
    signal = number(end.get("signal"))
    return word(end.get("reason")) or (f"Signal:{signal}" if signal else f"ExitCode:{number(end.get('exitCode'))}")


HASH: Final = "pod-template-hash"
NAME: Final = "app.kubernetes.io/name"
# Events that say why a pod's containers are not created (pkg/kubelet/events/event.go).
_CREATION: Final = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady")


def parse_pod(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a pod; a probe's message is in an event, which the book adds."""
    spec, status, meta = mapping(raw.get("spec")), mapping(raw.get("status")), mapping(raw.get("metadata"))
    inits, mains = mappings(status.get("initContainerStatuses")), mappings(status.get("containerStatuses"))
    sidecars = sidecars_of(spec)
    lasting = [*(item for item in inits if item.get("name") in sidecars), *mains]
    told = conditions(status)
    phase = word(status.get("phase"))
    trouble, explained_by = _trouble(phase, inits, mains, sidecars, told, status)
    state = _state(phase, [*inits, *mains])
    is_ready = mapping(told.get("Ready")).get("status") == "True"
    printed = pod_row(raw)
    ended = [end for end in map(last_end, mains) if end]
    running = [at for at in map(started_at, mains) if at is not None]
    started = max(running, default=time_of(status.get("startTime")))
    health = _health(state, is_ready, [*inits, *mains], told, started)
    resource = base(
        raw,
        "pod",
        context,
        state,
        service=workload_of(meta),
        health=health,
        image=word(next((item.get("image") for item in mappings(spec.get("containers"))), "")),
        image_id=word(next((item.get("imageID") for item in mains), "")),
        status=printed.status,
        leaving_status=printed.status,
        started_at=started,
        finished_at=max((at for end in ended if (at := time_of(end.get("finishedAt")))), default=None)
        if state is not State.RUNNING
        else None,
        exit_code=_exit_code(ended) if state is not State.RUNNING else None,
        restarts=printed.restarts,
        restarted_at=printed.restarted_at,
        oom_killed=any(end.get("reason") == "OOMKilled" for end in ended),
        error=trouble if health is Health.UNHEALTHY and state is State.CREATED else "",
        ports=_ports(spec),
        container_id=word(next((item.get("containerID") for item in mains), "")),
        why=trouble if not is_ready else joined(_restarts(lasting)),
        ready=(printed.ready, printed.wanted),
        facts=_facts(spec, status, meta),
    )
    limit = total(mappings(spec.get("containers")), "limits", "memory")
    return Parsed(
        resource,
        () if is_ready or state is State.EXITED else explained_by,
        None if limit is None else int(limit),
    )


def workload_of(meta: Mapping[str, Any]) -> str:
    """Return the name of the workload that a pod belongs to; "" for a pod of its own without a name label."""
    kind, name, _ = owner_of(meta)
    labels = mapping(meta.get("labels"))
    if kind == "ReplicaSet":
        return word(name.removesuffix(f"-{word(labels.get(HASH))}"))
    return name or word(labels.get(NAME))


def _state(phase: str, statuses: list[Mapping[str, Any]]) -> State:
    if phase in ENDED:
        return State.EXITED
    if any(is_looping(item) for item in statuses):
        return State.RESTARTING
    return {"Pending": State.CREATED, "Running": State.RUNNING}.get(phase, State.UNKNOWN)


def _health(
    state: State,
    is_ready: bool,
    statuses: list[Mapping[str, Any]],
    told: Mapping[str, Mapping[str, Any]],
    started: float | None,
) -> Health:
    if state is State.EXITED:
        return Health.NONE
    if is_ready:
        return Health.HEALTHY
    if mapping(told.get("PodScheduled")).get("reason") == "Unschedulable" or any(map(_is_bad, statuses)):
        return Health.UNHEALTHY
    # It was ready in this run and is not any more; one that never was is still starting.
    lost_at = time_of(mapping(told.get("Ready")).get("lastTransitionTime"))
    was_ready = state is State.RUNNING and lost_at is not None and started is not None and lost_at > started + 1
    is_starting = any(item.get("started") is False for item in statuses)
    return Health.UNHEALTHY if was_ready and not is_starting else Health.STARTING


def _is_bad(status: Mapping[str, Any]) -> bool:
    ended = mapping(mapping(status.get("state")).get("terminated"))
    return is_waiting_in_vain(status) or number(ended.get("exitCode")) != 0


def _trouble(
    phase: str,
    inits: list[Mapping[str, Any]],
    mains: list[Mapping[str, Any]],
    sidecars: frozenset[str],
    told: Mapping[str, Mapping[str, Any]],
    status: Mapping[str, Any],
) -> tuple[str, tuple[str, ...]]:
    """Say why the pod is not ready, and which events may tell more."""
    if phase == "Succeeded":
        return "", ()
    if phase == "Failed":
        reason, message = word(status.get("reason")), text(status.get("message"))
        whole = f"{reason.lower() if reason == 'Evicted' else reason}: {message}" if message else reason
        ends = (f"{word(item.get('name'))}: {end_words(end)}" for item, end in _failed([*inits, *mains]))
        return joined((whole, *ends)) if reason != "Evicted" else whole, ()
    scheduled = mapping(told.get("PodScheduled"))
    if scheduled.get("status") == "False":
        return f"not scheduled: {why_not(scheduled)}", ()
    words: list[str] = []
    slots: list[str] = []
    for item in inits:
        name = word(item.get("name"))
        is_sidecar = name in sidecars
        words.append(_words(item, f"{'sidecar' if is_sidecar else 'init container'} {name}", slots, lasts=is_sidecar))
        if not is_sidecar and number(mapping(mapping(item.get("state")).get("terminated")).get("exitCode")):
            break
    initialized = mapping(told.get("Initialized")).get("status") != "False"
    if initialized:
        words += [_words(item, word(item.get("name")), slots, lasts=True) for item in mains]
    elif not any(words):
        words.append(_initializing(inits, sidecars))
    creating = [item for item in (*inits, *mains) if _is_creating(item)] if initialized or not any(words) else []
    if (creating or not mains) and not any(words):
        words.append("being created")
        slots += _CREATION
    gate = mapping(told.get("Ready"))
    if gate.get("reason") == "ReadinessGatesNotReady":
        words.append(f"waits for a readiness gate: {text(gate.get('message'))}")
    return joined(words), tuple(slots)


def _words(status: Mapping[str, Any], name: str, slots: list[str], *, lasts: bool) -> str:
    """Say what is wrong with a container of a pod that is not ready, and note which events may explain it."""
    state = mapping(status.get("state"))
    probe = f"Unhealthy/{word(status.get('name'))}"
    if state.get("waiting"):
        told = waiting_words(status)
        if is_looping(status):
            slots.append(probe)
        return f"{name}: {told}" if told else ""
    ended = mapping(state.get("terminated"))
    if ended:
        return f"{name}: {end_words(ended)}" if lasts or number(ended.get("exitCode")) else ""
    if not lasts or not state.get("running"):
        return ""
    if status.get("started") is False:
        slots.append(probe)
        return joined((f"{name} has not passed its startup probe", restart_words(status)))
    if status.get("ready") is not True:
        slots.append(probe)
        return joined((f"{name} is not ready", restart_words(status)))
    return ""


def _initializing(inits: list[Mapping[str, Any]], sidecars: frozenset[str]) -> str:
    running = [item for item in inits if mapping(item.get("state")).get("running") and item.get("name") not in sidecars]
    return f"init container {word(running[0].get('name'))} runs" if running else ""


def _is_creating(status: Mapping[str, Any]) -> bool:
    waiting = mapping(status.get("state")).get("waiting")
    return isinstance(waiting, dict) and word(waiting.get("reason")) in CREATING


def _failed(statuses: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    ends = ((item, last_end(item)) for item in statuses)
    return [(item, end) for item, end in ends if number(end.get("exitCode"))]


def _restarts(statuses: Iterable[Mapping[str, Any]]) -> list[str]:
    told = ((word(item.get("name")), restart_words(item)) for item in statuses)
    return [f"{name} {words}" for name, words in told if words]


def _exit_code(ended: list[Mapping[str, Any]]) -> int | None:
    codes = [number(end.get("exitCode")) for end in ended]
    return next((code for code in codes if code), codes[0] if codes else None)


def _ports(spec: Mapping[str, Any]) -> tuple[Port, ...]:
    return tuple(
        Port(number(port.get("containerPort")), word(port.get("protocol") or "TCP").lower())
        for item in mappings(spec.get("containers"))
        for port in mappings(item.get("ports"))
    )


def _facts(spec: Mapping[str, Any], status: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    mains = mappings(spec.get("containers"))
    claims = (mapping(item.get("persistentVolumeClaim")).get("claimName") for item in mappings(spec.get("volumes")))
    kind, name, _ = owner_of(meta)
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
