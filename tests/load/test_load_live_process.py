"""A load test beside this process: started, found again by another, stopped, killed; with a real Locust each time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError, Refused
from devenv.core.kube_settings import KubeSettings
from devenv.load.live import Following
from devenv.load.runner import OUTPUT, LiveLoad, LoadOptions, LoadRunner, find_running, known_runs
from devenv.runs.identity import owner_of
from tests.load.playing import ROOT, Played, played, wait_for

STARTER = """
import signal, sys
from pathlib import Path
from tests.load.playing import Played

live = Played(Path(sys.argv[1])).start()
print(live.folder, flush=True)
signal.pause()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with played(tmp_path) as made:
        yield made


def begun(live: LiveLoad) -> Following:
    following = Following(live)

    def loads() -> bool:
        following.look()
        assert not following.state.over, following.state.last_words
        return following.state.elapsed > 0

    wait_for(loads, "the load's beginning")
    return following


def ended(following: Following) -> None:
    def over() -> bool:
        following.look()
        return following.state.over

    wait_for(over, "the run's end")


def test_it_runs_in_a_session_of_its_own_and_stops_cleanly(project: Played) -> None:
    live = project.start(LoadOptions(users=3, more=("--threshold", "search:p95<1")))
    following = begun(live)
    assert following.state.whole["search"].requests >= 10
    assert live.exit_code is None
    live.stop()
    ended(following)
    assert following.state.exit_code == 99
    assert [str(item.threshold) for item in following.state.findings] == ["search:p95<1"]


def test_another_process_finds_it_after_its_own_was_killed_and_stops_it(project: Played) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(project.folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout is not None
        folder = Path(starter.stdout.readline().strip())
        starter.send_signal(signal.SIGKILL)
    wait_for(lambda: find_running(project) is not None, "the run being found")
    run = find_running(project)
    assert run is not None
    assert (run.folder, run.goes_on, run.shape) == (folder, True, "steady")
    following = begun(run.attach())
    before = following.state.elapsed
    wait_for(lambda: following.look() or following.state.elapsed > before, "more load")  # type: ignore[func-returns-value]  # it always looks
    following.live.stop()
    ended(following)
    assert following.state.exit_code == 0, "the outcome tells it to whoever did not start it"
    assert find_running(project) is None


def test_a_killed_run_is_told_from_one_that_goes_on(project: Played) -> None:
    live = project.start()
    following = begun(live)
    live.kill()
    ended(following)
    assert following.state.exit_code == -signal.SIGKILL
    assert not following.state.outcome
    assert [(run.goes_on, run.verdict) for run in known_runs(project.folder)] == [(False, "")]


def test_a_process_of_the_same_number_that_began_later_is_neither_followed_nor_stopped(project: Played) -> None:
    live = project.start()
    begun(live)
    machine, boot, pid, start = live.owner.split("/")
    path = live.folder / "started.json"
    data = json.loads(path.read_text())
    older = LiveLoad(live.folder, "/".join((machine, boot, pid, str(int(start) - 1))))
    path.write_text(json.dumps(data | {"owner": older.owner}))
    assert find_running(project) is None
    older.stop()
    older.kill()
    assert live.exit_code is None
    path.write_text(json.dumps(data))


def test_a_process_of_another_machine_is_neither_followed_nor_stopped(project: Played) -> None:
    live = project.start()
    begun(live)
    _, boot, pid, start = live.owner.split("/")
    path = live.folder / "started.json"
    data = json.loads(path.read_text())
    other = LiveLoad(live.folder, "/".join(("another", boot, pid, start)))
    path.write_text(json.dumps(data | {"owner": other.owner}))
    assert find_running(project) is None
    other.kill()
    assert live.exit_code is None
    path.write_text(json.dumps(data))


def test_a_run_of_another_project_is_not_followed(project: Played, tmp_path: Path) -> None:
    begun(project.start())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert find_running(Played(elsewhere)) is None
    assert known_runs(tmp_path)
    assert not known_runs(elsewhere)


def test_what_locust_says_before_it_dies_is_kept(project: Played) -> None:
    live = project.start(LoadOptions(more=("--no-such-option",)))
    following = Following(live)
    ended(following)
    assert following.state.exit_code == 2
    assert "unrecognized arguments: --no-such-option" in following.state.last_words
    assert (live.folder / OUTPUT).is_file()


def test_read_only_and_contexts_that_are_not_allowed_refuse_it_as_any_change(project: Played) -> None:
    project.read_only = True
    runner = project()
    plan = runner.plan(LoadOptions())
    assert (plan.allowed, plan.reason) == (False, "devenv is in read-only mode")
    with pytest.raises(Refused, match="load test was not done: devenv is in read-only mode"):
        runner.start(plan, LoadOptions())
    project.read_only = False
    kubeconfig = project.folder / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "clusters": [{"name": "far", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "me", "user": {}}],
                "contexts": [{"name": "prod", "context": {"cluster": "far", "user": "me"}}],
            }
        )
    )
    settings = KubeSettings()
    environ = {"KUBECONFIG": str(kubeconfig), "HOME": str(project.folder)}
    made = LoadRunner(project.folder, project().load, settings, project().guard, environ)
    plan = made.plan(LoadOptions(target="kubernetes", context="prod", namespace="shop"))
    assert (plan.allowed, plan.context, plan.namespace) == (False, "prod", "shop")
    assert "the context prod is not on the list of those that may be changed" in plan.reason
    assert "[kubernetes] allow" in plan.hint
    assert not project.runs()


def test_a_run_is_in_the_audit_log_with_how_it_ended(project: Played) -> None:
    runner = project()
    live = runner.start(runner.plan(LoadOptions()), LoadOptions())
    following = begun(live)
    live.stop()
    ended(following)
    runner.ended(live, following.state.exit_code)
    lines = [json.loads(line) for line in (project.folder / "audit.jsonl").read_text().splitlines()]
    assert [(line["event"], line["verb"]) for line in lines] == [("allowed", "load test"), ("finished", "load test")]
    assert lines[1]["result"] == "done"


def test_without_load_tests_it_says_where_they_are_looked_for(project: Played) -> None:
    project.tests = "nowhere"
    with pytest.raises(DevenvError, match="nowhere is not a folder") as caught:
        project.start()
    assert "[load] tests" in caught.value.hint
    assert owner_of(1).pid == 1
