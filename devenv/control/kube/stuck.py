"""When waiting is over early: a trouble that cannot heal, or has had its time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from devenv.control.kube.pod_trouble import Healing, Trouble
from devenv.control.kube.rollout_view import WorkloadState


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
        found: Stuck | None = None
        for state in states:
            for trouble in state.troubles:
                if trouble.healing is Healing.QUOTA and is_leaving(state.namespace):
                    continue  # it counts again from when they are gone
                key = (f"{state.namespace}/{state.title}", trouble.subject, trouble.healing)
                since = seen[key] = self._since.get(key, now)
                if found is None and now - since >= self.patience.allows(trouble):
                    about = "" if trouble.subject == state.name else f"{trouble.subject}: "
                    words = f"{about}{trouble.text}"
                    found = Stuck(state.title, trouble.reason, words, now - since, state.namespace, trouble.subject)
        self._since = seen
        return found
