"""What all tests stand on, and the lanes in which they run side by side."""

from __future__ import annotations

import compileall
import os
import re
import signal
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# Bytecode is kept also where PYTHONDONTWRITEBYTECODE is set: each worker would compile every test anew, and each of the
# programs that tests start what it imports. They inherit the variable: what they write and edit themselves stays plain.
sys.dont_write_bytecode = False
if "PYTEST_XDIST_WORKER" not in os.environ:
    compileall.compile_dir(Path(__file__).parents[1] / "devenv", quiet=2)


def pytest_configure() -> None:
    """Take SIGINT and SIGHUP as a program in a terminal does.

    A shell's background jobs and their children begin ignoring the one, what nohup starts the other.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    # readline sets them where it is imported, and the workers of pytest-xdist inherit them: a program in a terminal of
    # another size would believe them.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


# Files with tests that need the engine or a browser run in two lanes of about the same length: one has the browser and
# small projects, the other docsearch and other whole stacks. Only there a test removes what others left on the engine
# (doctor --clean).
SHARED = re.compile(r"\bmark\.(engine|page)\b")
STACKS = ("load", "verify", "mutations", "secrets")  # and test_stack_*.py
# Beside these lanes, folders with long tests come first, so that no lane waits for the other's last file.
LONG = ("terminal", "verify", "stack", "load", "wire", "kube")


@cache
def lane_of(file: Path) -> str:
    """The lane of a test file, that is whose tests run one after another with its own: a shared one, or none but it."""
    if not SHARED.search(file.read_text("utf-8")):
        return str(file)
    return "stacks" if file.parent.name in STACKS or file.name.startswith("test_stack_") else "engine"


def place(item: pytest.Item) -> tuple[int, int]:
    """When a test comes: the shared lanes first."""
    folder, lane = item.path.parent.name, lane_of(item.path)
    if lane == "engine":  # the browser first: beside it, the other lane keeps one stack for its load tests
        return 0, 0 if folder == "stack" else 1
    if lane == "stacks":
        return 1, STACKS.index(folder) if folder in STACKS else len(STACKS)
    return 2, LONG.index(folder) if folder in LONG else len(LONG)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in the order in which the lanes take them; without `-n` they run in it too."""
    for item in items:
        if item.get_closest_marker("page"):
            # Chromium drops what it loads when a network comes or goes anywhere on the machine, as with each container.
            item.add_marker(pytest.mark.flaky(reruns=3, only_rerun=["ERR_NETWORK_CHANGED"]))
    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Let pytest-xdist give each lane to one worker.

    Its own groups (`--dist loadgroup`) reach no worker with pytest 9.2: xdist 3.8 writes them into an attribute of the
    test that is read no more.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Lanes(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return lane_of(config.rootpath / nodeid.partition("::")[0])

    return Lanes(config, log) if config.getoption("dist") == "loadscope" else None
