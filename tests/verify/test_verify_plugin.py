"""The plugin stays out of the way of other tests, and refuses what is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kube_project import SHORT_NAMES

from tests import forked


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    return forked.run("pytest", "-q", *arguments, cwd=folder)


def with_tests(folder: Path, where: str, text: str) -> None:
    (folder / where).mkdir(parents=True)
    (folder / where / "test_it.py").write_text(text)


def test_other_tests_pay_nothing(tmp_path: Path) -> None:
    with_tests(
        tmp_path,
        "tests",
        "import sys\n"
        "def test_it(request):\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] in ('devenv', 'httpx', 'docker')}\n"
        "    assert ours == {'devenv', 'devenv.verify', 'devenv.verify.plugin'}\n"
        "    names = {line.partition('(')[0] for line in request.config.getini('markers')}\n"
        "    assert names.isdisjoint({'targets', 'behaviour'})\n"
        "    assert not request.config.pluginmanager.has_plugin('devenv-verify-session')\n",
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "tests"]  # what a fork has imported would be seen
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
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


OPTIONS = ("running", "target", "keep", "report-dir", "project", "image", "overlay", "ingress", "compose-override")
# Stands for pytest-django and others: a plugin with fixtures that smoke tests have too.
PLUGIN = """
import pytest

@pytest.fixture
def settings(): return "the plugin's"

stack = target = engine = cluster = settings
"""


def beside_a_smoke_test(folder: Path, test: str, conftest: str = "") -> None:
    with_tests(folder, "tests", test)
    (folder / "tests" / "test_it.py").rename(folder / "tests" / "test_other.py")
    (folder / "conftest.py").write_text(conftest)
    with_tests(folder, "smoketests", "def test_it(target, verify_session):\n    assert target == 'compose'\n")


def test_a_project_keeps_its_own_options(tmp_path: Path) -> None:
    adding = "\n".join(f"    parser.addoption('--{name}', default='own')" for name in OPTIONS)
    text = "\n".join(f"    assert request.config.getoption('--{name}') == 'own'" for name in OPTIONS)
    beside_a_smoke_test(tmp_path, f"def test_it(request):\n{text}\n", f"def pytest_addoption(parser):\n{adding}\n")
    done = run_pytest(tmp_path, "--devenv-keep", "tests", "smoketests")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_other_plugins_keep_their_fixtures_outside_of_smoke_tests(tmp_path: Path) -> None:
    (tmp_path / "other_plugin.py").write_text(PLUGIN)
    names = "settings, stack, target, engine, cluster"
    beside_a_smoke_test(tmp_path, f'def test_it({names}):\n    assert {{{names}}} == {{"the plugin\'s"}}\n')
    for order in (("tests", "smoketests"), ("smoketests", "tests")):
        done = run_pytest(tmp_path, "-p", "other_plugin", *order)
        assert done.returncode == 0, done.stdout
        assert "2 passed" in done.stdout
    report = json.loads(next((tmp_path / "state").glob("devenv/runs/*/reports/report.json")).read_text())
    assert [test["id"] for test in report["tests"]] == ["smoketests/test_it.py::test_it"], "of no other test"


def test_a_test_outside_of_the_folder_has_none_of_the_fixtures(tmp_path: Path) -> None:
    beside_a_smoke_test(tmp_path, "def test_it(verify_session):\n    pass\n")
    done = run_pytest(tmp_path, "smoketests", "tests")
    assert done.returncode == 1
    assert "fixture 'verify_session' not found" in done.stdout
    assert "1 passed, 1 error" in done.stdout


def test_the_folders_conftest_replaces_a_fixture(tmp_path: Path) -> None:
    with_tests(tmp_path, "smoketests", "def test_it(target):\n    assert target == 'own'\n")
    (tmp_path / "smoketests" / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef target():\n    return 'own'\n"
    )
    assert "1 passed" in run_pytest(tmp_path, "smoketests").stdout


def test_short_names_are_there_where_the_folder_asks_for_them(tmp_path: Path) -> None:
    with_tests(tmp_path, "smoketests", "def test_it(request):\n    assert request.config.option.devenv_keep\n")
    unknown = run_pytest(tmp_path, "smoketests", "--keep")
    assert unknown.returncode == 4
    assert "unrecognized arguments: --keep" in unknown.stderr
    (tmp_path / "smoketests" / "conftest.py").write_text(SHORT_NAMES)
    for options in (("--keep", "--target", "compose", "smoketests"), ("smoketests/test_it.py::test_it", "--keep")):
        done = run_pytest(tmp_path, *options)
        assert done.returncode == 0, done.stdout + done.stderr
    whole = run_pytest(tmp_path, ".", "--devenv-keep")
    assert whole.returncode == 0, "the conftest is read late: " + whole.stdout


def test_the_folder_may_be_where_pytest_has_its_root(tmp_path: Path) -> None:
    beside_a_smoke_test(tmp_path / "project", "def test_it(): pass\n")
    (tmp_path / "project" / "smoketests" / "pytest.ini").write_text("[pytest]\n")
    done = run_pytest(tmp_path, str(tmp_path / "project" / "smoketests"))
    assert done.returncode == 0, done.stdout


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


WHERE = """
def test_it(verify_session):
    print("project:", verify_session.project_folder)
    print("budgets:", dict(verify_session.settings().verify.budgets))
"""


@pytest.mark.parametrize(
    ("files", "where", "tests", "expected"),
    [
        (("shop/devenv.toml",), "elsewhere", "shop/smoketests", "shop"),
        (("shop/compose.yaml",), "elsewhere", "shop/smoketests", "shop"),
        (("shop/kustomization.yaml",), "elsewhere", "shop/smoketests", "shop"),
        (("shop/compose.yaml", "elsewhere/compose.yaml"), "elsewhere", "shop/smoketests", "shop"),
        (("shop/compose.yaml", "shop/pytest.ini"), "elsewhere", "shop/smoketests/test_it.py::test_it", "shop"),
        (("shop/compose.yaml",), ".", "shop/smoketests", "shop"),
        (("shop/compose.yaml",), "shop/deep", "shop/smoketests", "shop/deep"),  # its project is found upward
        (("compose.yaml", "shop/compose.yaml"), ".", "shop/smoketests", "."),
        (("elsewhere/compose.yaml",), "elsewhere", "shop/smoketests", "elsewhere"),
    ],
)
def test_the_project_is_found_from_anywhere(
    tmp_path: Path, files: tuple[str, ...], where: str, tests: str, expected: str
) -> None:
    with_tests(tmp_path, "shop/smoketests", WHERE)
    for folder in (where, "elsewhere"):
        (tmp_path / folder).mkdir(exist_ok=True)
    for name in files:
        text = "[verify]\nbudgets = {search = 7}\n" if name.endswith("devenv.toml") else ""
        (tmp_path / name).write_text("[pytest]\n" if name.endswith(".ini") else text)
    options = ("-q", "-rP", "-W", "ignore")
    done = forked.run("pytest", *options, str(tmp_path / tests), cwd=tmp_path / where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"project: {tmp_path / expected}\n" in done.stdout
    if "shop/devenv.toml" in files:
        assert "budgets: {'search': 7.0}" in done.stdout


def test_a_folder_that_devenv_toml_names_is_known_from_elsewhere(tmp_path: Path) -> None:
    with_tests(tmp_path, "shop/checks", WHERE)
    (tmp_path / "shop" / "devenv.toml").write_text('[verify]\ntests = "checks"\n')
    (tmp_path / "elsewhere").mkdir()
    done = run_pytest(tmp_path / "elsewhere", "-rP", str(tmp_path / "shop" / "checks"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"project: {tmp_path / 'shop'}\n" in done.stdout
