"""A run that is followed from beside: what it tells, how it ends, and what the audit adds to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from verify_samples import report_of

from devenv.core.errors import DevenvError
from devenv.runs.criteria import Verdict
from devenv.runs.lines import STREAM
from devenv.verify.collector import join_cases
from devenv.verify.runner import LiveRun, RunOptions, RunState
from devenv.verify.stack import BuildWatch
from devenv.verify.waiting import unmeasurable, wait_until
from tests import forked

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.fixture
def never():
    raise RuntimeError("the setup broke")

def test_good(measure_nothing=None):
    pass

def test_setup(never):
    pass

def test_skipped():
    pytest.skip("inconclusive: there is no sun")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "smoketests").mkdir()
    (tmp_path / "smoketests" / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def followed(run: LiveRun) -> RunState:
    state = RunState(0.0)

    def over() -> bool:
        code = run.exit_code
        state.take(run.drain())
        if code is not None:
            state.end(code, 1.0, run.last_words())
        return state.over

    wait_until("the run to end", over, 60.0)
    return state


def test_a_run_tells_its_tests_before_they_run_and_each_verdict(folder: Path) -> None:
    run = LiveRun(folder / "smoketests", folder, RunOptions(), os.environ)
    state = followed(run)
    assert state.exit_code == 1
    assert {test.name: test.verdict for test in state.tests.values()} == {
        "good": Verdict.PASSED,
        "setup": Verdict.ERROR,
        "skipped": Verdict.INCONCLUSIVE,
    }
    assert [test.name for test in state.failed] == ["setup"]
    assert Path(state.root) == folder
    assert "the setup broke" in state.failed[0].why
    place = run.place
    run.close()
    assert not place.exists()


def test_the_same_line_in_two_pieces_is_one(folder: Path) -> None:
    run = LiveRun(folder / "smoketests", folder, RunOptions(options=("--collect-only",)), os.environ)
    wait_until("the run to end", lambda: run.exit_code is not None, 60.0)
    run.drain()
    whole = json.dumps({"phase": "finishing", "at": 1.0}) + "\n"
    with run.stream.open("a") as file:
        file.write(whole[:10])
    assert run.drain() == []
    with run.stream.open("a") as file:
        file.write(whole[10:])
    assert run.drain() == [{"phase": "finishing", "at": 1.0}]
    run.close()


def test_a_program_that_cannot_be_started_is_an_error_of_ours(folder: Path) -> None:
    with pytest.raises(DevenvError, match="cannot be started"):
        LiveRun(folder / "smoketests", folder / "gone", RunOptions(), os.environ)


HANGING = """
import time
from pathlib import Path
import pytest

@pytest.fixture
def stack_like():
    yield
    time.sleep(0.5)  # a clean-up takes its time
    Path("cleaned").touch()

def test_hangs(stack_like, verify_session=None):
    Path("ready").touch()
    time.sleep(600)
"""
FOLLOWER = """
import os, sys, time
from pathlib import Path
from devenv.verify.runner import LiveRun, RunOptions
run = LiveRun(Path("smoketests"), Path.cwd(), RunOptions(), os.environ)
Path("pid").write_text(str(run._process.pid))
Path("place").write_text(str(run.place))
{then}
"""


@pytest.mark.parametrize("then", ["time.sleep(600)", "run.cancel(); time.sleep(600)"], ids=["running", "cancelled"])
def test_a_run_whose_follower_was_killed_cleans_up_and_ends(folder: Path, then: str) -> None:
    (folder / "smoketests" / "test_it.py").write_text(HANGING)
    program = FOLLOWER.format(then=f"while not Path('ready').exists(): time.sleep(0.02)\n{then}")
    follower = subprocess.Popen([sys.executable, "-c", program], cwd=folder)
    wait_until("the test to run", (folder / "ready").exists, 60.0)
    follower.kill()
    follower.wait()
    wait_until("the clean-up", (folder / "cleaned").exists, 30.0)
    pid = int((folder / "pid").read_text())
    wait_until("the run to end", lambda: not Path(f"/proc/{pid}").exists(), 30.0)
    assert not Path((folder / "place").read_text()).exists()


def test_no_stream_without_a_follower(folder: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != STREAM}
    done = forked.run("pytest", "-q", "smoketests", cwd=folder, env=environ)
    assert done.returncode == 1, done.stdout
    assert not list(folder.glob("**/stream*"))


@pytest.mark.parametrize(
    "said",
    [
        "urlopen error [Errno -3] Temporary failure in name resolution",
        "npm error code EAI_AGAIN",
        "Temporary failure resolving 'archive.example.com'",
        "WARNING: fetching: DNS: transient error (try again later)",
        "dial tcp: lookup proxy on 10.0.0.1:53: no such host",
    ],
)
def test_a_build_that_reaches_nothing_says_nothing_about_the_project(said: str) -> None:
    message = f"The image of service web could not be built\n  Dockerfile line 2: RUN install\n    {said}"
    found = unmeasurable(DevenvError(message))
    assert found is not None
    assert said in found.message
    assert "Dockerfile line 2" in found.message


@pytest.mark.parametrize("said", ["No matching distribution found for nothing==1", "syntax error", "404 Not Found"])
def test_a_build_that_is_wrong_is_the_projects(said: str) -> None:
    assert unmeasurable(DevenvError(f"The image of service web could not be built\n    {said}")) is None


def test_the_base_image_is_no_step_of_a_build() -> None:
    from devenv.core.model import Progress

    watch = BuildWatch()
    for name, word in (
        ("Step [web] [1/3] FROM docker.io/library/python:3.11", "Built"),
        ("Step [web build 1/2] FROM base", "Cached"),
        ("Step [web] [2/3] COPY . /app", "Built"),
        ("Step [web] [3/3] RUN make FROM=here", "Cached"),
    ):
        watch.take(Progress(id=name, parent_id="", status="done", text=word))
    found = watch.report(1.0, {})
    assert (len(found.built), len(found.cached)) == (1, 1)


def test_one_test_is_one_case_of_the_junit_report(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    case = '<testcase classname="t" name="test_it" time="0.5">'
    path.write_text(
        '<?xml version="1.0"?><testsuites><testsuite name="pytest" tests="3" errors="1" failures="1" skipped="0">'
        f'{case}<failure message="no">first</failure></testcase>'
        f'{case}<error message="broke">second</error><system-out>said</system-out></testcase>'
        '<testcase classname="t" name="other" time="0"/></testsuite></testsuites>'
    )
    join_cases(path)
    suite = ET.parse(path).getroot()[0]
    assert [(item.get("name"), [child.tag for child in item]) for item in suite] == [
        ("test_it", ["failure", "system-out"]),
        ("other", []),
    ]
    assert "second" in (suite[0][0].text or "")
    assert {name: suite.get(name) for name in ("tests", "errors", "failures")} == {
        "tests": "2",
        "errors": "0",
        "failures": "1",
    }
    before = path.read_bytes()
    join_cases(path)
    assert path.read_bytes() == before


def test_a_report_that_is_no_xml_is_told(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text("<testsuites>")
    with pytest.raises(DevenvError, match="cannot be completed"):
        join_cases(tmp_path / "junit.xml")


def test_the_audit_takes_what_only_deployments_measure_from_the_history() -> None:
    from dataclasses import replace

    from devenv.cli.audit import from_deployments
    from devenv.runs.criteria import criterion, judge
    from devenv.runs.history import History
    from devenv.runs.identity import this_machine

    measured = [judge(criterion(name, {}), 12.0, {}, 2000.0, "deploy") for name in ("pod_ready", "pipeline")]
    report = report_of("deploy-1", 1.0)
    History().add(replace(report, machine=this_machine(), target="kubernetes", measurements=tuple(measured), tests=()))
    reasons: dict[str, str] = {}
    found = from_deployments([], "shop", {"pod_ready": 10.0}, reasons)
    assert [(item.criterion.name, item.value, item.verdict) for item in found] == [
        ("pod_ready", 12.0, Verdict.FAILED),
        ("pipeline", 12.0, Verdict.PASSED),
    ]
    assert "devenv deploy" in reasons["deployment_success"], "no share of successes is in the history"
    newer = from_deployments(measured, "shop", {}, {})
    assert [item.criterion.name for item in newer] == ["pipeline"], "what this run measured is newer; gates are not it"


def test_the_gates_of_a_pull_request_are_a_pipeline_with_a_stage_each() -> None:
    from devenv.verify.success_metrics import gates

    jobs = [{"name": "lint", "result": "passed", "seconds": 2.0}, {"name": "smoke", "result": "passed", "seconds": 9.0}]
    judged = gates({"jobs": jobs, "seconds": 10.0}, {})
    assert (judged.criterion.name, judged.verdict, judged.value) == ("pipeline.pull_request", Verdict.PASSED, 10.0)
    assert judged.criterion.budget == 900
    assert judged.stages == {"lint": 2.0, "smoke": 9.0}
    jobs[1]["result"] = "inconclusive"
    assert gates({"jobs": jobs, "seconds": 10.0}, {}).verdict is Verdict.INCONCLUSIVE
    jobs[0]["result"] = "failed"
    failed = gates({"jobs": jobs, "seconds": 10.0}, {})
    assert failed.verdict is Verdict.FAILED
    assert failed.why == "gates: lint failed, smoke inconclusive"


def test_why_smoke_tests_measured_a_metric_not_is_told() -> None:
    from devenv.verify.success_metrics import reasons_of

    test = {"id": "a.py::test_from_nothing", "behaviour": "cold start", "verdict": "inconclusive", "why": "no route\nx"}
    reasons = reasons_of({"tests": [test]}, "compose")
    assert reasons["cold_start"] == "test_from_nothing: inconclusive, no route"
    assert "no smoke test of hot reload" in reasons["hot_reload"]
    assert "pipeline" not in reasons, "the gates measure it"
    assert reasons_of(None, "kubernetes") == {}


def test_the_page_of_the_audit_keeps_the_other_targets_section() -> None:
    from devenv.cli.audit import page_with

    first = page_with("", {"compose": "| a | 1 |"})
    both = page_with(first, {"kubernetes": "| b | 2 |"})
    assert both.index("## Compose") < both.index("| a | 1 |") < both.index("## Kubernetes") < both.index("| b | 2 |")
    again = page_with(both, {"compose": "| a | 3 |"})
    assert "| a | 1 |" not in again
    assert "| a | 3 |" in again
    assert "| b | 2 |" in again
    assert page_with(again, {}) == again


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: nothing}}\n")
    gate = '[tasks."//#lint"]\ncommand = "echo linted"\n[ci.jobs.lint]\ntasks = ["//#lint"]\n'
    (tmp_path / "devenv.toml").write_text(gate)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))))
    return tmp_path


def test_the_audit_measures_the_gates_by_itself_and_says_why_it_could_not_measure_the_rest(
    audited: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from devenv.cli import audit, main
    from devenv.runs.criteria import criterion, judge
    from devenv.verify.runner import Outcome

    names = ("cold_start", "hot_reload.web", "cached_build.web", "build_improvement")
    values = [judge(criterion(name, {}), value, {}, 1.0, "t") for name, value in zip(names, (9, 1, 2, 90), strict=True)]
    flat = [{**(data := item.to_data()).pop("criterion"), **data} for item in values]
    report = {"project": audited.name, "verdict": "passed", "measurements": flat, "tests": []}
    asked: list[list[str]] = []
    monkeypatch.setattr(audit, "run_smoketests", lambda arguments, options: asked.append(options) or Outcome(0, report))
    assert main(["audit", "--target", "all", "--markdown", "AUDIT.md"]) == 12, "no cluster: not everything was measured"
    assert asked == [["--devenv-target", "compose"]]
    page = (audited / "AUDIT.md").read_text("utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert [name for name in rows if "passed" in rows[name]] == [*names, "pipeline.pull_request"]
    assert "lint" in rows["pipeline.pull_request"], "each gate is a stage"
    assert rows["pipeline.pull_request"].endswith("| T122 |")
    assert "No cluster is configured" in rows["pod_ready"]
    assert "no deployment is in the history" in rows["deployment_success"]
    assert "linted" in capfd.readouterr().err, "what the gates print is seen"


def test_a_gate_that_fails_fails_the_audit(
    audited: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from devenv.cli import audit, main
    from devenv.verify.runner import Outcome

    toml = audited / "devenv.toml"
    toml.write_text(toml.read_text().replace("echo linted", "exit 3"))
    report = {"project": audited.name, "verdict": "passed", "measurements": [], "tests": []}
    monkeypatch.setattr(audit, "run_smoketests", lambda arguments, options: Outcome(0, report))
    monkeypatch.setattr(audit, "time_builds", lambda environments, budgets: [])
    assert main(["audit"]) == 1
    assert "gates: lint failed" in capfd.readouterr().out
