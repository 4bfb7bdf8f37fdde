"""Thresholds: how they are written, what each kind compares, and what is refused."""

from __future__ import annotations

import pytest

from devenv.core.errors import UsageError
from devenv.load.figures import Figures, evaluate, finding_row, parse, parse_all, total
from devenv.load.outcome import Facts, Judgement, exit_code, generator_reasons, verdict
from devenv.runs.criteria import Verdict

SEARCH = Figures(100, 2, 10.0, {10: 50, 100: 45, 500: 4, 2000: 1})
FIGURES = {"search": SEARCH, "total": SEARCH}


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("search:p50<=10", 10, True),
        ("search:p95<100", 100, False),
        ("search:p95<=100", 100, True),
        ("search:p99<400", 500, False),
        ("p99.5<1999", 2000, False),
        ("max<2000", 2000, False),
        ("mean<100", 90, True),
        ("mean<90", 90, False),
        ("fail_ratio<0.02", 0.02, False),
        ("fail_ratio<0.03", 0.02, True),
        ("failures<=1", 2, False),
        ("rps>10", 10, False),
        ("search:rps>=10", 10, True),
        ("requests>=101", 100, False),
        (" total:requests > 99 ", 100, True),
    ],
)
def test_each_kind_compares_its_own_value(text: str, value: float, holds: bool) -> None:
    (finding,) = evaluate([parse(text)], FIGURES)
    assert finding.value == pytest.approx(value)
    assert finding.holds is holds


def test_a_name_without_requests_is_not_measured_which_is_neither_held_nor_breached() -> None:
    findings = evaluate([parse("add:p95<100"), parse("add:fail_ratio<0.1"), parse("add:rps>1")], FIGURES)
    assert [finding.holds for finding in findings] == [None, None, False]
    assert finding_row(findings[0]) == ("add:p95<100", "not measured", "", "")


def test_margins_are_parts_of_the_limit_on_either_side() -> None:
    rows = [finding_row(item) for item in evaluate([parse("p95<200"), parse("rps>40"), parse("failures<=0")], FIGURES)]
    assert rows == [
        ("p95<200", "passed", "100 ms", "+50%"),
        ("rps>40", "FAILED", "10 /s", "-75%"),
        ("failures<=0", "FAILED", "2", "-100%"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("search:p95", "cannot be read"),
        ("p95=200", "cannot be read"),
        ("p95<", "cannot be read"),
        ("p95<fast", "'fast' is not a number"),
        ("p95<200ms", "'200ms' is not a number"),
        ("p95<nan", "is not a number"),
        ("p100<5", "there is no metric 'p100'"),
        ("fail_rate<0.1", "there is no metric 'fail_rate'"),
        ("fail_ratio<5", "a ratio is between 0 and 1"),
        ("p95<-5", "is not a number, 0 or more"),
        ("", "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert told in caught.value.message
    assert caught.value.hint


def test_a_name_that_nobody_sends_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="no request is called 'serach'") as caught:
        parse_all(["serach:p95<1"], ["search", "add"])
    assert caught.value.hint == "Did you mean 'search'?"
    assert len(parse_all(["search:p95<1", "search:p95<1.0", "p95<1"], ["search"])) == 2


def test_figures_add_up_and_differ_and_survive_a_reset() -> None:
    later = Figures(150, 3, 15.0, {10: 80, 100: 60, 500: 9, 2000: 1})
    fresh = later.since(SEARCH)
    assert (fresh.requests, fresh.failures, fresh.seconds, fresh.times) == (50, 1, 5.0, {10: 30, 100: 15, 500: 5})
    assert total([SEARCH, fresh]).times == later.times
    assert Figures(3, 0, 1.0, {5: 3}).since(SEARCH).requests == 3
    assert Figures.from_data(later.to_data()) == later
    assert Figures().percentile(95) is None


def test_exit_codes_tell_the_ends_apart_and_doubt_goes_before_a_breach() -> None:
    (breach,) = evaluate([parse("rps>40")], FIGURES)
    cases = [
        (Facts(), 0, Verdict.PASSED),
        (Facts(failures=2), 1, Verdict.FAILED),
        (Facts(failures=2, error_code=0), 0, Verdict.PASSED),
        (Facts([breach], failures=2), 99, Verdict.FAILED),
        (Facts([breach], reasons=["late"]), 12, Verdict.INCONCLUSIVE),
        (Facts([breach], exceptions=1, reasons=["late"]), 70, Verdict.ERROR),
        (Facts(scaling=Judgement("hpa", Verdict.PASSED)), 0, Verdict.PASSED),
        (Facts(failures=2, scaling=Judgement("hpa", Verdict.FAILED)), 99, Verdict.FAILED),
        (Facts(failures=2, scaling=Judgement("hpa", Verdict.INCONCLUSIVE)), 12, Verdict.INCONCLUSIVE),
        (Facts([breach], scaling=Judgement("hpa", Verdict.INCONCLUSIVE)), 99, Verdict.FAILED),
    ]
    assert [(exit_code(facts), verdict(facts)) for facts, _, _ in cases] == [(code, what) for _, code, what in cases]


@pytest.mark.parametrize(
    "text", ["search:p95<0.1", "mean<0.1", "max<0.1", "rps>1e6", "requests>=1e6", "fail_ratio<0", "failures<=0"]
)
def test_a_breach_of_any_kind_alone_has_the_exit_code_of_a_breach(text: str) -> None:
    findings = evaluate([parse(text)], FIGURES)
    assert [item.holds for item in findings] == [False]
    assert exit_code(Facts(findings, failures=1)) == 99


def test_a_generator_is_the_limit_when_it_is_busy_for_long_late_for_many_or_dropped_something() -> None:
    assert generator_reasons([95.0, 95.0, 10.0, 99.0, 99.0], 1000, 10, 0) == []
    assert "95 % of a core" in generator_reasons([50.0, 95.0, 96.0, 97.0], 0, 0, 0)[0]
    assert "11 of 1000 requests began more than 100 ms" in generator_reasons([], 1000, 11, 0)[0]
    assert generator_reasons([], 20, 5, 0) == []
    assert "2 requests were not sent" in generator_reasons([], 100, 0, 2)[0]
