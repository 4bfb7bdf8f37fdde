"""The commands that people and CI type: the Makefile, .ci/run, scripts/python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _machine import Programs

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {
    *("help", "run", "test", "check", "setup", "lock", "bench", "docker-up", "docker-down", "docker-logs"),
    *("docker-build", "docker-restart", "docker-clean", "docker-rebuild", "smoke", "mutations", "slow", "tasks"),
    *("security", "pictures", "fuzz", "soak"),
}


def plan(target: str, cwd: Path = ROOT) -> list[str]:
    """Return the commands that a target would run, one a line, without the project's path."""
    # What a make around this test hands down must not reach the one inside.
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    command = ["make", "-f", str(ROOT / "Makefile"), "-n", "--no-print-directory", target]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd, env=env)
    return [line.replace(str(ROOT), "").replace('"', "") for line in done.stdout.splitlines()]


def test_make_alone_lists_every_target_with_what_it_does() -> None:
    done = subprocess.run(["make", "-C", ROOT, "--no-print-directory"], check=True, capture_output=True, text=True)
    listed = dict(re.findall(r"^ +make ([a-z-]+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert set(listed) == TARGETS


@pytest.mark.parametrize("target", ["run", "test"])
def test_setup_comes_first_in_its_order(target: str, tmp_path: Path) -> None:
    lines = plan(target, cwd=tmp_path)
    assert lines[:3] == ["/scripts/venv", "/scripts/engine", "/scripts/base-image >/dev/null"]


def test_run_brings_the_stack_up_then_opens_the_terminal_only_on_one() -> None:
    up, show = plan("run")[3:]
    assert up.endswith("/.venv/bin/devenv up --wait")
    assert re.fullmatch(r"if \[ -t 0 ] && \[ -t 1 ]; then .*devenv tui; else .*devenv status; fi", show)


def test_test_ends_with_the_whole_pytest() -> None:
    assert plan("test")[-1].strip() == "cd  && /.venv/bin/pytest -n 4 --dist loadscope --no-loadscope-reorder"


def test_check_needs_no_engine() -> None:
    lines = plan("check")
    assert not [line for line in lines if "scripts/engine" in line or "base-image" in line]
    assert "not engine" in lines[-1]


def test_tasks_are_devenvs_own_and_need_no_engine() -> None:
    lines = plan("tasks")
    assert not [line for line in lines if "scripts/engine" in line or "base-image" in line]
    assert lines[-1].rstrip().endswith("devenv run lint types contracts test")


def test_clean_leaves_the_question_to_devenv() -> None:
    assert plan("docker-clean")[-1].rstrip().endswith("devenv down -v")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "clone" / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / "clone" / ".ci" / "run")
    return tmp_path / "clone"


@pytest.mark.parametrize(
    ("command", "code", "last"),
    [
        ("@echo '== 3 passed in 0.1s =='", 0, "== 3 passed in 0.1s =="),
        ("@echo '== 1 failed in 0.1s =='; exit 1", 1, "== 1 failed in 0.1s =="),
        ("@echo '== no tests ran =='; exit 5", 5, "== no tests ran =="),
        ("@echo 'error: no engine' >&2; exit 3", 3, "error: no engine"),
        ("@printf 'no newline at the end'", 0, "no newline at the end"),
        ("@read line && echo input || echo no input; echo CI=$$CI", 0, "CI=true"),
    ],
)
def test_ci_ends_with_pytests_line_and_exit_code(checkout: Path, command: str, code: int, last: str) -> None:
    (checkout / "Makefile").write_text(f"test:\n\t{command}\n", encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run([checkout / ".ci" / "run"], check=False, capture_output=True, text=True, cwd="/", env=env)
    assert done.returncode == code
    assert done.stdout.splitlines()[-1] == last
    assert done.stderr == ""


def test_ci_fails_where_make_cannot_even_begin(checkout: Path) -> None:
    done = subprocess.run([checkout / ".ci" / "run"], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "No rule to make target" in done.stdout


def find_python(programs: Programs, **env: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": str(programs.folder), "HOME": str(programs.folder), **env}
    command = [ROOT / "scripts" / "python", "-c", "import scripts.machine, sys; print(sys.executable)"]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=settings, cwd="/")


OLD = "exit 1"
NEW = f'exec "{sys.executable}" "$@"'


def test_a_python_that_is_too_old_is_passed_over(programs: Programs) -> None:
    programs.add("python3.13", "exit 127")  # a shim of pyenv for a version that is not switched on
    programs.add("python3", OLD)
    programs.add("python", NEW)
    assert find_python(programs).stdout.strip() == sys.executable


def test_one_of_pyenvs_is_found_though_no_shim_is_on(programs: Programs) -> None:
    folder = programs.folder / ".pyenv" / "versions" / "3.12.1" / "bin"
    folder.mkdir(parents=True)
    shutil.move(programs.add("python3", NEW), folder / "python3")
    assert find_python(programs).stdout.strip() == sys.executable


def test_without_one_the_user_is_told_what_to_install(programs: Programs) -> None:
    programs.add("python3", OLD)
    done = find_python(programs)
    assert (done.returncode, done.stdout) == (9, "")
    assert "apt-get install python3" in done.stderr


def test_the_users_own_python_is_taken_or_refused_never_replaced(programs: Programs) -> None:
    programs.add("python3", NEW)
    chosen = programs.add("mine", NEW)
    assert find_python(programs, PYTHON=str(chosen)).stdout.strip() == sys.executable
    programs.add("mine", OLD)
    done = find_python(programs, PYTHON=str(chosen))
    assert done.returncode == 9
    assert f"PYTHON={chosen}" in done.stderr
