"""How runs of `locust -f loadtests` against docsearch on a real engine end: short, bounded, on loopback only.

The runs take place side by side, a few at a time, before the first test looks at one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from devenv.load.recording import read_recording
from tests.load.conftest import Target
from tests.load.proxy import Proxy, every_third_search_fails, nothing_is_found, proxy
from tests.load.running import SMALL, Ended, Runner

pytestmark = pytest.mark.engine
AT_ONCE = 5  # runs
SHORT = (*SMALL, "-u", "6", "-t", "5s", "--warm-up", "0")
KEPT = ("search:p95<5000", "fail_ratio<0.01", "failures<=0", "rps>1", "requests>=10", "mean<5000", "max<10000")
SLOW = ("search:p95<0.1", "mean<0.1", "max<0.1", "rps>100000", "requests>=100000")
FAILING = ("fail_ratio<0.01", "failures<=0")
BROKEN = f"loadtests,{Path(__file__).with_name('broken_user.py')}"


def thresholds(*texts: str) -> list[str]:
    return [word for text in texts for word in ("--threshold", text)]


@pytest.fixture(scope="module")
def between(target: Target) -> Iterator[Mapping[str, Proxy]]:
    """Proxies in front of the stack: two that only watch, three that break searches, one that finds nothing."""
    with ExitStack() as stack:
        # One for each run: of one that they share, a run might never meet the third search.
        breaking = {name: every_third_search_fails() for name in ("failing", "unserved", "excused")}
        faults = {"one": None, "other": None, "forgetful": nothing_is_found, **breaking}
        yield {
            name: stack.enter_context(proxy(target.url, fault) if fault else proxy(target.url))
            for name, fault in faults.items()
        }


@pytest.fixture(scope="module")
def ended(
    target: Target, between: Mapping[str, Proxy], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Ended]:
    """All runs, by name."""
    forgetful = ("--host", between["forgetful"].url)
    broken = {name: ("--host", between[name].url) for name in ("failing", "unserved", "excused")}
    seeded = (*SMALL, "--model", "open", "--rate", "3", "-u", "4", "-t", "4s", "--seed", "3", "--host")
    runs = {
        "kept": (*SMALL, "-u", "16", "-t", "6s", "--warm-up", "1", "--target", "compose", *thresholds(*KEPT)),
        "slow": (*SHORT, *thresholds(*SLOW)),
        "failing": (*SHORT, *broken["failing"], *thresholds(*FAILING)),
        "aborted": (*SMALL, "-u", "4", "-t", "100s", "--warm-up", "1", "--abort-on-threshold", *thresholds("p95<0.1")),
        "unserved": (*SHORT, *broken["unserved"]),
        "excused": (*SHORT, *broken["excused"], "--exit-code-on-error", "0"),
        "unread": (*SHORT, *forgetful, "--visible-within", "0.3", "Checker"),
        "crashed": (*SHORT, "Broken"),
        "one": (*seeded, between["one"].url, "Searcher"),
        "other": (*seeded, between["other"].url, "Searcher"),
    }
    runner = Runner(tmp_path_factory.mktemp("runs"), target.environ)

    def run(name: str) -> Ended:
        return runner.run(*runs[name], files=BROKEN if name == "crashed" else "loadtests")

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(runs, pool.map(run, runs), strict=True))
    finally:
        runner.close()


def test_a_run_is_recorded_judged_and_reported(ended: Mapping[str, Ended]) -> None:
    run = ended["kept"]
    assert run.code == 0, run.output[-3000:]
    assert [item["holds"] for item in run.outcome["findings"]] == [True] * len(KEPT)
    recording = read_recording(run.started.folder)
    assert {track.service for track in recording.tracks.values()} == {"backend", "frontend"}
    assert any(use.cpu for track in recording.tracks.values() for use in track.uses)
    assert recording.gaps == []
    assert {"search", "add", "read-your-write", "document"} <= set(recording.figures())
    # The recorder watches two containers for some seconds: a percent of a core, and its start.
    assert sorted(recording.own)[len(recording.own) // 2] < 0.02
    assert all((run.started.folder / name).is_file() for name in ("report.html", "report.md", "report.json"))


def test_every_run_leaves_the_target_as_it_was(ended: Mapping[str, Ended], target: Target) -> None:
    assert {name: "could not be removed" in run.output for name, run in ended.items()} == dict.fromkeys(ended, False)
    assert target.collections() == ["mine"]


@pytest.mark.parametrize(("name", "texts"), [("slow", SLOW), ("failing", FAILING)])
def test_each_kind_of_threshold_is_breached_with_the_exit_code_of_a_breach(
    ended: Mapping[str, Ended], name: str, texts: tuple[str, ...]
) -> None:
    run = ended[name]
    assert (run.code, run.broken) == (99, list(texts)), run.output[-3000:]
    assert all(re.search(rf"{re.escape(text)} +FAILED", run.output) for text in texts)


def test_a_breach_ends_the_run_early_when_asked(ended: Mapping[str, Ended]) -> None:
    run = ended["aborted"]
    assert (run.code, run.broken) == (99, ["p95<0.1"]), run.output[-3000:]
    assert read_recording(run.started.folder).length < 40


@pytest.mark.parametrize(("name", "code"), [("unserved", 1), ("excused", 0), ("unread", 1), ("crashed", 70)])
def test_failed_requests_have_another_code_than_a_breach_and_an_exception_a_third(
    ended: Mapping[str, Ended], name: str, code: int
) -> None:
    assert ended[name].code == code, ended[name].output[-3000:]


def test_a_document_that_is_not_found_in_time_is_told(ended: Mapping[str, Ended]) -> None:
    assert "an acknowledged document was not found within 0.3 s" in ended["unread"].output


def test_the_same_seed_sends_the_same_requests(ended: Mapping[str, Ended], between: Mapping[str, Proxy]) -> None:
    queries = []
    for name in ("one", "other"):
        assert ended[name].code in (0, 12), ended[name].output[-3000:]
        found = [urlsplit(path).query for _, path in between[name].seen if path.startswith("/api/search")]
        queries.append([parse_qs(query)["q"][0] for query in found])
    assert min(map(len, queries)) > 30
    length = min(map(len, queries)) - 8  # the last ones may have been cut off
    one, other = (Counter(items[:length]) for items in queries)  # on a busy machine users overtake each other
    assert (one & other).total() > 0.9 * length, queries
