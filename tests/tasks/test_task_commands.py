"""`devenv run` and `devenv cache` as users type them, in a repository without a Compose file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import forked

ROOT = Path(__file__).parents[2]
TOML = """
[tasks."//#lint"]
command = "echo checked; echo run >> ../runs"

[tasks."//#bad"]
command = "echo wrong; exit 3"

[tasks."//#slow"]
command = "echo $$ > ../pid; sleep 60"

[tasks."//#all"]
command = "true"
depends_on = ["lint"]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "devenv.toml").write_text(TOML)
    (folder / "main.py").write_text("x = 1\n")
    return folder


def start(folder: Path, *words: str, **environ: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return forked.Popen("devenv", *words, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environ}, **pipes)


def devenv(folder: Path, *words: str, **environ: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    process = start(folder, *words, **environ)
    out, complaints = process.communicate(timeout=120)
    return process.returncode, out, complaints


def test_output_is_data_and_how_it_ended_is_told(repository: Path) -> None:
    code, out, told = devenv(repository, "run", "lint")
    assert (code, out) == (0, "checked\n")
    assert "//#lint: passed" in told
    code, out, told = devenv(repository, "run", "lint")
    assert (code, out) == (0, "checked\n")
    assert "//#lint: from cache" in told
    assert (repository / "../runs").read_text() == "run\n"


def test_json_has_the_graph_and_how_each_ended(repository: Path) -> None:
    code, out, told = devenv(repository, "run", "all", "--json")
    assert code == 0
    tasks = {one["id"]: one for one in json.loads(out)["tasks"]}
    assert tasks["//#all"]["needs"] == ["//#lint"]
    assert {one["status"] for one in tasks.values()} == {"passed"}
    assert "checked" in told


def test_a_dry_run_runs_nothing_also_in_read_only_mode(repository: Path) -> None:
    code, out, _ = devenv(repository, "--read-only", "run", "all", "--dry-run")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()] == [["TASK", "WOULD"], ["//#lint", "run"], ["//#all", "run"]]
    assert not (repository / "../runs").exists()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "bad"), 1, "//#bad failed: exit code 3"),
        (("run", "lnt"), 2, "Did you mean lint?"),
        (("run",), 2, "Tasks here: //#all, //#bad, //#lint, //#slow."),
        (("run", "lint", "--parallel", "0"), 2, "whole number above 0"),
        (("--read-only", "run", "lint"), 10, "read-only"),
        (("--read-only", "cache", "clean"), 10, "read-only"),
        (("cache", "import", "nowhere"), 1, "nowhere is not a folder"),
        (("run", "lint", "--since", "nothing"), 2, "in no Git repository"),
    ],
)
def test_what_goes_wrong_has_its_exit_code_and_says_why(
    repository: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    found, _, complaints = devenv(repository, *words)
    assert found == code, complaints
    assert told in complaints


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("[tasks.lint]\n", "tasks.lint.command must be a string that is not empty, and it is not there"),
        ('[tasks.lint]\ncommand = "x"\ninput = []\n', "unknown key tasks.lint.input"),
        ('[tasks.lint]\ncommand = ""\n', "tasks.lint.command must be a string that is not empty, not ''"),
        ("[cache]\nmax_mib = 0\n", "cache.max_mib must be a whole number of MiB, 1 or more, not 0"),
    ],
)
def test_a_mistake_in_the_file_is_told_by_its_key(repository: Path, table: str, told: str) -> None:
    (repository / "devenv.toml").write_text(table)
    code, _, complaints = devenv(repository, "run", "lint")
    assert code == 2
    assert told in complaints


def test_a_cache_that_cannot_be_written_runs_nothing_unless_it_is_left_out(repository: Path) -> None:
    (repository / ".devenv").mkdir()
    (repository / ".devenv/cache").write_text("a file in its place")
    code, _, complaints = devenv(repository, "run", "lint")
    assert code == 1
    assert "cannot be written" in complaints
    assert not (repository / "../runs").exists()
    assert devenv(repository, "run", "lint", "--no-cache")[:2] == (0, "checked\n")


def test_affected_runs_what_a_change_touches_and_what_it_needs(repository: Path) -> None:
    (repository / "devenv.toml").write_text(
        '[tasks."//#a"]\ncommand = "echo a"\ninputs = ["a"]\n'
        '[tasks."//#b"]\ncommand = "echo b"\ninputs = ["b"]\n'
        '[tasks."//#c"]\ncommand = "echo c"\ninputs = ["c"]\ndepends_on = ["a"]\n'
    )
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "start")):
        subprocess.run((*git, *words), cwd=repository, check=True)
    code, out, told = devenv(repository, "run", "a", "b", "c", "--affected")
    assert (code, out) == (0, "")
    assert "Nothing of these tasks changed" in told
    (repository / "c").write_text("new")
    code, out, _ = devenv(repository, "run", "a", "b", "c", "--affected", "--parallel", "1")
    assert [line.split("|")[1].strip() for line in out.splitlines()] == ["a", "c"]
    (repository / "c").unlink()
    (repository / "a").write_text("new")
    code, out, _ = devenv(repository, "run", "a", "b", "c", "--affected", "--json")
    assert {one["id"] for one in json.loads(out)["tasks"]} == {"//#a", "//#c"}


def test_ctrl_c_ends_the_task_and_the_run(repository: Path) -> None:
    process = start(repository, "run", "slow")
    pid = repository / "../pid"
    while not (pid.exists() and pid.read_text().strip()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_ctrl_c_ends_the_wait_for_another_devenv(repository: Path) -> None:
    first = start(repository, "run", "slow")
    pid = repository / "../pid"
    while not (pid.exists() and pid.read_text().strip()):
        assert first.poll() is None
        time.sleep(0.05)
    second = start(repository, "run", "slow")
    assert second.stderr is not None
    assert "//#slow is run by another devenv" in second.stderr.readline()
    second.send_signal(signal.SIGINT)
    assert second.wait(30) == 130
    second.communicate()
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert first.returncode == 130


def test_the_cache_is_shown_carried_away_and_cleaned(repository: Path, tmp_path: Path) -> None:
    devenv(repository, "run", "lint")
    _, out, _ = devenv(repository, "cache", "info", "--json")
    info = json.loads(out)
    assert (info["results"], info["limit"]) == (1, 1 << 30)
    assert devenv(repository, "cache", "info")[1].splitlines()[0] == info["folder"]
    assert "1 result copied" in devenv(repository, "cache", "export", "../carried")[2]
    assert "1 result removed" in devenv(repository, "cache", "clean")[2]
    assert json.loads(devenv(repository, "cache", "info", "--json")[1])["results"] == 0
    assert "1 result copied" in devenv(repository, "cache", "import", "../carried")[2]
    assert "from cache" in devenv(repository, "run", "lint")[2]
    (tmp_path / "carried" / "file").write_text("")
    assert devenv(repository, "cache", "export", "../carried/file")[0] == 1


def test_two_programs_at_once_do_the_work_once(repository: Path) -> None:
    (repository / "devenv.toml").write_text('[tasks."//#work"]\ncommand = "echo run >> ../runs; sleep 1; echo done"\n')
    both = [start(repository, "run", "work") for _ in range(2)]
    ended = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [out for out, _ in ended] == ["done\n", "done\n"]
    assert (repository / "../runs").read_text() == "run\n"
