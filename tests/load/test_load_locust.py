"""`locust -f loadtests` against docsearch on a real engine: short, bounded, on loopback only."""

from __future__ import annotations

import difflib
import re
import signal
import socket
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from devenv.load.series import read_recording
from tests.load.conftest import Target
from tests.load.proxy import every_third_search_fails, nothing_is_found, proxy
from tests.load.running import SMALL, Runner

pytestmark = pytest.mark.engine
OPEN = ("--model", "open", "--warm-up", "0", "--rate", "3")


def port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def test_a_run_is_recorded_judged_and_reported_and_leaves_the_target_as_it_was(locust: Runner, target: Target) -> None:
    thresholds = (
        "search:p95<5000",
        "fail_ratio<0.01",
        "failures<=0",
        "rps>1",
        "requests>=10",
        "mean<5000",
        "max<10000",
    )
    flags = [word for text in thresholds for word in ("--threshold", text)]
    ended = locust.run(*SMALL, "-u", "12", "-t", "8s", "--warm-up", "1", "--target", "compose", *flags)
    assert ended.code == 0, ended.output[-3000:]
    assert [item["holds"] for item in ended.outcome["findings"]] == [True] * len(thresholds)
    recording = read_recording(ended.started.folder)
    assert {track.service for track in recording.tracks.values()} == {"backend", "frontend"}
    assert any(use.cpu for track in recording.tracks.values() for use in track.uses)
    assert recording.gaps == []
    assert {"search", "add", "read-your-write", "document"} <= set(recording.figures())
    # The recorder watches two containers for some seconds: a percent of a core, and its start.
    assert sorted(recording.own)[len(recording.own) // 2] < 0.02
    assert all((ended.started.folder / name).is_file() for name in ("report.html", "report.md", "report.json"))
    assert target.collections() == ["mine"]


def test_each_kind_of_threshold_is_breached_with_its_own_exit_code(locust: Runner, target: Target) -> None:
    slow = {"search:p95<0.1", "mean<0.1", "max<0.1", "rps>100000", "requests>=100000"}
    runs = {
        text: locust.start(*SMALL, "-u", "6", "-t", "3s", "--warm-up", "0", "--threshold", text)
        for text in sorted(slow)
    }
    with proxy(target.url, every_third_search_fails()) as broken:
        for text in ("fail_ratio<0.01", "failures<=0"):
            flags = (*SMALL, "-u", "6", "-t", "3s", "--warm-up", "0", "--host", broken.url, "--threshold", text)
            runs[text] = locust.start(*flags)
        for text, started in runs.items():
            ended = started.ended()
            assert (ended.code, ended.broken) == (99, [text]), ended.output[-3000:]
            assert re.search(rf"{re.escape(text)} +FAILED", ended.output)
    assert target.collections() == ["mine"]


def test_failed_requests_have_another_code_than_a_breach_and_an_exception_a_third(
    locust: Runner, target: Target
) -> None:
    with proxy(target.url, every_third_search_fails()) as broken, proxy(target.url, nothing_is_found) as forgetful:
        short = ("-u", "6", "-t", "3s")
        failing = locust.start(*SMALL, *short, "--host", broken.url)
        excused = locust.start(*SMALL, *short, "--host", broken.url, "--exit-code-on-error", "0")
        unread = locust.start(*SMALL, *short, "--host", forgetful.url, "--visible-within", "0.3", "Checker")
        crashed = locust.start(
            *SMALL, *short, "Broken", files=f"loadtests,{Path(__file__).with_name('broken_user.py')}"
        )
        assert failing.ended().code == 1, failing.output()[-3000:]
        assert excused.ended().code == 0, excused.output()[-3000:]
        assert unread.ended().code == 1, unread.output()[-3000:]
        assert "an acknowledged document was not found within 0.3 s" in unread.output()
        assert crashed.ended().code == 70, crashed.output()[-3000:]


def test_what_cannot_run_says_so_before_anything_is_sent(locust: Runner) -> None:
    cases = {
        ("--threshold", "serach:p95<200"): (2, "Did you mean 'search'?"),
        ("--target", "moon"): (2, "Say compose, kubernetes, or a URL"),
        ("--host", f"http://127.0.0.1:{port()}"): (1, "does not answer"),
        ("--rate", "0"): (2, "--rate must be above 0"),
    }
    started = {flags: locust.start(*SMALL, "-t", "2s", *flags) for flags in cases}
    for flags, (code, told) in cases.items():
        ended = started[flags].ended()
        assert (ended.code, told in ended.output) == (code, True), ended.output[-2000:]


def test_a_breach_ends_the_run_early_when_asked(locust: Runner) -> None:
    began = time.monotonic()
    ended = locust.run(
        *SMALL, "-u", "4", "-t", "100s", "--warm-up", "1", "--abort-on-threshold", "--threshold", "p95<0.1"
    )
    assert (ended.code, ended.broken) == (99, ["p95<0.1"])
    assert time.monotonic() - began < 40


def test_ctrl_c_ends_it_cleanly_and_what_a_kill_leaves_is_removed_by_the_next_run(
    locust: Runner, target: Target
) -> None:
    first = locust.start(*SMALL, *OPEN, "-u", "4", "-t", "100s")
    first.wait_for(first.is_loading, "load")
    assert len(target.collections()) == 3
    first.stop(signal.SIGINT)
    ended = first.ended(20)
    assert ended.code in (0, 12), ended.output[-3000:]
    assert "report:" in ended.output
    assert target.collections() == ["mine"]
    second = locust.start(*SMALL, *OPEN, "-u", "4", "-t", "100s")
    second.wait_for(second.is_loading, "load")
    second.stop(signal.SIGKILL)
    second.process.wait()
    assert len(target.collections()) == 3
    third = locust.run(*SMALL, "-u", "1", "-t", "1s")
    assert third.code in (0, 12), third.output[-3000:]
    assert target.collections() == ["mine"]


def test_more_processes_share_the_load_and_are_judged_once(locust: Runner, target: Target) -> None:
    master, own = port(), port()
    flags = (*SMALL, *OPEN, "-u", "12", "-t", "5s", "--seed", "7", "--threshold", "requests>=100000")
    forked = locust.start(*flags, "--processes", "2", "--master-bind-port", own, "--master-port", own)
    split = locust.start(*flags, "--master", "--expect-workers", "2", "--master-bind-port", master)
    workers = [locust.start("--worker", "--master-port", master) for _ in range(2)]
    for ended in (forked.ended(), split.ended()):
        assert (ended.code, ended.broken) == (99, ["requests>=100000"]), ended.output[-3000:]
        assert ended.output.count("report:") == 1
        recording = read_recording(ended.started.folder)
        assert recording.run["seed"] == 7
        assert max(len(tick.cpu) for tick in recording.load) == 2
        assert recording.figures()["total"].requests > 0
    assert all("report:" not in worker.ended(20).output for worker in workers)
    assert target.collections() == ["mine"]


def test_a_lost_worker_makes_the_run_inconclusive(locust: Runner, target: Target) -> None:
    master = port()
    flags = (*SMALL, *OPEN, "-u", "6", "-t", "12s")
    split = locust.start(*flags, "--master", "--expect-workers", "2", "--master-bind-port", master)
    workers = [locust.start("--worker", "--master-port", master) for _ in range(2)]
    split.wait_for(split.is_loading, "load")
    workers[0].stop(signal.SIGKILL)
    ended = split.ended()
    assert ended.code == 12, ended.output[-3000:]
    assert re.search(r"the worker \S+ was lost", "\n".join(ended.outcome["reasons"]))
    assert target.collections() == ["mine"]


def test_the_same_seed_sends_the_same_requests(locust: Runner, target: Target) -> None:
    queries = []
    for _ in range(2):
        with proxy(target.url) as between:
            ended = locust.run(*SMALL, *OPEN, "-u", "4", "-t", "4s", "--seed", "3", "--host", between.url, "Searcher")
            assert ended.code in (0, 12), ended.output[-3000:]
            found = [urlsplit(path).query for _, path in between.seen if path.startswith("/api/search")]
            queries.append([parse_qs(query)["q"][0] for query in found])
    assert min(map(len, queries)) > 30
    length = min(map(len, queries)) - 8  # the last ones may have been cut off
    same = difflib.SequenceMatcher(None, *(items[:length] for items in queries), autojunk=False).ratio()
    assert same > 0.9, queries


def test_the_web_ui_starts_and_stops_runs(locust: Runner, target: Target) -> None:
    web = port()
    flags = [word for word in SMALL if word != "--headless"]
    started = locust.start(*flags, *OPEN, "--web-port", web, "--web-host", "127.0.0.1")
    with httpx.Client(base_url=f"http://127.0.0.1:{web}", trust_env=False, timeout=20) as ui:

        def serves() -> bool:
            try:
                return ui.get("/").is_success
            except httpx.TransportError:
                return False

        started.wait_for(serves, "the web UI")
        form = {"user_count": "6", "spawn_rate": "10", "host": target.url, "shape": "steady", "seed": "5"}
        assert ui.post("/swarm", data=form).json()["success"]
        started.wait_for(started.is_loading, "load")
        assert ui.get("/stats/requests").json()["user_count"] == 6
        ui.post("/stop")
        started.wait_for(lambda: "report:" in started.output(), "the report")
        assert target.collections() == ["mine"]
    started.stop(signal.SIGTERM)
    assert started.ended(20).code in (0, 12)
    assert started.lines("load.jsonl")[-1]["type"] == "end"
