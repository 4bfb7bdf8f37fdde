"""Recordings made line by line, as a generator and a recorder write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devenv.load.recording import Recording, gather

WALL = 1_800_000_000.0  # the wall clock at the recording's second 0
SPEC = {
    "scaleTargetRef": {"kind": "Deployment", "name": "frontend"},
    "minReplicas": 1,
    "maxReplicas": 5,
    "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}}],
    "behavior": {
        "scaleDown": {
            "stabilizationWindowSeconds": 60,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        }
    },
}
CONTAINER = {"name": "frontend", "resources": {"requests": {"cpu": "50m"}}}
ACTIVE = ["ScalingActive", "True", "ValidMetricFound", "the HPA was able to compute the replica count"]


@dataclass
class Story:
    """A recording in the making. Times are seconds of the recording."""

    kind: str = "kubernetes"
    options: dict[str, Any] = field(default_factory=lambda: {"shape": "hpa", "open": True, "rate": 1.0, "replicas": 3})
    limits: dict[str, Any] = field(default_factory=dict)
    load: list[dict[str, Any]] = field(default_factory=list)
    watched: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, t: float, kind: str, /, **values: Any) -> None:
        lines = self.load if kind in ("load", "phase", "lost") else self.watched
        lines.append({"t": t, "at": WALL + t, "type": kind, **values})

    def ticks(self, since: int, until: int, phase: str, *, users: int = 10, ms: int = 20, failed: int = 0) -> None:
        """A second of load each: as many requests as users, all of the same duration."""
        for t in range(since, until):
            names = {"search": {"n": users, "failed": failed, "seconds": 1.0, "times": {str(ms): users}}}
            generator = {"cpu": [20.0], "arrivals": users, "late": 0, "dropped": 0, "worst": 0.0}
            self.tell(t + 1.0, "load", phase=phase, users=users, names=names, generator=generator)
            self.tell(t + 1.0, "tick", machine=0.5, own=0.002)

    def settings(
        self, spec: dict[str, Any] | None = SPEC, containers: Sequence[Mapping[str, Any]] = (CONTAINER,), **values: Any
    ) -> None:
        self.tell(0.5, "settings", service="frontend", autoscaler=spec, containers=containers, **values)

    def scaling(self, t: float, desired: int, cpu: float | None, condition: list[str] = ACTIVE) -> None:
        metrics = [{"name": "cpu", "unit": "%", "current": cpu, "target": 70.0}]
        self.tell(
            t, "scaling", key="h", name="frontend", service="frontend", of=WALL + t, target="Deployment/frontend",
            min=1, max=5, current=desired, desired=desired, metrics=metrics, conditions=[condition], scaled=None,
        )  # fmt: skip

    def pod(
        self, t: float, name: str, *, health: str = "healthy", state: str = "running", created: float = -60
    ) -> None:
        self.tell(
            t, "resource", key=f"kubernetes:{name}", kind="pod", name=name, service="frontend", state=state,
            health=health, restarts=0, ready=None, why="", oom=False, created=WALL + created, facts={},
        )  # fmt: skip

    def gone(self, t: float, name: str) -> None:
        self.tell(t, "gone", key=f"kubernetes:{name}")

    def event(self, t: float, action: str, text: str, name: str = "frontend-1") -> None:
        self.tell(
            t, "event", key=name, name=name, service="frontend", of=WALL + t, action=action, text=text, attributes={}
        )

    def sample(self, t: float, name: str, cpu: float, *, lag: float = 1.0, window: float | None = 15.0) -> None:
        self.tell(
            t, "sample", key=name, name=name, service="frontend", of=WALL + t - lag, cpu=cpu, memory=50_000_000,
            limit=256_000_000, window=window,
        )  # fmt: skip

    def recording(self) -> Recording:
        target = {"kind": self.kind, "project": "shop", "service": "frontend", "url": "http://x", "limits": self.limits}
        run = {"run": "r", "schema": 1, "began": WALL, "seed": 1, "documents": 10, "folder": ".", "warm_up": 0.0}
        run |= {"target": target, "options": self.options, "thresholds": []}
        for lines in (self.load, self.watched):
            lines.sort(key=lambda line: line["t"])
        return gather(run, self.load, self.watched)


IDLE, CALIBRATE, UP, DOWN, END = 0, 40, 100, 330, 560  # when the phases of the story below begin


def scaled(
    *,
    fresh: float = 20,
    raised: float = 30,
    created: float = 31,
    ready: float = 40,
    serving: float | None = 42,
    recovered: int = 50,
    lowered: float = 85,
    wanted: int = 3,
    failed: int = 0,
) -> Story:
    """An autoscaler that does what it should: from one replica to three and back.

    Times count from the begin of their phase.
    """
    story = Story()
    story.settings(resolution=15.0)
    for since, until, name in ((IDLE, CALIBRATE, "idle"), (CALIBRATE, UP, "calibrate")):
        story.tell(float(since), "phase", name=name)
        story.ticks(since, until, name)
    story.tell(float(UP), "phase", name="scale up")
    story.ticks(UP, UP + recovered, "scale up", users=60, ms=400, failed=0)
    story.ticks(UP + recovered, DOWN, "scale up", users=60, ms=25, failed=failed)
    story.tell(float(DOWN), "phase", name="scale down")
    story.ticks(DOWN, END, "scale down", users=1)
    story.tell(float(END), "phase", name="clean up")
    story.pod(1.0, "frontend-1")
    story.scaling(1.0, 1, 20.0)
    for t in range(5, UP, 15):
        story.sample(float(t), "frontend-1", 0.012)
    for number in range(wanted):
        for t in range(UP + int(fresh), DOWN, 15):
            story.sample(
                float(t), f"frontend-{number + 1}", 2.5 * 0.05 * 0.7 / wanted, lag=fresh - 16.0 if fresh > 17 else 1.0
            )
    story.scaling(UP + raised, wanted, 200.0)
    for number in range(2, wanted + 1):
        story.pod(UP + created + 0.5, f"frontend-{number}", health="starting", created=UP + created)
        story.pod(UP + ready, f"frontend-{number}", created=UP + created)
    story.tell(1.0, "endpoints", ready=1)
    if serving is not None:
        story.tell(UP + serving, "endpoints", ready=wanted)
    story.scaling(UP + 100.0, wanted, 65.0)
    story.scaling(DOWN + lowered, 1, 10.0)
    for number in range(2, wanted + 1):
        story.pod(DOWN + lowered + 1, f"frontend-{number}", state="removing", created=UP + created)
        story.gone(DOWN + lowered + 5, f"frontend-{number}")
    return story
