"""`locust -f loadtests` as people steer it: refused, interrupted, on more processes and machines, from the web UI."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Mapping

import httpx
import pytest

from devenv.load.recording import read_recording
from tests.load.conftest import Target
from tests.load.running import SMALL, Ended, Runner, Started, free_port

pytestmark = pytest.mark.engine
OPEN = ("--model", "open", "--warm-up", "0", "--rate", "3")


def test_what_cannot_run_says_so_before_anything_is_sent(locust: Runner) -> None:
    cases = {
        ("--threshold", "serach:p95<200"): (2, "Did you mean 'search'?"),
        ("--target", "moon"): (2, "Say compose, kubernetes, or a URL"),
        ("--host", f"http://127.0.0.1:{free_port()}"): (7, "does not answer"),
        ("--rate", "0"): (2, "--rate must be above 0"),
        ("-u", "0"): (2, "--users must be at least 1"),
        ("-t", "0s"): (2, "--run-time must be at least 1"),
        ("--warm-up", "2"): (2, "leaves nothing of a run of 2 s"),
        ("--tags", "nothing"): (2, "leave no task of any user"),
        ("Seacher",): (2, "Did you mean 'Searcher'?"),
        ("--shape", "hpa"): (2, "Add --target kubernetes"),
    }
    started = {flags: locust.start(*SMALL, "-t", "2s", *flags) for flags in cases}
    for flags, (code, told) in cases.items():
        ended = started[flags].ended()
        assert (ended.code, told in ended.output) == (code, True), ended.output[-2000:]
        assert len(ended.output) < 2000
        assert not started[flags].folder.exists(), "nothing was begun"


def test_ctrl_c_ends_it_cleanly_and_what_a_kill_leaves_is_removed_by_the_next_run(
    locust: Runner, target: Target
) -> None:
    runs = {name: locust.start(*SMALL, *OPEN, "-u", "4", "-t", "100s") for name in ("SIGINT", "SIGTERM", "SIGHUP")}
    for name, run in runs.items():
        run.wait_for(run.is_loading, "load")
        run.stop(signal.Signals[name])
        time.sleep(0.2)
        run.stop(signal.SIGINT)  # a second one changes nothing
    for name, run in runs.items():
        ended = run.ended(20)
        assert ended.code == 130, ended.output[-3000:]
        reasons = ended.outcome["reasons"]  # a busy machine adds that the generator fell behind
        assert (ended.outcome["exit_code"], reasons[0]) == (130, f"ended by {name}")
        assert "report:" in ended.output
        assert "Traceback" not in ended.output
    assert target.collections() == ["mine"]
    assert not list((locust.folder / "state").rglob("history.sqlite3")), "what was interrupted is in no history"
    second = locust.start(*SMALL, *OPEN, "-u", "4", "-t", "100s")
    second.wait_for(second.is_loading, "load")
    second.stop(signal.SIGKILL)
    second.process.wait()
    assert len(target.collections()) == 3
    third = locust.run(*SMALL, "-u", "1", "-t", "1s")
    assert third.code in (0, 12), third.output[-3000:]
    assert target.collections() == ["mine"]


@pytest.fixture(scope="module")
def distributed(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    """Three runs side by side: processes of one Locust, a master with two workers, and one that loses a worker."""
    runner = Runner(tmp_path_factory.mktemp("distributed"), target.environ)
    never = ("--threshold", "requests>=100000")
    flags = (*SMALL, "--warm-up", "0", "-u", "12", "--seed", "7", *never)

    def master(length: str) -> tuple[Started, list[Started]]:
        where = free_port()
        made = runner.start(*flags, "-t", length, "--master", "--expect-workers", "2", "--master-bind-port", where)
        return made, [runner.start("--worker", "--master-port", where) for _ in range(2)]

    try:
        own = free_port()
        forked = runner.start(*flags, "-t", "4s", "--processes", "2", "--master-bind-port", own, "--master-port", own)
        split, workers = master("4s")
        lossy, doomed = master("20s")
        lossy.wait_for(lossy.is_loading, "load")
        doomed[0].stop(signal.SIGKILL)
        lossy.wait_for(lambda: any(line["type"] == "lost" for line in lossy.lines("load.jsonl")), "the loss")
        runs = {"forked": forked, "split": split, "lossy": lossy, "worker 1": workers[0], "worker 2": workers[1]}
        return {name: started.ended() for name, started in runs.items()}
    finally:
        runner.close()


@pytest.mark.parametrize("name", ["forked", "split"])
def test_more_processes_share_the_load_and_are_judged_once(distributed: Mapping[str, Ended], name: str) -> None:
    ended = distributed[name]
    assert (ended.code, ended.broken) == (99, ["requests>=100000"]), ended.output[-3000:]
    assert ended.output.count("report:") == 1
    recording = read_recording(ended.started.folder)
    assert recording.run["options"]["seed"] == 7
    assert max(len(tick.cpu) for tick in recording.load) == 2
    assert recording.figures()["total"].requests > 0


def test_workers_judge_nothing(distributed: Mapping[str, Ended], target: Target) -> None:
    assert ["report:" in distributed[name].output for name in ("worker 1", "worker 2")] == [False, False]
    assert target.collections() == ["mine"]


def test_a_lost_worker_makes_the_run_inconclusive(distributed: Mapping[str, Ended]) -> None:
    ended = distributed["lossy"]
    assert ended.code == 12, ended.output[-3000:]
    assert re.search(r"the worker \S+ was lost", "\n".join(ended.outcome["reasons"]))


def test_the_web_ui_starts_and_stops_runs(locust: Runner, target: Target) -> None:
    web = free_port()
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
