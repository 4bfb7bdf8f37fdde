"""An autoscaler: what it has, what it wants and why, over time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from devenv.core.model import Resource, Scaling, ScalingMetric
from devenv.core.text import human_age
from devenv.tui.chart import chart
from devenv.tui.kube.scaling import autoscaler
from devenv.tui.kube.view import Cluster, ClusterView
from devenv.tui.shown import shown
from devenv.tui.widgets.detail_text import clock
from devenv.tui.widgets.line import Part

HIGH = 6  # lines of a chart


class HpaScreen(ClusterView):
    """Replicas and metrics as charts, targets, conditions and events."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        """`resource` is the autoscaler, or the workload that it scales."""
        self._key = autoscaler(resource, cluster.store, cluster.board.scaling) or resource.key
        found = cluster.store.resource(self._key)
        super().__init__(cluster, f"AUTOSCALER {found.name if found is not None else ''}")

    def parts(self, width: int) -> list[Part]:
        """Return all that is known of it."""
        now = time.time()
        scaling = self.cluster.store.scaling(self._key)
        if scaling is None:
            return [("nothing is known of this autoscaler (yet)\n", "$quiet")]
        moves = scaling.desired - scaling.current
        arrow = "→" if not moves else "↑" if moves > 0 else "↓"
        parts: list[Part] = [
            ("target     ", "$quiet"),
            (f"{shown(scaling.target)}\n", "bold"),
            ("replicas   ", "$quiet"),
            (f"{scaling.current} {arrow} {scaling.desired}", "bold" if not moves else "bold $warning"),
            (f"  (at least {scaling.minimum}, at most {scaling.maximum})\n", "$quiet"),
        ]
        if scaling.last_scaled_at:
            age = human_age(now - scaling.last_scaled_at)
            parts += [("last scaled ", "$quiet"), (f"{clock(scaling.last_scaled_at, now)}  ({age} ago)\n", "")]
        history = _by_time(self.cluster.board.scaling.of(self._key), now, width)
        parts += _replicas(history, scaling, width)
        for index, metric in enumerate(scaling.metrics):
            parts += _metric(history, index, metric, width)
        parts.append(("\nCONDITIONS\n", "bold"))
        for name, status, reason, message in scaling.conditions:
            good = status == ("False" if name == "ScalingLimited" else "True")
            parts.append((f"{'✓' if good else '✗'} {shown(name)} ", "$success" if good else "$warning"))
            parts += [(f"{shown(reason)}  ", "bold"), (f"{shown(message)}\n", "$foreground")]
        from devenv.tui.kube.detail import events

        return parts + events(self.cluster.store.happenings(self._key))


def _by_time(history: Sequence[Scaling], now: float, width: int) -> list[Scaling]:
    """Return one moment for each step of time, the newest that was known then."""
    if not history:
        return []
    steps = max(10, width - 8)
    began = history[0].at
    step = max(1.0, (now - began) / steps)
    made: list[Scaling] = []
    index = 0
    at = began
    while at <= now and len(made) < steps:
        while index + 1 < len(history) and history[index + 1].at <= at:
            index += 1
        made.append(history[index])
        at += step
    return [*made[:-1], history[-1]] if made else [history[-1]]


def _replicas(history: Sequence[Scaling], scaling: Scaling, width: int) -> list[Part]:
    parts: list[Part] = [("\nREPLICAS", "bold"), (f"  ┄ the most it may have: {scaling.maximum}\n", "$quiet")]
    values = [float(item.current) for item in history]
    return [*parts, *((f"{line}\n", "$primary") for line in chart(values, width, HIGH, mark=float(scaling.maximum)))]


def _metric(history: Sequence[Scaling], index: int, metric: ScalingMetric, width: int) -> list[Part]:
    known = metric.current is not None
    now = f"{metric.current:.0f}{shown(metric.unit)}" if metric.current is not None else "unknown"
    over = known and (metric.current or 0.0) > metric.target
    parts: list[Part] = [
        (f"\n{shown(metric.name).upper()}  ", "bold"),
        (now, "$warning" if over or not known else "$success"),
        (f"  ┄ target {metric.target:.0f}{shown(metric.unit)}\n", "$quiet"),
    ]
    values = [item.metrics[index].current if index < len(item.metrics) else None for item in history]
    return [*parts, *((f"{line}\n", "$accent") for line in chart(values, width, HIGH, mark=metric.target))]
