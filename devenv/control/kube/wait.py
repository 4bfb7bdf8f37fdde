"""Wait by watching until workloads are rolled out; say what is waited for as it changes; end early at what cannot heal.

outcome = wait_for(client, workloads_of(objects), Patience(timeout=120), report=print)
outcome.done, outcome.reason, outcome.pods
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError
from devenv.control.kube.pod_stages import PodStages
from devenv.control.kube.rollout_feed import RolloutFeed
from devenv.control.kube.rollout_view import Key, RolloutView, WorkloadState
from devenv.control.kube.stuck import Patience, Stuck, StuckClock

__all__ = ["Outcome", "Patience", "Stuck", "Waiting", "look", "wait_for"]

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
class Outcome:
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
    patience: Patience = Patience(),  # noqa: B008 - a frozen record without state
    *,
    after_change: bool = True,
    report: Callable[[Waiting], None] = lambda waiting: None,
    stop: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
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


def look(client: KubeClient, workloads: Collection[Key], timeout: float = 15.0) -> Outcome:
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

    def run(self, stop: threading.Event) -> Outcome:
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
        told = (tuple(state.waits for state in states), tuple((pod.name, tuple(pod.seconds)) for pod in pods))
        if told != self._told:
            self._told = told
            self._report(Waiting(elapsed, states, pods))

    def _linger(self) -> None:
        """Give the events that are still on their way a moment: only they say when an image was pulled."""
        deadline = self._clock() + EVENTS_WITHIN
        while self._clock() < deadline and any(pod.started and not pod.pulled for pod in self._view.pods()):
            if any(text.startswith("events") for text in self._limits):
                return
            self._take()

    def _outcome(self, done: bool, elapsed: float, stuck: Stuck | None = None) -> Outcome:
        states = self._view.states() if not self._missing else ()
        pods = self._view.pods() if not self._missing else ()
        lost = "" if done or stuck else next((text for key, text in self._down.items() if key in self._feed.needed), "")
        found = {key: item for key in self._view.workloads if (item := self._view.get(key)) is not None}
        return Outcome(done, elapsed, states, pods, stuck, lost, tuple(self._limits), found)


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
