"""A rollout: the pods of a workload move through the stages of their start, those of the old revision go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from devenv.core.model import Happening, Resource, State
from devenv.core.text import human_age
from devenv.tui.kube import cells
from devenv.tui.kube.view import Cluster, ClusterView
from devenv.tui.shown import fit, shown
from devenv.tui.widgets.detail_text import TONES
from devenv.tui.widgets.line import Part

SHOWN = 100  # pods
NAME = 34
STAGES: Final = ("created", "scheduled", "pulled", "started", "ready")
_BY_EVENT: Final = {"Scheduled": 1, "Pulled": 2, "Created": 2, "Started": 3}  # the scheduler's and the kubelet's words


class RolloutScreen(ClusterView):
    """One line a pod, with a bar that grows from stage to stage; counts of the stages above."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        super().__init__(cluster, f"ROLLOUT of {resource.kind} {resource.name}")
        self._key = resource.key

    def parts(self, width: int) -> list[Part]:
        """Return the state of the rollout and of each pod, by revision, the newest first."""
        store = self.cluster.store
        workload = store.resource(self._key)
        if workload is None:
            return [("it is gone\n", "$warning")]
        cell = cells.state_cell(workload)
        facts = dict(workload.facts)
        parts: list[Part] = [(f"{shown(cell.text)}  ", TONES[cell.tone])]
        told = [
            f"{name} {facts[name]}" for name in ("up to date", "available", "strategy", "revision") if name in facts
        ]
        parts.append((f"{shown(' · '.join(told))}\n", "$quiet"))
        if workload.why:
            parts.append((f"{shown(workload.why)}\n", "$warning"))
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
            name = f"REVISION {revision:.0f}" if revision else "PODS"
            members = sorted(by_owner[key], key=lambda pod: (pod.created_at or 0.0, pod.name))
            stages = [stage_of(pod, store.happenings(pod.key)) for pod in members]
            counts = ", ".join(f"{stages.count(at)} {stage}" for at, stage in enumerate(STAGES) if stages.count(at))
            image = members[0].image
            parts.append((f"\n{name}", "bold" if index else "bold $primary"))
            parts.append(
                (f"  {len(members)} pod{'' if len(members) == 1 else 's'}: {counts}  {shown(image)}\n", "$quiet")
            )
            for pod, stage in list(zip(members, stages, strict=True))[:SHOWN]:
                parts += _pod(pod, stage, now)
            if len(members) > SHOWN:
                parts.append((f"… {len(members) - SHOWN:,} more\n", "$quiet"))
        return parts


def _pod(pod: Resource, stage: int, now: float) -> list[Part]:
    leaving = pod.state == "removing"
    cell = cells.state_cell(pod)
    bar = "".join("━━" if at <= stage else "╌╌" for at in range(len(STAGES)))
    style = (
        "$quiet" if leaving else "$success" if stage == len(STAGES) - 1 else TONES[cell.tone].removesuffix(" reverse")
    )
    word = "terminating" if leaving else STAGES[stage]
    return [
        (f"  {fit(shown(pod.name), NAME)} ", "$foreground"),
        (f"{bar} ", style),
        (f"{word:<11} ", style),
        (f"{human_age(now - pod.created_at) if pod.created_at else '':>4}  ", "$quiet"),
        (f"{shown(pod.why)}\n" if pod.why else "\n", "$warning"),
    ]


def _revision(owner: Resource | None) -> float:
    text = dict(owner.facts).get("revision", "") if owner is not None else ""
    return float(text) if text.isdigit() else 0.0


def stage_of(pod: Resource, happenings: Iterable[Happening]) -> int:
    """Return the index of the furthest stage that the pod has reached."""
    if pod.state is State.RUNNING and pod.ready is not None and pod.ready[0] >= pod.ready[1]:
        return 4
    reached = max((_BY_EVENT.get(happening.action, 0) for happening in happenings), default=0)
    if pod.state in (State.RUNNING, State.RESTARTING, State.EXITED):
        return 3
    if dict(pod.facts).get("node"):
        reached = max(reached, 1)
    return min(reached, 3)
