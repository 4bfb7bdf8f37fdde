"""The course of --shape hpa: how its load is sized, and when it is refused before any is sent."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.core.errors import DevenvError
from devenv.load.autoscaler import ScalingSettings
from devenv.load.hpa_shape import HpaShape, size_load
from devenv.load.shapes import LoadSize
from tests.load.synthetic import CONTAINER, SPEC, Story

SETTINGS = ScalingSettings(1, 5, 70.0, 0.05, resolution=15.0, down_window=60.0)


def test_a_load_is_sized_for_half_a_replica_less_than_wanted() -> None:
    size = size_load((0.017, 1.0), (0.044, 10.0), 3, SETTINGS)
    assert size.cost == pytest.approx(0.003)
    assert size.rps == pytest.approx((2.5 * 0.05 * 0.7 - 3 * 0.014) / 0.003)


@pytest.mark.parametrize(
    ("settings", "busy", "told"),
    [
        (ScalingSettings(1, 5, 70.0, None), 0.05, "a container has no CPU request"),
        (ScalingSettings(1, 5, None, 0.05), 0.05, "follows no CPU utilization"),
        (SETTINGS, 0.01, "10 requests a second used 0.010 cores, 0 used 0.014"),
    ],
)
def test_a_load_that_cannot_be_sized_is_told_with_the_reason(settings: ScalingSettings, busy: float, told: str) -> None:
    with pytest.raises(DevenvError) as caught:
        size_load((0.014, 0.0), (busy, 10.0), 3, settings)
    assert told in caught.value.message


def course(
    size: LoadSize, replicas: int = 3, *, desired: int = 1, cpu: float | None = 20.0, **settings: Any
) -> tuple[HpaShape, Story, list[dict[str, Any]], list[float]]:
    story, noted, now = Story(), [], [0.0]
    story.settings(**settings, resolution=15.0)
    story.scaling(0.0, desired, cpu)
    made = HpaShape(
        size,
        replicas,
        story.recording,
        lambda kind, **values: noted.append({"kind": kind, **values}),
        lambda: now[0],
    )
    return made, story, noted, now


def drive(made: HpaShape, story: Story, now: list[float], until: float) -> list[tuple[str, int]]:
    """Let the course run; pods use 12 millicores idle and 3 for each request a second."""
    seen: list[tuple[str, int]] = []
    while now[0] < until:
        point = made.point()
        if point is None:
            break
        if not seen or seen[-1] != (point.phase, point.users):
            seen.append((point.phase, point.users))
            story.tell(now[0], "phase", name=point.phase)
        story.ticks(int(now[0]), int(now[0]) + 1, point.phase, users=point.users)
        if now[0] % 15 == 0:
            story.sample(now[0], "frontend-1", 0.012 + 0.003 * point.users)
        now[0] += 1.0
    return seen


def test_the_course_calibrates_goes_up_to_what_it_sized_and_down_again() -> None:
    made, story, noted, now = course(LoadSize(100, 10.0, None))
    seen = drive(made, story, now, 2000.0)
    assert [phase for phase, _ in seen] == ["idle", "calibrate", "scale up", "scale down"]
    assert seen[1][1] == 10
    assert 16 <= seen[2][1] <= 19
    assert seen[3][1] == 1
    assert [line["kind"] for line in noted] == ["sized"]
    assert now[0] < 600


def test_a_load_above_what_users_allows_ends_the_course_with_what_to_allow() -> None:
    made, story, _, now = course(LoadSize(15, 10.0, None))
    with pytest.raises(DevenvError) as caught:
        drive(made, story, now, 2000.0)
    assert caught.value.hint.startswith("Allow 1")


def test_a_service_without_an_autoscaler_is_told() -> None:
    made, story, _, now = course(LoadSize(20, 10.0, None))
    story.watched.clear()
    with pytest.raises(DevenvError, match="has no autoscaler"):
        drive(made, story, now, 100.0)


@pytest.mark.parametrize(
    ("replicas", "spec", "told"),
    [
        (1, SPEC | {"maxReplicas": 1}, "the autoscaler has no room: minimum 1, maximum 1"),
        (6, SPEC, "6 replicas are above the autoscaler's maximum of 5"),
        (2, SPEC | {"minReplicas": 2}, "2 replicas are no more than the autoscaler's minimum of 2"),
    ],
)
def test_replicas_that_cannot_be_reached_are_refused_before_any_load(
    replicas: int, spec: dict[str, Any], told: str
) -> None:
    made, story, _, now = course(LoadSize(100, 10.0, None), replicas, spec=spec)
    with pytest.raises(DevenvError) as caught:
        drive(made, story, now, 100.0)
    assert (caught.value.message, now[0]) == (told, 0.0)


def test_a_container_without_a_cpu_request_is_told_in_the_autoscalers_words_as_soon_as_it_has_some() -> None:
    made, story, _, now = course(LoadSize(100, 10.0, None), cpu=None, containers=[CONTAINER | {"resources": {}}])
    assert drive(made, story, now, 5.0) == [("idle", 1)]
    words = "failed to get cpu utilization: missing request for cpu in container frontend"
    story.event(3.0, "FailedGetResourceMetric", "did not receive metrics for targeted pods", "h")
    assert drive(made, story, now, 20.0) == [("idle", 1)]
    story.event(20.0, "FailedGetResourceMetric", words, "h")
    with pytest.raises(DevenvError) as caught:
        drive(made, story, now, 100.0)
    reason = "the load cannot be sized: a container has no CPU request"
    assert caught.value.message == f"{reason} (FailedGetResourceMetric: {words})"
    assert now[0] < 35


def test_an_autoscaler_without_a_metric_is_waited_for_and_then_told() -> None:
    broken = ["ScalingActive", "False", "FailedGetResourceMetric", "no metrics returned"]
    made, story, _, now = course(LoadSize(100, 10.0, None))
    story.scaling(1.0, 1, None, broken)
    with pytest.raises(DevenvError) as caught:
        drive(made, story, now, 400.0)
    words = "ScalingActive is False: FailedGetResourceMetric: no metrics returned"
    assert caught.value.message == f"the autoscaler has no CPU metric ({words})"
    assert now[0] > 100


def test_a_load_shorter_than_the_autoscaler_may_take_is_refused() -> None:
    made, story, _, now = course(LoadSize(100, 10.0, 60.0))
    with pytest.raises(DevenvError, match=r"--run-time of 60 s is less than .*: 75 s with metrics every 15 s"):
        drive(made, story, now, 2000.0)
    assert now[0] < 60


def test_the_load_waits_until_replicas_of_an_earlier_one_are_gone() -> None:
    made, story, _, now = course(LoadSize(100, 10.0, None), desired=3)
    assert [phase for phase, _ in drive(made, story, now, 90.0)] == ["idle"]
    story.scaling(90.0, 1, 15.0)
    assert [phase for phase, _ in drive(made, story, now, 2000.0)] == ["calibrate", "scale up", "scale down"]


def test_replicas_that_stay_without_load_are_told() -> None:
    made, story, _, now = course(LoadSize(100, 10.0, None), desired=3)
    with pytest.raises(DevenvError, match="3 replicas are desired without load, and 3 were to be reached"):
        drive(made, story, now, 400.0)
