"""Shapes, schedules, documents and queries, as functions of the time or a seed."""

from __future__ import annotations

import itertools
import random
import statistics
from collections import Counter

import pytest
from _corpus import Corpus, Zipf

from devenv.core.errors import UsageError
from devenv.load.shapes import NAMES, SHAPES, LoadSize, Punctuality, arrivals, find

SIZE = LoadSize(60, 10.0, 120.0)


def users(name: str, size: LoadSize = SIZE) -> list[int]:
    found = []
    for now in itertools.count():
        point = SHAPES[name](float(now), size)
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
    assert [users("step", LoadSize(3, 1.0, 12.0))[at] for at in (0, 11)] == [1, 12]


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
