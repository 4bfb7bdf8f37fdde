"""Views of a cluster under a flood of changes: they look seldom, and at what changed, never at all that there is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import cast

import pytest
from msgspec.structs import replace

from devenv.core.model import Happening, Resource
from devenv.core.state import Store
from devenv.tui.kube.view import PAUSE, ClusterView
from tests.terminal.cluster import ClusterDriver, cluster_opened, pod, replica_set, workload

PODS = 7_000
CHANGES = 30


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the store was walked as a whole, and asked for the happenings of one resource."""
    found: Counter[str] = Counter()
    all_of_it, of_one = Store.resources.fget, Store.happenings
    assert all_of_it is not None

    def resources(store: Store) -> Mapping[str, Resource]:
        found["walks"] += 1
        return all_of_it(store)

    def happenings(store: Store, key: str) -> tuple[Happening, ...]:
        found["happenings"] += 1
        return of_one(store, key)

    monkeypatch.setattr(Store, "resources", property(resources))
    monkeypatch.setattr(Store, "happenings", happenings)
    return found


def event(number: int, reason: str = "Pulled") -> Happening:
    return Happening(f"kubernetes:web-7d9-{number:05d}", time.time(), reason, f"image {number}", (("type", "Normal"),))


async def opened_view(terminal: ClusterDriver, key: str) -> ClusterView:
    terminal.cluster.live(workload("web"), kind="deployments")
    terminal.cluster.live(replica_set("web"), kind="replicasets")
    terminal.cluster.live(*(pod("web", number) for number in range(PODS)))
    await terminal.go("web")
    await terminal.press(key)
    await terminal.until(lambda: isinstance(terminal.app.screen, ClusterView))
    view = cast(ClusterView, terminal.app.screen)
    await terminal.until(lambda: view.looks)
    return view


async def test_events_of_a_few_among_7000_pods(asked: Counter[str]) -> None:
    async with cluster_opened() as terminal:
        view = await opened_view(terminal, "e")
        await terminal.sees("no events")
        terminal.cluster.emit(event(1), event(2))
        await terminal.sees("image 1", "image 2")
        asked.clear()
        looks, drains, begun = view.looks, terminal.app.feed.drains, time.monotonic()
        for number in range(CHANGES):
            terminal.cluster.emit(event(number % 3, "Killing"))
            await terminal.until(lambda before=terminal.app.feed.drains: terminal.app.feed.drains > before)
        await terminal.sees("Killing  pod/web-7d9-00000")
        took = time.monotonic() - begun
        assert terminal.app.feed.drains - drains >= CHANGES
        assert view.looks - looks <= took / PAUSE + took + 2  # in the flood, by the clock, and the two ends
        assert asked["walks"] == 0
        assert asked["happenings"] <= 3 * (view.looks - looks) + 2 * CHANGES + took + 10  # and the board's and details'


async def test_the_last_change_of_a_flood_is_shown() -> None:
    async with cluster_opened() as terminal:
        view = await opened_view(terminal, "e")
        looks = view.looks
        for number in range(5):
            terminal.cluster.emit(event(number))
        await terminal.sees("image 4")
        assert view.looks > looks


async def test_owners_of_7000_pods(asked: Counter[str]) -> None:
    async with cluster_opened() as terminal:
        view = await opened_view(terminal, "o")
        await terminal.until(lambda: view.text)
        asked.clear()
        looks, begun = view.looks, time.monotonic()
        for number in range(CHANGES):
            terminal.cluster.seen(replace(pod("web", number), restarts=1, created_at=time.time()))
            await terminal.until(lambda before=terminal.app.feed.drains: terminal.app.feed.drains > before)
        newest = f"pod web-7d9-{CHANGES - 1:05d}"
        await terminal.sees(f"├─ {newest}")
        took = time.monotonic() - begun
        assert view.looks - looks <= took / PAUSE + took + 2
        assert asked["walks"] == 0
        terminal.cluster.gone(f"kubernetes:web-7d9-{CHANGES - 1:05d}")
        await terminal.until(lambda: not terminal.shows(newest))
        orphan = replace(pod("web", CHANGES - 2), owner="")
        terminal.cluster.seen(orphan)
        await terminal.until(lambda: not terminal.shows(f"─ pod {orphan.name}"))
        text = view.text
        assert f"{PODS - 2 - 200:,} more" in text
