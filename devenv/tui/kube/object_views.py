"""The screens about one object of a cluster: its owners, its rollout and its autoscaler, and its texts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Final

from devenv.core.model import Happening, PodFacts, Resource, Runtime, Scaling, ScalingMetric, State, WorkloadFacts
from devenv.core.state import Delta
from devenv.core.text import human_age
from devenv.tui.chart import chart
from devenv.tui.detail import TONES, clock, events
from devenv.tui.kube.view import Cluster, ClusterView
from devenv.tui.safe_text import Part, fit, safe
from devenv.tui.table.board import autoscaler
from devenv.tui.table.cells import age_cell, state_cell

OWNED_SHOWN = 200  # lines below one owner


class OwnersScreen(ClusterView):
    """The tree around one object, from its topmost owner on."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        super().__init__(cluster, f"OWNERS of {resource.kind} {resource.name}", self.parts)
        self._key = resource.key
        self._service = (resource.namespace, resource.service)
        self._owned: dict[str, dict[str, None]] = {}  # the keys of what each owner has
        self._owner: dict[str, str] = {}
        self._beside: dict[str, None] = {}  # keys of the service's objects that nobody owns

    def begin(self) -> None:
        """Learn who owns whom."""
        for resource in self.cluster.store.resources.values():
            self._place(resource)

    def learn(self, delta: Delta) -> None:
        """Note who came, changed its owner or went."""
        for key in delta.removed:
            self._forget(key)
        for resource in delta.updated:
            self._forget(resource.key)
            self._place(resource)

    def _place(self, resource: Resource) -> None:
        if resource.runtime is not Runtime.KUBERNETES:
            return
        if resource.owner:
            self._owner[resource.key] = resource.owner
            self._owned.setdefault(resource.owner, {})[resource.key] = None
        elif (resource.namespace, resource.service) == self._service and resource.service:
            self._beside[resource.key] = None

    def _forget(self, key: str) -> None:
        self._beside.pop(key, None)
        owner = self._owner.pop(key, None)
        if owner is None:
            return
        del self._owned[owner][key]
        if not self._owned[owner]:
            del self._owned[owner]

    def parts(self, width: int) -> list[Part]:
        """Return the tree as text."""
        store = self.cluster.store
        chosen = store.resource(self._key)
        if chosen is None:
            return [("it is gone\n", "$warning")]
        root = chosen
        seen = {root.key}
        while root.owner and (above := store.resource(root.owner)) is not None and above.key not in seen:
            seen.add(above.key)
            root = above
        parts = [*_line(root, "", self._key, time.time()), *self._below(root, "")]
        others = [
            resource for resource in self._known(self._beside) if resource.key != root.key and resource.kind != "pod"
        ]
        if others:
            parts.append(("\nBELONGS TO IT\n", "bold"))
            for resource in sorted(others, key=lambda item: (item.kind, item.name)):
                parts += _line(resource, "", self._key, time.time())
        return parts

    def _known(self, keys: Iterable[str]) -> Iterator[Resource]:
        return (resource for key in keys if (resource := self.cluster.store.resource(key)) is not None)

    def _below(self, owner: Resource, indent: str) -> Iterator[Part]:
        keys = self._owned.get(owner.key, {})
        children = nsmallest(
            OWNED_SHOWN, self._known(keys), key=lambda item: (item.kind, -(item.created_at or 0.0), item.name)
        )
        for index, child in enumerate(children):
            last = index == len(keys) - 1
            yield from _line(child, f"{indent}{'└─ ' if last else '├─ '}", self._key, time.time())
            if len(indent) < 60:
                yield from self._below(child, f"{indent}{'   ' if last else '│  '}")
        if len(keys) > OWNED_SHOWN:
            yield f"{indent}└─ … {len(keys) - OWNED_SHOWN:,} more\n", "$quiet"


def _line(resource: Resource, indent: str, chosen: str, now: float) -> Iterator[Part]:
    cell = state_cell(resource)
    yield indent, "$quiet"
    yield f"{safe(resource.kind)} ", "$quiet"
    yield safe(resource.name), "bold $primary" if resource.key == chosen else "bold"
    yield f"  {safe(cell.text)}", TONES[cell.tone]
    yield f"  {age_cell(resource, now).text}", "$quiet"
    yield f"  {safe(resource.why)}\n" if resource.why else "\n", "$warning"


PODS_SHOWN = 100  # pods
NAME = 34
STAGES: Final = ("created", "scheduled", "pulled", "started", "ready")
_BY_EVENT: Final = {"Scheduled": 1, "Pulled": 2, "Created": 2, "Started": 3}  # the scheduler's and the kubelet's words


class RolloutScreen(ClusterView):
    """One line a pod, with a bar that grows from stage to stage; counts of the stages above."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        super().__init__(cluster, f"ROLLOUT of {resource.kind} {resource.name}", self.parts)
        self._key = resource.key

    def parts(self, width: int) -> list[Part]:
        """Return the state of the rollout and of each pod, by revision, the newest first."""
        store = self.cluster.store
        workload = store.resource(self._key)
        if workload is None:
            return [("it is gone\n", "$warning")]
        cell = state_cell(workload)
        facts = dict(workload.facts)
        parts: list[Part] = [(f"{safe(cell.text)}  ", TONES[cell.tone])]
        words = [
            f"{name} {facts[name]}" for name in ("up to date", "available", "strategy", "revision") if name in facts
        ]
        parts.append((f"{safe(' · '.join(words))}\n", "$quiet"))
        if workload.why:
            parts.append((f"{safe(workload.why)}\n", "$warning"))
        group = self.cluster.board.services.group_of_workload(workload)
        pods = [pod for key in (group.pods.values() if group else ()) if (pod := store.resource(key)) is not None]
        return parts + self._revisions(pods)

    def _revisions(self, pods: list[Resource]) -> list[Part]:
        store, now = self.cluster.store, time.time()
        by_owner: dict[str, list[Resource]] = {}
        for pod in pods:
            by_owner.setdefault(pod.owner, []).append(pod)
        newest = sorted(by_owner, key=lambda key: -max(pod.created_at or 0.0 for pod in by_owner[key]))
        newest.sort(key=lambda key: -_revision(store.resource(key)))
        parts: list[Part] = []
        for index, key in enumerate(newest):
            owner = store.resource(key)
            revision = _revision(owner)
            name = f"REVISION {revision}" if revision else "PODS"
            members = sorted(by_owner[key], key=lambda pod: (pod.created_at or 0.0, pod.name))
            stages = [stage_of(pod, store.happenings(pod.key)) for pod in members]
            counts = ", ".join(f"{stages.count(at)} {stage}" for at, stage in enumerate(STAGES) if stages.count(at))
            image = members[0].image
            parts.append((f"\n{name}", "bold" if index else "bold $primary"))
            parts.append(
                (f"  {len(members)} pod{'' if len(members) == 1 else 's'}: {counts}  {safe(image)}\n", "$quiet")
            )
            for pod, stage in list(zip(members, stages, strict=True))[:PODS_SHOWN]:
                parts += _pod(pod, stage, now)
            if len(members) > PODS_SHOWN:
                parts.append((f"… {len(members) - PODS_SHOWN:,} more\n", "$quiet"))
        return parts


def _pod(pod: Resource, stage: int, now: float) -> list[Part]:
    leaving = pod.state == "removing"
    cell = state_cell(pod)
    bar = "".join("━━" if at <= stage else "╌╌" for at in range(len(STAGES)))
    style = (
        "$quiet" if leaving else "$success" if stage == len(STAGES) - 1 else TONES[cell.tone].removesuffix(" reverse")
    )
    word = "terminating" if leaving else STAGES[stage]
    return [
        (f"  {fit(safe(pod.name), NAME)} ", "$foreground"),
        (f"{bar} ", style),
        (f"{word:<11} ", style),
        (f"{human_age(now - pod.created_at) if pod.created_at else '':>4}  ", "$quiet"),
        (f"{safe(pod.why)}\n" if pod.why else "\n", "$warning"),
    ]


def _revision(owner: Resource | None) -> int:
    about = owner.kind_facts if owner is not None else None
    return about.revision if isinstance(about, WorkloadFacts) else 0


def stage_of(pod: Resource, happenings: Iterable[Happening]) -> int:
    """Return the index of the furthest stage that the pod has reached."""
    if pod.state is State.RUNNING and pod.ready is not None and pod.ready[0] >= pod.ready[1]:
        return 4
    reached = max((_BY_EVENT.get(happening.action, 0) for happening in happenings), default=0)
    if pod.state in (State.RUNNING, State.RESTARTING, State.EXITED):
        return 3
    if isinstance(pod.kind_facts, PodFacts) and pod.kind_facts.node:
        reached = max(reached, 1)
    return min(reached, 3)


HIGH = 6  # lines of a chart


class HpaScreen(ClusterView):
    """Replicas and metrics as charts, targets, conditions and events."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        """`resource` is the autoscaler, or the workload that it scales."""
        self._key = autoscaler(resource, cluster.store, cluster.board.scaling) or resource.key
        scaler = cluster.store.resource(self._key)
        super().__init__(cluster, f"AUTOSCALER {scaler.name if scaler is not None else ''}", self.parts)

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
            (f"{safe(scaling.target)}\n", "bold"),
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
            parts.append((f"{'✓' if good else '✗'} {safe(name)} ", "$success" if good else "$warning"))
            parts += [(f"{safe(reason)}  ", "bold"), (f"{safe(message)}\n", "$foreground")]
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
    now = f"{metric.current:.0f}{safe(metric.unit)}" if metric.current is not None else "unknown"
    over = known and (metric.current or 0.0) > metric.target
    parts: list[Part] = [
        (f"\n{safe(metric.name).upper()}  ", "bold"),
        (now, "$warning" if over or not known else "$success"),
        (f"  ┄ target {metric.target:.0f}{safe(metric.unit)}\n", "$quiet"),
    ]
    values = [item.metrics[index].current if index < len(item.metrics) else None for item in history]
    return [*parts, *((f"{line}\n", "$accent") for line in chart(values, width, HIGH, mark=metric.target))]


def view_of(name: str, cluster: Cluster, resource: Resource) -> ClusterView:
    """Return the view that an action of that name opens."""
    match name:
        case "owners":
            return OwnersScreen(cluster, resource)
        case "rollout":
            return RolloutScreen(cluster, resource)
        case "hpa":
            return HpaScreen(cluster, resource)
    from devenv.tui.kube.object_texts import TEXTS, TextScreen

    title, read = TEXTS[name]
    return TextScreen(cluster, title, resource, read, with_events=name == "describe")
