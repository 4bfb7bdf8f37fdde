"""A pod: its state, its health and why, from its containers, conditions and phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from devenv.backends.kube.parse import container as containers
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
from devenv.backends.kube.parse.pod_row import ENDED, pod_row, sidecars_of
from devenv.core.model import Health, Port, State
from devenv.core.text import human_bytes

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
    ended = [end for end in map(containers.last_end, mains) if end]
    running = [at for at in map(containers.started_at, mains) if at is not None]
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
    if any(containers.is_looping(item) for item in statuses):
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
    return containers.is_waiting_in_vain(status) or number(ended.get("exitCode")) != 0


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
        ends = (f"{word(item.get('name'))}: {containers.end_words(end)}" for item, end in _failed([*inits, *mains]))
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
        told = containers.waiting_words(status)
        if containers.is_looping(status):
            slots.append(probe)
        return f"{name}: {told}" if told else ""
    ended = mapping(state.get("terminated"))
    if ended:
        return f"{name}: {containers.end_words(ended)}" if lasts or number(ended.get("exitCode")) else ""
    if not lasts or not state.get("running"):
        return ""
    if status.get("started") is False:
        slots.append(probe)
        return joined((f"{name} has not passed its startup probe", containers.restart_words(status)))
    if status.get("ready") is not True:
        slots.append(probe)
        return joined((f"{name} is not ready", containers.restart_words(status)))
    return ""


def _initializing(inits: list[Mapping[str, Any]], sidecars: frozenset[str]) -> str:
    running = [item for item in inits if mapping(item.get("state")).get("running") and item.get("name") not in sidecars]
    return f"init container {word(running[0].get('name'))} runs" if running else ""


def _is_creating(status: Mapping[str, Any]) -> bool:
    waiting = mapping(status.get("state")).get("waiting")
    return isinstance(waiting, dict) and word(waiting.get("reason")) in containers.CREATING


def _failed(statuses: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    ends = ((item, containers.last_end(item)) for item in statuses)
    return [(item, end) for item, end in ends if number(end.get("exitCode"))]


def _restarts(statuses: Iterable[Mapping[str, Any]]) -> list[str]:
    told = ((word(item.get("name")), containers.restart_words(item)) for item in statuses)
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
