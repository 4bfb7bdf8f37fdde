"""Wait by watching until workloads are rolled out; say what is waited for as it changes; end early at what cannot heal.

What the watches read goes into a `RolloutView`, which judges it and says it in words.

outcome = wait_for(client, workloads_of(objects), Patience(timeout=120), report=print)
outcome.done, outcome.reason, outcome.pods
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError
from devenv.backends.kube.kinds import DAEMON_SETS, DEPLOYMENTS, EVENTS, JOBS, PODS, REPLICA_SETS, STATEFUL_SETS, Kind
from devenv.backends.kube.listwatch import ListWatch
from devenv.backends.kube.pod import Pod, read_pod
from devenv.backends.kube.pod_start import Healing, PodStages, Trouble, creation_trouble, pod_trouble, stages_of
from devenv.backends.kube.workload import Workload, old_pods, progress_of, read_workload
from devenv.backends.streams import Backoff, Stream

Key = tuple[str, str, str]  # kind in lower case, namespace, name
OLD: Final = 30.0  # seconds: a pod that is older when it is seen first was not made by the change that is waited for
_ORDER = list(Healing)


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """One workload at a moment. `waits` says what it waits for, in words; "" when it is rolled out."""

    kind: str
    namespace: str
    name: str
    done: bool
    desired: int = 0
    updated: int = 0
    ready: int = 0
    old: int = 0
    waits: str = ""
    troubles: tuple[Trouble, ...] = ()

    @property
    def title(self) -> str:
        """Kind and name, as kubectl writes them."""
        return f"{self.kind}/{self.name}"


@dataclass(slots=True)
class RolloutView:
    """The objects that matter to the rollout of `workloads`; not thread-safe.

    Only pods of a workload's new revision are judged: an old one may crash, the new one may be what repairs it.
    `after_change`: the caller changed something just now, so what went wrong before the view saw an object first,
    restarts and a deadline, is not of this rollout: an unchanged workload may have suffered from what another one's
    change repairs. Without a change of the caller's own it is what matters.
    """

    workloads: tuple[Key, ...]
    after_change: bool = True
    _objects: dict[Key, Workload] = field(default_factory=dict)  # ReplicaSets too
    _pods: dict[Key, Pod] = field(default_factory=dict)
    _before: dict[str, str | int] = field(default_factory=dict)  # by uid: an old deadline, or an old pod's restarts
    _events: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)  # by the involved object's uid

    def put(self, kind: str, item: Mapping[str, Any]) -> None:
        """Take an object that was listed, added or changed; `kind` is in lower case."""
        if kind == "event":
            about = str((item.get("involvedObject") or {}).get("uid", ""))
            self._events.setdefault(about, {})[_key(kind, item)[2]] = item
        elif kind == "pod":
            pod = self._pods[_key(kind, item)] = read_pod(item)
            if self.after_change:
                is_old = pod.created is not None and time.time() - pod.created > OLD
                restarts = max((one.restarts for one in pod.containers), default=0)
                self._before.setdefault(pod.uid, restarts if is_old else 0)
        else:
            workload = self._objects[_key(kind, item)] = read_workload(kind, item)
            if self.after_change and kind == "deployment":
                self._before.setdefault(workload.uid, workload.overdue)

    def remove(self, kind: str, item: Mapping[str, Any]) -> None:
        """Forget an object that was deleted. Events stay: they expire by themselves, and are still true."""
        (self._pods if kind == "pod" else self._objects).pop(_key(kind, item), None)

    def keep_only(self, kind: str, uids: Collection[str]) -> None:
        """Forget what a new list of the kind no longer has."""
        if kind == "pod":
            self._pods = {key: pod for key, pod in self._pods.items() if pod.uid in uids}
        else:
            self._objects = {key: one for key, one in self._objects.items() if key[0] != kind or one.uid in uids}

    def get(self, key: Key) -> Mapping[str, Any] | None:
        """Return a workload's object as it was read last; None where it is not there."""
        workload = self._objects.get(key)
        return workload.raw if workload is not None else None

    def states(self) -> tuple[WorkloadState, ...]:
        """Judge every workload as it is now."""
        return tuple(self._state(key) for key in self.workloads)

    def pods(self) -> tuple[PodStages, ...]:
        """Return the stages of the pods of all new revisions, oldest first."""
        stages = [
            stages_of(pod, self._about(pod), f"{key[0]}/{key[2]}")
            for key in self.workloads
            if (workload := self._objects.get(key)) is not None
            for pod in self._new_pods(workload)
        ]
        return tuple(sorted(stages, key=lambda pod: (pod.created, pod.name)))

    def is_leaving(self, namespace: str) -> bool:
        """Whether a pod of that namespace is on its way out: until it is gone, a quota counts it."""
        return any(pod.is_leaving for key, pod in self._pods.items() if key[1] == namespace)

    def _state(self, key: Key) -> WorkloadState:
        kind, _, name = key
        workload = self._objects.get(key)
        if workload is None:
            return WorkloadState(*key, done=False, waits="it is not there")
        progress = progress_of(workload, str(self._before.get(workload.uid, "")))
        old = self._old_replicas(workload) if kind == "deployment" and progress.observed else 0
        counts = (progress.desired, progress.updated, progress.ready, max(progress.old, old))
        if progress.done and not old:
            return WorkloadState(*key, True, *counts)
        troubles = [*progress.troubles, *(self._troubles(workload) if progress.observed else ())]
        troubles.sort(key=lambda trouble: _ORDER.index(trouble.healing))
        troubles = [_with_cause(trouble, troubles) for trouble in troubles]
        words = [progress.words or (old_pods(old) if old else "")]
        stopping = 0 if troubles else self._stopping(workload)
        if stopping:
            words.append(old_pods(stopping, "stopping"))
        if troubles:
            worst = troubles[0]
            subject = "" if worst.subject == name else worst.subject
            if words[0] and counts[3] and subject:  # the words before are about old pods, and this is a new one
                words = [f"{words[0]}; the new {subject}"]
            else:
                words.append(subject)
            words.append(f"{worst.reason}, {worst.text}" if worst.text else worst.reason)
        return WorkloadState(*key, False, *counts, ": ".join(filter(None, words)), tuple(troubles))

    def _troubles(self, workload: Workload) -> list[Trouble]:
        pods = self._new_pods(workload)
        troubles = [pod_trouble(pod, self._about(pod), int(self._before.get(pod.uid, 0))) for pod in pods]
        return [*self._creation_troubles(workload, pods), *(trouble for trouble in troubles if trouble is not None)]

    def _creation_troubles(self, workload: Workload, pods: Sequence[Pod]) -> list[Trouble]:
        owner = self._owner_of_pods(workload)
        if owner is None:
            return []
        if workload.kind == "deployment":  # its ReplicaSet says it in a condition that goes; an event stays
            failure = owner.replica_failure
            return [creation_trouble(owner.name, failure)] if failure is not None else []
        events = [item for item in self._about(owner) if item.get("reason") == "FailedCreate"]
        return [creation_trouble(owner.name, events[-1])] if events and not pods else []

    def _new_pods(self, workload: Workload) -> list[Pod]:
        owner = self._owner_of_pods(workload)
        if owner is None:
            return []
        owned = [pod for pod in self._pods.values() if pod.owner[2] == owner.uid]
        return [pod for pod in owned if not pod.is_leaving and workload.is_new(pod)]

    def _owner_of_pods(self, workload: Workload) -> Workload | None:
        """Return a Deployment's new ReplicaSet, None while there is none; other workloads own their pods."""
        if workload.kind != "deployment":
            return workload
        sets = self._replica_sets(workload)
        same = [item for item in sets if item.template == workload.template]
        if same:
            return min(same, key=lambda item: str(item.meta.get("creationTimestamp")))
        # An API server that defaults more fields than the one that made the ReplicaSet makes the templates differ.
        return next((item for item in sets if workload.revision and item.revision == workload.revision), None)

    def _old_replicas(self, deployment: Workload) -> int:
        new = self._owner_of_pods(deployment)
        return sum(item.replicas for item in self._replica_sets(deployment) if item is not new) if new else 0

    def _stopping(self, workload: Workload) -> int:
        owners = [workload] if workload.kind != "deployment" else self._replica_sets(workload)
        uids = {item.uid for item in owners}
        return sum(pod.is_leaving for pod in self._pods.values() if pod.owner[2] in uids)

    def _replica_sets(self, deployment: Workload) -> list[Workload]:
        items = self._objects.items()
        return [item for key, item in items if key[0] == "replicaset" and item.owner[2] == deployment.uid]

    def _about(self, item: Pod | Workload) -> list[Mapping[str, Any]]:
        return list(self._events.get(item.uid, {}).values())


def _with_cause(trouble: Trouble, every: Sequence[Trouble]) -> Trouble:
    """Add to a deadline that passed what a pod was held back by: the deadline alone says that, and not why."""
    if trouble.reason != "ProgressDeadlineExceeded":
        return trouble
    cause = next((item for item in every if item.subject != trouble.subject), None)
    if cause is None:
        return trouble
    said = f"{cause.reason}, {cause.text}" if cause.text else cause.reason
    return replace(trouble, text=f"{trouble.text}; {cause.subject}: {said}")


def _key(kind: str, item: Mapping[str, Any]) -> Key:
    metadata = item.get("metadata") or {}
    return kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each kind of trouble may last, in seconds; 0 fails at once. `timeout` is for the whole."""

    timeout: float = 120.0
    pull: float = 40.0  # the kubelet tries again after 10 s and 20 s more (--image-pull backoff)
    config: float = 20.0
    schedule: float = 30.0  # the cluster autoscaler looks every 10 s and says so in an event
    quota: float = 10.0
    crash_restarts: int = 2  # with the kubelet's back-off some 12 s after the first crash

    def allows(self, trouble: Trouble) -> float:
        """Return how many seconds a trouble may last."""
        if trouble.healing is Healing.CRASH:
            return float("inf") if trouble.restarts < self.crash_restarts else 0.0
        given = {
            Healing.NEVER: 0.0,
            Healing.PULL: self.pull,
            Healing.CONFIG: self.config,
            Healing.SCHEDULE: self.schedule,
            Healing.QUOTA: self.quota,
        }
        return given.get(trouble.healing, float("inf"))


@dataclass(frozen=True, slots=True)
class Stuck:
    """What cannot heal: in which workload, the reason's name, and words."""

    workload: str
    reason: str
    text: str
    seconds: float = 0.0  # how long it lasted
    namespace: str = ""
    subject: str = ""  # the pod, ReplicaSet or workload that it is about

    def __str__(self) -> str:
        return f"{self.workload}: {self.reason}, {self.text}" if self.text else f"{self.workload}: {self.reason}"


@dataclass(slots=True)
class StuckClock:
    """Remembers since when each trouble lasts, by the clock that the caller reads."""

    patience: Patience
    _since: dict[tuple[str, str, Healing], float] = field(default_factory=dict)

    def look(
        self, states: Iterable[WorkloadState], now: float, is_leaving: Callable[[str], bool] = lambda _: False
    ) -> Stuck | None:
        """Return the first trouble whose time is over. `is_leaving` tells whether pods of a namespace still go."""
        seen: dict[tuple[str, str, Healing], float] = {}
        stuck: Stuck | None = None
        for state in states:
            for trouble in state.troubles:
                if trouble.healing is Healing.QUOTA and is_leaving(state.namespace):
                    continue  # it counts again from when they are gone
                key = (f"{state.namespace}/{state.title}", trouble.subject, trouble.healing)
                since = seen[key] = self._since.get(key, now)
                if stuck is None and now - since >= self.patience.allows(trouble):
                    about = "" if trouble.subject == state.name else f"{trouble.subject}: "
                    words = f"{about}{trouble.text}"
                    stuck = Stuck(state.title, trouble.reason, words, now - since, state.namespace, trouble.subject)
        self._since = seen
        return stuck


_WORKLOADS: Final = {"deployment": DEPLOYMENTS, "statefulset": STATEFUL_SETS, "daemonset": DAEMON_SETS, "job": JOBS}
JOIN: Final = 2.0  # seconds that closing waits for a thread; its connection is closed by then
TICK: Final = 0.5  # seconds between two looks when nothing arrives: graces and the deadline end by the clock alone
EVENTS_WITHIN: Final = 1.0  # seconds after the end for the events that say when images were pulled


@dataclass(frozen=True, slots=True)
class Waiting:
    """How far it is: reported whenever the words or a pod's stage change."""

    seconds: float
    states: tuple[WorkloadState, ...]
    pods: tuple[PodStages, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """A sentence for each workload that is not rolled out."""
        return tuple(f"{state.title}: {state.waits}" for state in self.states if not state.done)


@dataclass(frozen=True, slots=True)
class WaitResult:
    """How a wait ended: `done`, or `stuck` on what cannot heal, or `lost` (nothing could be read), else out of time.

    `limits` says what the account may not read: reasons are then missing. `objects` are the workloads as last seen.
    """

    done: bool
    seconds: float
    states: tuple[WorkloadState, ...] = ()
    pods: tuple[PodStages, ...] = ()
    stuck: Stuck | None = None
    lost: str = ""
    limits: tuple[str, ...] = ()
    objects: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why it is not done, in words; "" when it is."""
        if self.done:
            return ""
        if self.stuck is not None:
            return str(self.stuck)
        if self.lost:
            return f"the cluster could not be asked any more: {self.lost}"
        waits = "; ".join(f"{state.title}: {state.waits}" for state in self.states if not state.done)
        return f"not rolled out within {self.seconds:.0f} s: {waits}" if waits else "it was not waited for"


def wait_for(
    client: KubeClient,
    workloads: Collection[Key],
    patience: Patience = Patience(),
    *,
    after_change: bool = True,
    report: Callable[[Waiting], None] = lambda waiting: None,
    stop: threading.Event | None = None,
) -> WaitResult:
    """Watch until all are rolled out, one is stuck, or the time is over; `stop` ends it early.

    `after_change`: what is wrong already when it begins may be what the caller's change repairs, and has its time;
    without a change such a trouble ends the wait at once.
    Raises Forbidden where the account may not read the workloads themselves, and Unauthorized.
    """
    wait = _Wait(client, RolloutView(tuple(workloads), after_change), patience, report)
    for stream in wait.streams:
        stream.start()
    try:
        return wait.run(stop or threading.Event())
    finally:
        for stream in wait.streams:
            stream.stop()
        for stream in wait.streams:
            stream.join(JOIN)


def look(client: KubeClient, workloads: Collection[Key], timeout: float = 15.0) -> WaitResult:
    """Return the workloads as they are now, without waiting for anything but the first lists."""
    never = Patience(timeout=timeout, pull=1e9, config=1e9, schedule=1e9, quota=1e9, crash_restarts=10**9)
    at_once = threading.Event()
    at_once.set()
    return wait_for(client, workloads, never, after_change=False, stop=at_once)


_Key = tuple[str, str]  # of a watch: the kind in lower case, and the namespace


class _Wait:
    """One wait. The watches' threads put what they read into the view, under the lock; `run` judges it."""

    def __init__(
        self,
        client: KubeClient,
        view: RolloutView,
        patience: Patience,
        report: Callable[[Waiting], None],
    ) -> None:
        self._client = client
        self._view = view
        self._patience = patience
        self._report = report
        self._stuck = StuckClock(patience)
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._missing: set[_Key] = set()  # what is to be listed before anything is judged
        self._needed: set[_Key] = set()  # without which a wait is impossible
        self._down: dict[_Key, str] = {}
        self._refused: KubeError | None = None
        self._limits: dict[str, None] = {}
        self._reported: tuple[object, ...] = ()
        self._began = time.monotonic()
        self.streams = [
            self._watch(kind, (name, namespace))
            for namespace in sorted({key[1] for key in view.workloads})
            for name, kind in self._kinds(namespace).items()
        ]

    def _kinds(self, namespace: str) -> dict[str, Kind]:
        """Return what to watch in one namespace."""
        kinds = {key[0]: _WORKLOADS[key[0]] for key in self._view.workloads if key[1] == namespace}
        if "deployment" in kinds:
            kinds["replicaset"] = REPLICA_SETS
        self._needed |= {(name, namespace) for name in kinds}
        return {**kinds, "pod": PODS, "event": EVENTS}

    def _watch(self, kind: Kind, key: _Key) -> Stream:
        name, view = key[0], self._view
        self._missing.add(key)

        def take(change: Callable[[], object]) -> None:
            with self._lock:
                change()
            self._news.set()

        def page(items: list[dict[str, Any]], first: bool) -> None:
            for item in items:
                take(partial(view.put, name, item))

        def listed(uids: frozenset[str]) -> None:
            if name != "event":
                view.keep_only(name, uids)
            self._missing.discard(key)

        watch = ListWatch(
            self._client,
            kind,
            key[1],
            on_page=page,
            on_listed=lambda uids: take(partial(listed, uids)),
            on_event=lambda what, item: take(partial(view.remove if what == "DELETED" else view.put, name, item)),
            on_live=lambda: take(partial(self._down.pop, key, None)),
        )

        def run(stream: Stream) -> None:
            try:
                watch.run(stream)
            except Forbidden as error:  # it is given up
                stream.finish()
                take(partial(self._is_down, key, error))

        def down(error: Exception | None, pause: float) -> None:
            if error is not None:
                known = error if isinstance(error, KubeError) else KubeError(f"reading {kind.plural} failed: {error!r}")
                take(partial(self._is_down, key, known))

        return Stream(f"rollout-{name}-{key[1]}", run, down, backoff=Backoff(longest=5.0))

    def _is_down(self, key: _Key, error: KubeError) -> None:
        if error.status == 401 or (isinstance(error, Forbidden) and key in self._needed):
            self._refused = error
        elif isinstance(error, Forbidden):
            self._missing.discard(key)
            self._limits[f"{key[0]}s cannot be read, so some reasons are missing: {error.message}"] = None
        else:
            self._down[key] = error.message

    def run(self, stop: threading.Event) -> WaitResult:
        while True:
            self._wait()
            with self._lock:
                elapsed = time.monotonic() - self._began
                known, states, pods = not self._missing, self._view.states(), self._view.pods()
                stuck = self._stuck.look(states, time.monotonic(), self._view.is_leaving) if known else None
            if known and all(state.done for state in states):
                self._linger()
                return self._outcome(True, elapsed)
            if known:
                self._tell(Waiting(elapsed, states, pods))
            late = self._patience.timeout and elapsed >= self._patience.timeout
            if stuck is not None or late or (known and stop.is_set()):
                return self._outcome(False, elapsed, stuck)

    def _wait(self) -> None:
        """Wait for news, at most a TICK; raises what makes the wait impossible."""
        self._news.wait(TICK)
        self._news.clear()
        if self._refused is not None:
            raise self._refused

    def _tell(self, waiting: Waiting) -> None:
        waits = tuple(state.waits for state in waiting.states)
        news = (waits, tuple((pod.name, tuple(pod.seconds)) for pod in waiting.pods))
        if news != self._reported:
            self._reported = news
            self._report(waiting)

    def _linger(self) -> None:
        """Give the events that are still on their way a moment: only they say when an image was pulled."""
        deadline = time.monotonic() + EVENTS_WITHIN
        while time.monotonic() < deadline and not any(text.startswith("events") for text in self._limits):
            with self._lock:
                if all(pod.pulled or not pod.started for pod in self._view.pods()):
                    return
            self._wait()

    def _outcome(self, done: bool, elapsed: float, stuck: Stuck | None = None) -> WaitResult:
        with self._lock:
            states, pods = ((), ()) if self._missing else (self._view.states(), self._view.pods())
            down = "" if done or stuck else next((text for key, text in self._down.items() if key in self._needed), "")
            objects = {key: item for key in self._view.workloads if (item := self._view.get(key)) is not None}
            return WaitResult(done, elapsed, states, pods, stuck, down, tuple(self._limits), objects)
