"""Shapes, schedules and the course of --shape hpa, as functions of the time."""

from __future__ import annotations

import itertools
import random
import statistics
from collections import Counter
from typing import Any

import pytest

from devenv.errors import DevenvError, UsageError
from devenv.load.corpus import Corpus, Zipf
from devenv.load.hpa_course import HpaCourse, size_load
from devenv.load.schedule import Punctuality, arrivals
from devenv.load.shapes import NAMES, SHAPES, Wish, find
from devenv.load.verdicts.settings import ScalingSettings
from tests.load.synthetic import Story

WISH = Wish(60, 10.0, 120.0)
SETTINGS = ScalingSettings(1, 5, 70.0, 0.05, resolution=15.0, down_window=60.0)


def users(name: str, wish: Wish = WISH) -> list[int]:
    found = []
    for now in itertools.count():
        point = SHAPES[name](float(now), wish)
        if point is None:
            return found
        found.append(point.users)
    raise AssertionError


def test_every_shape_ends_when_it_was_told_to_and_never_exceeds_its_peak() -> None:
    for name in SHAPES:
        counts = users(name)
        assert len(counts) == 120, name
        assert max(counts) == 60, name
        assert min(counts) >= 1, name


def test_courses_of_the_shapes() -> None:
    assert set(users("steady")) == set(users("soak")) == {60}
    assert users("ramp") == sorted(users("ramp"))
    assert (users("ramp")[0], users("ramp")[60]) == (1, 31)
    assert [users("spike")[at] for at in (0, 39, 40, 79, 80)] == [12, 12, 60, 60, 12]
    steps = users("step")
    assert [steps[at] for at in range(0, 120, 10)] == [5 * number for number in range(1, 13)]
    assert [users("step", Wish(3, 1.0, 12.0))[at] for at in (0, 11)] == [1, 12]


def test_an_unknown_shape_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        find("stairs")
    assert all(name in caught.value.hint for name in NAMES)


def test_arrivals_are_evenly_spaced_and_users_do_not_arrive_together() -> None:
    due = list(itertools.islice(arrivals(4.0, "a"), 100))
    assert all(after - before == pytest.approx(0.25) for before, after in itertools.pairwise(due))
    begins = [next(arrivals(1.0, f"{number}")) for number in range(200)]
    assert 0.4 < statistics.mean(begins) < 0.6
    assert list(itertools.islice(arrivals(4.0, "a"), 5)) == due[:5]


def test_punctuality_counts_and_begins_anew() -> None:
    kept, whole = Punctuality(), Punctuality()
    for delay in (0.01, 0.2, 0.05):
        kept.sent(delay)
    whole.add(kept.take())
    whole.add(kept.take())
    assert whole == Punctuality(arrivals=3, late=1, dropped=0, worst=0.2)


def test_the_same_seed_gives_the_same_documents_and_queries_and_another_seed_others() -> None:
    one, again, other = Corpus(1), Corpus(1), Corpus(2)
    assert list(one.documents(50)) == list(again.documents(50))
    assert one.queries == again.queries
    assert list(one.documents(5)) != list(other.documents(5))


def test_documents_have_realistic_lengths_and_no_title_is_too_long_for_the_api() -> None:
    made = list(Corpus(1).documents(2000))
    lengths = sorted(len(document.text.split()) for document in made)
    assert 110 < statistics.median(lengths) < 150
    assert lengths[-1] > 1000 > lengths[int(0.98 * len(lengths))]
    assert max(len(document.title) for document in made) <= 500


def test_queries_follow_zipf_and_most_of_them_find_something() -> None:
    corpus, chance = Corpus(1), random.Random(1)
    drawn = Counter(corpus.query(chance) for _ in range(20_000))
    ranked = [count for _, count in drawn.most_common()]
    assert 1.5 < ranked[0] / ranked[1] < 2.2 or ranked[0] > 0.03 * 20_000
    assert sum(ranked[:50]) > 0.4 * 20_000
    words = [set(f"{item.title} {item.text}".lower().split()) for item in corpus.documents(1000)]
    found = sum(any(set(query.split()) <= have for have in words) for query in corpus.queries[:100])
    assert found > 70


def test_zipf_draws_ranks_in_proportion() -> None:
    chance, zipf = random.Random(5), Zipf(4, 1.0)
    counts = Counter(zipf.draw(chance) for _ in range(25_000))
    assert [round(counts[rank] / 1000) for rank in range(4)] == [12, 6, 4, 3]


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


def course(wish: Wish) -> tuple[HpaCourse, Story, list[dict[str, Any]], list[float]]:
    story, noted, now = Story(), [], [0.0]
    story.settings(resolution=15.0)
    made = HpaCourse(
        wish, 1.0, 3, story.recording, lambda kind, **values: noted.append({"kind": kind, **values}), lambda: now[0]
    )
    return made, story, noted, now


def drive(made: HpaCourse, story: Story, now: list[float], until: float) -> list[tuple[str, int]]:
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
    made, story, noted, now = course(Wish(100, 10.0, None))
    seen = drive(made, story, now, 2000.0)
    assert [phase for phase, _ in seen] == ["idle", "calibrate", "scale up", "scale down"]
    assert seen[1][1] == 10
    assert 16 <= seen[2][1] <= 19
    assert seen[3][1] == 1
    assert [line["kind"] for line in noted] == ["sized"]
    assert now[0] < 600


def test_a_load_above_what_users_allows_ends_the_course_with_what_to_allow() -> None:
    made, story, _, now = course(Wish(15, 10.0, None))
    with pytest.raises(DevenvError) as caught:
        drive(made, story, now, 2000.0)
    assert caught.value.hint.startswith("Allow 1")


def test_a_service_without_an_autoscaler_is_told() -> None:
    made, story, _, now = course(Wish(20, 10.0, None))
    story.watched.clear()
    with pytest.raises(DevenvError, match="no autoscaler was found"):
        drive(made, story, now, 100.0)
