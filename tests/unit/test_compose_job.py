"""A verb of Compose as a child process: progress, errors, interruption; Compose is played by a script."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from fakedocker import fake_docker

from devenv.backends.compose import ComposeOptions
from devenv.control import compose
from devenv.control.compose import volumes_at_risk
from devenv.control.job import Job
from devenv.control.stream import Remark
from devenv.core.errors import DevenvError, Interrupted, ProjectError, ToolMissing
from devenv.core.model import Progress, Project, Service

PROJECT = Project("p", "/p", (), (Service("web", builds=True), Service("db")))
STEP = '{"id":"Container p-web-1","status":"Done","text":"Started"}'


def job(folder: Path, script: str, verb: str = "up", targets: tuple[str, ...] = ()) -> Job:
    options = ComposeOptions(directory=str(folder), files=("/p/compose.yaml",))
    return Job(options, PROJECT, verb, ("--detach",), targets, fake_docker(folder, script))


def test_steps_and_warnings_are_reported_in_order(tmp_path: Path) -> None:
    script = f"""echo '{{"level":"warning","msg":"careful"}}' >&2; echo '{STEP}' >&2; echo "$@" >{tmp_path}/said"""
    made, told = job(tmp_path, script, targets=("web",)), []
    made.run(told.append)
    assert told == [Remark("careful"), Progress("Container p-web-1", "Started", "done")]
    assert made.steps == 1
    said = (tmp_path / "said").read_text()
    assert said == "compose --file /p/compose.yaml --progress json up --detach web\n"


def test_the_final_error_is_translated(tmp_path: Path) -> None:
    message = "network n declared as external, but could not be found"
    made = job(tmp_path, f"""echo '{{"error":true,"message":"{message}"}}' >&2; exit 1""")
    with pytest.raises(ProjectError, match="external network n does not exist"):
        made.run(lambda record: None)


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        (['{"id":"service:web:1","status":"Error","text":"nobody knows"}'], True),
        (['{"id":"Container p-web-1","status":"Error","text":"Error"}'], True),
        (['{"id":"Container p-web-1","status":"Working","text":"Starting"}'], True),
        (
            [
                '{"id":"Container p-web-1","status":"Working","text":"Starting"}',
                '{"id":"Container p-web-1","status":"Done","text":"Started"}',
            ],
            False,
        ),
    ],
)
def test_the_step_that_failed_or_never_ended_says_which_service(tmp_path: Path, steps: list[str], named: bool) -> None:
    lines = "; ".join(f"echo '{step}' >&2" for step in (*steps, '{"error":true,"message":"nobody knows"}'))
    with pytest.raises(DevenvError) as caught:
        job(tmp_path, f"{lines}; exit 1").run(lambda record: None)
    assert caught.value.message == ("Service web: nobody knows" if named else "nobody knows")


def test_a_compose_that_crashes_is_named_and_its_stack_trace_is_not_shown(tmp_path: Path) -> None:
    told: list[object] = []
    trace = "panic: assignment to entry in nil map\\n\\ngoroutine 28 [running]:\\nmain.main()"
    with pytest.raises(DevenvError, match="Docker Compose itself crashed: panic: assignment") as caught:
        job(tmp_path, f"printf '{trace}\\n' >&2; exit 2").run(told.append)
    assert "goroutine" not in caught.value.message
    assert told == []


def test_a_docker_without_compose_speaks_no_json(tmp_path: Path) -> None:
    made = job(tmp_path, """echo "docker: 'compose' is not a docker command." >&2; exit 1""")
    with pytest.raises(ToolMissing, match="no compose command"):
        made.run(lambda record: None)


@pytest.mark.parametrize("goes_on", ["exit 0", "exec sleep 300"])
def test_a_build_that_would_go_on_without_buildkit_is_ended(tmp_path: Path, goes_on: str) -> None:
    said = "buildx Docker CLI plugin not found: falling back to the classic builder. BuildKit-only build features ..."
    made, told = job(tmp_path, f"""echo '{{"level":"warning","msg":"{said}"}}' >&2; {goes_on}""", "build", ("web",)), []
    with pytest.raises(ToolMissing, match="needs its buildx plugin"):
        made.run(told.append)
    assert told == []


def test_an_unprefixed_build_step_belongs_to_the_only_target(tmp_path: Path) -> None:
    vertex = '{"vertexes":[{"digest":"d","name":"[2/2] RUN x","started":"t","error":"exit code: 7"}]}'
    made, told = job(tmp_path, f"""echo '{vertex}'; exit 1""", "build", ("web",)), []
    with pytest.raises(DevenvError, match="image of service web could not be built"):
        made.run(told.append)
    assert [record.parent_id for record in told if isinstance(record, Progress)] == ["web"]


def test_a_missing_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing):
        Job(ComposeOptions(directory=str(tmp_path)), PROJECT, "up").run(lambda record: None)


def interrupted(made: Job) -> float:
    """Interrupt the job at its first step; return how long it then took to end."""
    at: list[float] = []

    def report(record: Progress | Remark) -> None:
        at.append(time.monotonic())
        made.interrupt()

    with pytest.raises(Interrupted):
        made.run(report)
    return time.monotonic() - at[0]


def test_interrupting_is_a_sigint_to_compose_and_all_it_started(tmp_path: Path) -> None:
    script = f"""trap 'echo int >>{tmp_path}/said; kill $!; exit 130' INT; echo '{STEP}' >&2; sleep 60 & wait"""
    assert interrupted(job(tmp_path, script)) < 5
    assert (tmp_path / "said").read_text() == "int\n"


def test_a_compose_that_does_not_listen_is_ended_harder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "PATIENCE", 0.2)
    script = f"""trap '' INT; trap 'echo term >{tmp_path}/said' TERM; echo '{STEP}' >&2; while :; do sleep 0.1; done"""
    assert interrupted(job(tmp_path, script)) < 10
    assert (tmp_path / "said").read_text() == "term\n"


def test_a_job_canceled_before_it_began_starts_nothing(tmp_path: Path) -> None:
    made = job(tmp_path, f"touch {tmp_path}/started")
    made.interrupt()
    with pytest.raises(Interrupted, match="before it began"):
        made.run(lambda record: None)
    assert not (tmp_path / "started").exists()


def test_an_error_of_ours_does_not_leave_compose_behind(tmp_path: Path) -> None:
    made = job(tmp_path, f"echo '{STEP}' >&2; exec sleep 60")

    def report(record: Progress | Remark) -> None:
        raise RuntimeError("the screen broke")

    with pytest.raises(RuntimeError, match="the screen broke"):
        made.run(report)
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("compose-") for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "its readers end when Compose has ended"
        time.sleep(0.02)


def test_the_dry_run_names_the_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        '{"id":"Container p-web-1","status":"Done","text":"Removed"}',
        '{"id":"Volume p_data","status":"Working","text":"Removing"}',
        '{"id":"Volume p_data","status":"Done","text":"Removed"}',
        '{"id":"Volume p_gone","status":"Warning","text":"No resource found to remove"}',
    ]
    script = f'echo "$@" >{tmp_path}/said\n' + "\n".join(f"echo '{line}' >&2" for line in lines)
    monkeypatch.setenv("PATH", fake_docker(tmp_path, script)["PATH"])
    assert volumes_at_risk(ComposeOptions(directory=str(tmp_path))) == ("p_data",)
    assert "--dry-run down --volumes" in (tmp_path / "said").read_text()


def test_of_several_starts_the_engine_knows_which_one_failed(tmp_path: Path) -> None:
    starting = [f'{{"id":"Container p-{name}-1","status":"Working","text":"Starting"}}' for name in ("web", "db")]
    said = '{"error":true,"message":"Error response from daemon: no gpu here"}'
    answer = 'printf \'"/p-web-1" ""\\n"/p-db-1" "no gpu here"\\n\''
    lines = "; ".join(f"echo '{line}' >&2" for line in (*starting, said))
    with pytest.raises(DevenvError) as caught:
        job(tmp_path, f'case "$*" in *inspect*) {answer}; exit;; esac; {lines}; exit 1').run(lambda record: None)
    assert caught.value.message == "Service db: no gpu here"


def test_a_build_without_a_target_is_that_of_the_only_service(tmp_path: Path) -> None:
    said = '{"error":true,"message":"unable to prepare context: path \\\\"/no/x\\\\" not found\\\\n"}'
    with pytest.raises(DevenvError, match="build folder /no/x of service web is not there"):
        job(tmp_path, f"printf '%b' '{said}' >&2; exit 1", "build", ("web",)).run(lambda record: None)
