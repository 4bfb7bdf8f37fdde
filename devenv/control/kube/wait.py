"""Wait by watching until workloads are rolled out; say what is waited for as it changes; end early at what cannot heal.

outcome = wait_for(client, workloads_of(objects), Patience(timeout=120), report=print)
outcome.done, outcome.reason, outcome.pods
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError
from devenv.backends.kube.kinds import DAEMON_SETS, DEPLOYMENTS, EVENTS, JOBS, PODS, REPLICA_SETS, STATEFUL_SETS, Kind
from devenv.backends.kube.listwatch import ListWatch
from devenv.backends.kube.pod_start import Healing, PodStages, Trouble
from devenv.backends.streams import Backoff, Stream
from devenv.control.kube.rollout_view import Key, RolloutView, WorkloadState


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
TICK: Final = 0.5  # seconds between two looks when nothing is told: graces and the deadline end by the clock alone
EVENTS_WITHIN: Final = 1.0  # seconds after the end for the events that say when images were pulled


@dataclass(frozen=True, slots=True)
class Waiting:
    """How far it is: told whenever the words or a pod's stage change."""

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
    return wait_for(client, workloads, never, after_change=False, stop=_set())


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
        self._told: tuple[object, ...] = ()
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
        if news != self._told:
            self._told = news
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


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
