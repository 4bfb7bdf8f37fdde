"""The plugin stays out of the way of other tests, and refuses what is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def with_tests(folder: Path, where: str, text: str) -> None:
    (folder / where).mkdir(parents=True)
    (folder / where / "test_it.py").write_text(text)


def test_other_tests_pay_nothing(tmp_path: Path) -> None:
    with_tests(
        tmp_path,
        "tests",
        "import sys\n"
        "def test_it(request):\n"
        "    assert not [name for name in sys.modules if name in ('httpx', 'docker', 'devenv.verify.session')]\n"
        "    assert not request.config.pluginmanager.has_plugin('devenv-verify-session')\n",
    )
    done = run_pytest(tmp_path, "tests")
    assert done.returncode == 0, done.stdout
    assert not (tmp_path / "state").exists(), "no run was begun"


def test_smoke_tests_are_found_by_a_wider_search_too(tmp_path: Path) -> None:
    text = "def test_it(measure_name):\n    pass\n"
    with_tests(tmp_path, "deep/smoketests", text.replace("measure_name", "verify_session"))
    with_tests(tmp_path, "tests", "def test_it():\n    pass\n")
    (tmp_path / "tests" / "test_it.py").rename(tmp_path / "tests" / "test_other.py")
    done = run_pytest(tmp_path, ".")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_strict_lets_an_inconclusive_test_fail_the_run(tmp_path: Path) -> None:
    with_tests(tmp_path, "smoketests", "import pytest\ndef test_it():\n    pytest.skip('inconclusive: no engine')\n")
    assert run_pytest(tmp_path, "smoketests").returncode == 0
    assert run_pytest(tmp_path, "smoketests", "--strict").returncode == 1


def test_a_folder_without_a_project_is_an_error_that_says_so(tmp_path: Path) -> None:
    with_tests(tmp_path, "smoketests", "def test_it(stack):\n    pass\n")
    done = run_pytest(tmp_path, "smoketests")
    assert done.returncode == 1
    assert "No Compose file found" in done.stdout
    assert "hint: " in done.stdout
