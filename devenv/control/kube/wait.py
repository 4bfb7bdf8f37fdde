"""Wait by watching until workloads are rolled out; say what is waited for as it changes; end early at what cannot heal.

outcome = wait_for(client, workloads_of(objects), Patience(timeout=120), report=print)
outcome.done, outcome.reason, outcome.pods
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class News:
    """One thing that a watch told. `kind` is in lower case; `what`: put, remove, listed, live, down."""

    kind: str
    namespace: str
    what: str
    item: Any = None

    def into(self, view: RolloutView) -> None:
        """Let the view take it."""
        if self.what == "put":
            view.put(self.kind, self.item)
        elif self.what == "remove":
            view.remove(self.kind, self.item)
        elif self.what == "listed" and self.kind != "event":
            view.keep_only(self.kind, self.item)


def kinds_for(workloads: Collection[Key]) -> dict[str, tuple[Kind, bool]]:
    """Return what to watch in one namespace for these workloads, and whether the wait is impossible without it."""
    kinds = {kind: (_WORKLOADS[kind], True) for kind in dict.fromkeys(key[0] for key in workloads)}
    if "deployment" in kinds:
        kinds["replicaset"] = (REPLICA_SETS, True)
    return {**kinds, "pod": (PODS, False), "event": (EVENTS, False)}


class RolloutFeed:
    """Runs the watches. A kind that the account may not read is told as `down` with Forbidden, and given up."""

    def __init__(self, client: KubeClient, workloads: Collection[Key]) -> None:
        self.news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self.lists: set[tuple[str, str]] = set()  # what is listed before anything is judged
        self.needed: set[tuple[str, str]] = set()  # without which a wait is impossible
        self._streams: list[Stream] = []
        for namespace in sorted({key[1] for key in workloads}):
            here = [key for key in workloads if key[1] == namespace]
            for name, (kind, needed) in kinds_for(here).items():
                self.lists.add((name, namespace))
                if needed:
                    self.needed.add((name, namespace))
                self._streams.append(self._stream(client, kind, name, namespace))

    def start(self) -> None:
        """Open all watches."""
        for stream in self._streams:
            stream.start()

    def close(self) -> None:
        """Close all watches and wait a moment for their threads."""
        for stream in self._streams:
            stream.stop()
        for stream in self._streams:
            stream.join(JOIN)

    def _stream(self, client: KubeClient, kind: Kind, name: str, namespace: str) -> Stream:
        def tell(what: str, item: Any = None) -> None:
            self.news.put(News(name, namespace, what, item))

        def page(items: list[dict[str, Any]], first: bool) -> None:
            for item in items:
                tell("put", item)

        def event(what: str, item: dict[str, Any]) -> None:
            tell("remove" if what == "DELETED" else "put", item)

        watch = ListWatch(
            client,
            kind,
            namespace,
            on_page=page,
            on_listed=lambda uids: tell("listed", uids),
            on_event=event,
            on_live=lambda: tell("live"),
        )

        def run(stream: Stream) -> None:
            try:
                watch.run(stream)
            except Forbidden as error:
                stream.finish()
                tell("down", error)

        def down(error: Exception | None, pause: float) -> None:
            if error is not None:
                known = isinstance(error, KubeError)
                tell("down", error if known else KubeError(f"reading {kind.plural} failed: {error!r}"))

        return Stream(f"rollout-{name}-{namespace}", run, down, backoff=Backoff(longest=5.0))


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
    clock: Callable[[], float] = time.monotonic,
) -> WaitResult:
    """Watch until all are rolled out, one is stuck, or the time is over; `stop` ends it early.

    `after_change`: what is wrong already when it begins may be what the caller's change repairs, and has its time;
    without a change such a trouble ends the wait at once.
    Raises Forbidden where the account may not read the workloads themselves, and Unauthorized.
    """
    feed = RolloutFeed(client, workloads)
    view = RolloutView(tuple(workloads), after_change)
    waiter = _Waiter(feed, view, patience, report, clock)
    feed.start()
    try:
        return waiter.run(stop or threading.Event())
    finally:
        feed.close()


def look(client: KubeClient, workloads: Collection[Key], timeout: float = 15.0) -> WaitResult:
    """Return the workloads as they are now, without waiting for anything but the first lists."""
    never = Patience(timeout=timeout, pull=1e9, config=1e9, schedule=1e9, quota=1e9, crash_restarts=10**9)
    return wait_for(client, workloads, never, after_change=False, stop=_set())


class _Waiter:
    def __init__(
        self,
        feed: RolloutFeed,
        view: RolloutView,
        patience: Patience,
        report: Callable[[Waiting], None],
        clock: Callable[[], float],
    ) -> None:
        self._feed = feed
        self._view = view
        self._patience = patience
        self._report = report
        self._clock = clock
        self._stuck = StuckClock(patience)
        self._missing = set(feed.lists)
        self._down: dict[tuple[str, str], str] = {}
        self._limits: dict[str, None] = {}
        self._told: tuple[object, ...] = ()
        self._began = clock()

    def run(self, stop: threading.Event) -> WaitResult:
        while True:
            self._take()
            elapsed = self._clock() - self._began
            if not self._missing:
                states = self._view.states()
                if all(state.done for state in states):
                    self._linger()
                    return self._outcome(True, elapsed)
                stuck = self._stuck.look(states, self._clock(), self._view.is_leaving)
                self._tell(elapsed, states)
                if stuck is not None:
                    return self._outcome(False, elapsed, stuck)
                if stop.is_set():
                    return self._outcome(False, elapsed)
            if self._patience.timeout and elapsed >= self._patience.timeout:
                return self._outcome(False, elapsed)

    def _take(self) -> None:
        """Wait for news, at most a TICK, and take all that is there."""
        try:
            news = self._feed.news.get(timeout=TICK)
            while True:
                key = (news.kind, news.namespace)
                if news.what == "down":
                    self._is_down(key, news.item)
                elif news.what == "live":
                    self._down.pop(key, None)
                else:
                    news.into(self._view)
                    if news.what == "listed":
                        self._missing.discard(key)
                news = self._feed.news.get_nowait()
        except queue.Empty:
            return

    def _is_down(self, key: tuple[str, str], error: KubeError) -> None:
        if isinstance(error, Forbidden):
            if key in self._feed.needed:
                raise error
            self._missing.discard(key)
            self._limits[f"{key[0]}s cannot be read, so some reasons are missing: {error.message}"] = None
        elif error.status == 401:
            raise error
        else:
            self._down[key] = error.message

    def _tell(self, elapsed: float, states: tuple[WorkloadState, ...]) -> None:
        pods = self._view.pods()
        news = (tuple(state.waits for state in states), tuple((pod.name, tuple(pod.seconds)) for pod in pods))
        if news != self._told:
            self._told = news
            self._report(Waiting(elapsed, states, pods))

    def _linger(self) -> None:
        """Give the events that are still on their way a moment: only they say when an image was pulled."""
        deadline = self._clock() + EVENTS_WITHIN
        while self._clock() < deadline and any(pod.started and not pod.pulled for pod in self._view.pods()):
            if any(text.startswith("events") for text in self._limits):
                return
            self._take()

    def _outcome(self, done: bool, elapsed: float, stuck: Stuck | None = None) -> WaitResult:
        states = self._view.states() if not self._missing else ()
        pods = self._view.pods() if not self._missing else ()
        lost = "" if done or stuck else next((text for key, text in self._down.items() if key in self._feed.needed), "")
        objects = {key: item for key in self._view.workloads if (item := self._view.get(key)) is not None}
        return WaitResult(done, elapsed, states, pods, stuck, lost, tuple(self._limits), objects)


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
