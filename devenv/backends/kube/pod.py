"""A pod, read once for everybody: its containers, how they are and ended, its readiness, and the row kubectl prints.

The terminal, a wait, a deployment and a test read the same record. Names and reasons are safe to show; messages are as
the cluster wrote them, and whoever shows one makes it safe and short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from devenv.backends.kube.fields import conditions, mapping, mappings, number, owner_of, time_of, word

HASH: Final = "pod-template-hash"
ENDED: Final = ("Succeeded", "Failed")  # phases of a pod whose containers are over for good
_LOST: Final = "NodeLost"  # pkg/util/node: the pod's node does not answer any more
_CREATING: Final = ("ContainerCreating", "PodInitializing", "")


class End(msgspec.Struct, frozen=True, gc=False):
    """How a run of a container ended."""

    code: int
    signal: int
    reason: str
    message: str
    at: float | None


class Container(msgspec.Struct, frozen=True, gc=False):
    """One container; `waiting` is the reason, None where it does not wait; `ended` is now, `before` its last run's."""

    name: str
    init: bool  # a sidecar is one too
    sidecar: bool  # an init container that runs as long as the pod does (restartPolicy Always)
    ready: bool
    started: bool | None  # None: nobody says
    restarts: int
    running: bool
    running_since: float | None
    waiting: str | None
    waiting_message: str
    ended: End | None
    before: End | None
    image: str  # as the runtime names it
    image_id: str
    id: str

    @property
    def last_end(self) -> End | None:
        """How it ended last: now, or before its present run."""
        return self.ended or self.before

    @property
    def is_creating(self) -> bool:
        """Whether it waits for what comes by waiting."""
        return self.waiting is not None and self.waiting in _CREATING

    @property
    def is_waiting_in_vain(self) -> bool:
        """Whether it waits for something that does not come by waiting."""
        return self.waiting is not None and self.waiting not in _CREATING

    @property
    def is_looping(self) -> bool:
        """Whether it crashed and the kubelet holds its next start back."""
        return self.waiting == "CrashLoopBackOff"

    @property
    def is_serving(self) -> bool:
        """Whether it runs and is ready."""
        return self.running and not self.waiting and self.ended is None and self.ready


class Row(NamedTuple):
    """What `kubectl get pods` prints; `restarted_at` is the end of the run before the newest restart, else None."""

    status: str
    ready: int
    total: int
    restarts: int
    restarted_at: float | None


class Pod(msgspec.Struct, frozen=True):
    """One pod; `owner` is (kind, name, uid) of the controller that makes it again, empty where there is none.

    `raw` is the whole object, and its three parts, for what a single view needs of it.
    """

    raw: Mapping[str, Any]
    meta: Mapping[str, Any]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    uid: str
    namespace: str
    name: str
    created: float | None
    owner: tuple[str, str, str]
    is_leaving: bool  # under deletion
    is_ready: bool  # by its Ready condition; one under deletion may still be
    phase: str
    reason: str
    message: str
    conditions: Mapping[str, Mapping[str, Any]]
    sidecars: frozenset[str]
    inits: tuple[Container, ...]
    mains: tuple[Container, ...]

    @property
    def labels(self) -> Mapping[str, Any]:
        """Its labels."""
        return mapping(self.meta.get("labels"))

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers of its life, init containers first."""
        return (*self.inits, *self.mains)

    @property
    def lasting(self) -> tuple[Container, ...]:
        """The containers that run as long as the pod does: sidecars and main ones."""
        return (*(item for item in self.inits if item.sidecar), *self.mains)

    @property
    def is_serving(self) -> bool:
        """Whether it is ready and stays."""
        return self.is_ready and not self.is_leaving

    @property
    def is_finished(self) -> bool:
        """Whether its containers have all ended for good."""
        return self.phase in ENDED

    @property
    def workload(self) -> tuple[str, str]:
        """(kind, name) of what runs it: of a ReplicaSet's pod the Deployment."""
        kind, name, _ = self.owner
        made_by = f"-{word(self.labels.get(HASH))}"
        if kind == "ReplicaSet" and len(made_by) > 1 and name.endswith(made_by):  # a Deployment names its sets so
            return "Deployment", name.removesuffix(made_by)
        return kind, name

    def holds(self, condition: str) -> bool:
        """Whether a condition is true."""
        return self.condition(condition).get("status") == "True"

    def condition(self, name: str) -> Mapping[str, Any]:
        """Return a condition, empty where there is none."""
        return mapping(self.conditions.get(name))

    def declared(self) -> Iterator[Mapping[str, Any]]:
        """Yield its containers as the spec has them, init containers first."""
        yield from mappings(self.spec.get("initContainers"))
        yield from mappings(self.spec.get("containers"))

    def row(self) -> Row:
        """Return what kubectl prints of it: printPod of Kubernetes (pkg/printers/internalversion/printers.go)."""
        stage, ready = _init_stage(self.inits, len(mappings(self.spec.get("initContainers"))))
        shown, counted = stage or self.reason or self.phase, self.inits
        if not stage and self.condition("PodScheduled").get("reason") == "SchedulingGated":
            shown = "SchedulingGated"
        if not stage or self.holds("Initialized"):
            shown = _word_of(self.mains, shown, is_ready=self.is_ready)
            ready += sum(item.is_serving for item in self.mains)
            counted = self.lasting
        if self.is_leaving:
            if self.reason == _LOST:
                shown = "Unknown"
            elif not self.is_finished:
                shown = "Terminating"
        declared = self.spec.get("containers")
        total = len(declared) if isinstance(declared, list) else len(self.mains)
        restarts = sum(item.restarts for item in counted)
        ends = (item.before.at for item in counted if item.before is not None and item.before.at is not None)
        return Row(shown, ready, len(self.sidecars) + total, restarts, max(ends, default=None) if restarts else None)


def read_pod(raw: Mapping[str, Any]) -> Pod:
    """Read a pod's object; what is missing or of another type reads as empty."""
    meta, spec, status = mapping(raw.get("metadata")), mapping(raw.get("spec")), mapping(raw.get("status"))
    inits = mappings(spec.get("initContainers"))
    sidecars = frozenset(word(item.get("name")) for item in inits if item.get("restartPolicy") == "Always")
    states = conditions(status)
    uid, message = meta.get("uid"), status.get("message")
    return Pod(
        raw=raw,
        meta=meta,
        spec=spec,
        status=status,
        uid=uid if isinstance(uid, str) else "",
        namespace=word(meta.get("namespace")),
        name=word(meta.get("name")),
        created=time_of(meta.get("creationTimestamp")),
        owner=owner_of(meta),
        is_leaving=bool(meta.get("deletionTimestamp")),
        is_ready=mapping(states.get("Ready")).get("status") == "True",
        phase=word(status.get("phase")),
        reason=word(status.get("reason")),
        message=message if isinstance(message, str) else "",
        conditions=states,
        sidecars=sidecars,
        inits=tuple(read_container(item, sidecars) for item in mappings(status.get("initContainerStatuses"))),
        mains=tuple(map(read_container, mappings(status.get("containerStatuses")))),
    )


def read_container(status: Mapping[str, Any], sidecars: frozenset[str] | None = None) -> Container:
    """Read a container's status; `sidecars` names those of the pod where it is an init container."""
    state, name = mapping(status.get("state")), word(status.get("name"))
    waiting, running = state.get("waiting"), state.get("running")
    waits = mapping(waiting)
    message = waits.get("message")
    return Container(
        name=name,
        init=sidecars is not None,
        sidecar=sidecars is not None and name in sidecars,
        ready=status.get("ready") is True,
        started=started if isinstance(started := status.get("started"), bool) else None,
        restarts=number(status.get("restartCount")),
        running=isinstance(running, dict),
        running_since=time_of(mapping(running).get("startedAt")),
        waiting=word(waits.get("reason")) if isinstance(waiting, dict) else None,
        waiting_message=message if isinstance(message, str) else "",
        ended=_end(state.get("terminated")),
        before=_end(mapping(status.get("lastState")).get("terminated")),
        image=word(status.get("image")),
        image_id=word(status.get("imageID")),
        id=word(status.get("containerID")),
    )


def _end(ended: object) -> End | None:
    if not isinstance(ended, dict):
        return None
    message = ended.get("message")
    return End(
        number(ended.get("exitCode")),
        number(ended.get("signal")),
        word(ended.get("reason")),
        message if isinstance(message, str) else "",
        time_of(ended.get("finishedAt")),
    )


def _init_stage(inits: tuple[Container, ...], total: int) -> tuple[str, int]:
    """Return the word for the first init container that is not done, "" where all are, and the ready sidecars before.

    A sidecar is done once it has started; its own end does not hold up a pod that is over.
    """
    ready = 0
    for index, item in enumerate(inits):
        if item.ended is not None and not item.ended.code:
            continue
        if item.sidecar and item.started is True:
            ready += item.ready
            continue
        if item.ended is not None:
            return f"Init:{_end_word(item.ended)}", ready
        if item.waiting and item.waiting != "PodInitializing":
            return f"Init:{item.waiting}", ready
        return f"Init:{index}/{total}", ready
    return "", ready


def _word_of(mains: tuple[Container, ...], shown: str, *, is_ready: bool) -> str:
    """Return the word of the first container that waits or has ended, else `shown`.

    What has ended well gives way to what failed, and to what still runs.
    """
    failure = ""
    for item in reversed(mains):
        if item.waiting:
            shown = item.waiting
        elif item.ended is not None:
            shown = _end_word(item.ended)
            failure = shown if item.ended.code else failure
    if shown != "Completed":
        return shown
    serving = any(item.is_serving for item in mains)
    if serving and is_ready:
        return "Running"
    return failure or ("NotReady" if serving else shown)


def _end_word(end: End) -> str:
    return end.reason or (f"Signal:{end.signal}" if end.signal else f"ExitCode:{end.code}")
