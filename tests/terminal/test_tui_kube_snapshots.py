"""What the screen with a cluster looks like, as text. UPDATE_SNAPSHOTS=1 renews the files."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from devenv.core.model import Health, Sample, State
from tests.terminal.cluster import cluster_opened, pod, replica_set, workload
from tests.terminal.scripted import container
from tests.terminal.test_tui_kube_views import HPA, scaling
from tests.terminal.test_tui_snapshots import NOON, compare


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOON)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("scene", ["services", "rollout", "hpa"])
async def test_screen(scene: str, size: tuple[int, int]) -> None:
    async with cluster_opened(size=size) as terminal:
        terminal.backend.live(container("web", health=Health.HEALTHY), container("mail"))
        waits = workload("api", (1, 2), why="1 of 2 pods waits: image not found", health=Health.UNHEALTHY)
        terminal.cluster.live(workload("web", (2, 2)), waits, kind="deployments")
        terminal.cluster.live(replica_set("web"), kind="replicasets")
        terminal.cluster.live(HPA, kind="horizontalpodautoscalers")
        bad = pod("api", 2, State.CREATED, status="ImagePullBackOff", why="image not found: api:nope")
        leaving = replace(pod("web", 3), state=State.REMOVING, status="Terminating")
        terminal.cluster.live(pod("web", 1), pod("web", 2, restarts=3), leaving, pod("api", 1), bad)
        terminal.cluster.emit(Sample("kubernetes:deployment-web", NOON, 0.25, 88 * 1024**2, None, 15.0))
        moments = [scaling(NOON - 300 + 30 * step, 1 + step // 4, 1 + step // 3, 20.0 * step) for step in range(10)]
        terminal.controller.board.scaling.take(moments)
        terminal.cluster.emit(moments[-1])
        await terminal.go("web")
        await terminal.press("right")
        await terminal.sees("web-7d9-00003", "25%")
        if size[0] > 110:
            await terminal.sees("not known")
        if scene == "hpa":
            await terminal.press("h")
            await terminal.sees("AUTOSCALER", "CPU")
        elif scene == "rollout":
            await terminal.press("R")
            await terminal.sees("REVISION 2", "terminating")
        await terminal.pilot.pause()
        compare(f"kube-{scene}-{size[0]}x{size[1]}", terminal.text() + "\n")
