"""The cells that `kubectl get pods` prints of a pod: READY, STATUS and RESTARTS.

The rule is printPod of Kubernetes (pkg/printers/internalversion/printers.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from devenv.backends.kube.parse.common import conditions, mapping, mappings, number, time_of, word

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
    stage, ready = _initializing(inits, sidecars, len(mappings(spec.get("initContainers"))))
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


def _initializing(inits: Iterable[Mapping[str, Any]], sidecars: frozenset[str], wanted: int) -> tuple[str, int]:
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
