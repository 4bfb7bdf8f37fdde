"""What all tests stand on, and the lanes in which they run side by side."""

from __future__ import annotations

import compileall
import os
import signal
import sys
from pathlib import Path

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


# Beside the lane of the engine, folders with long tests come first, so that no lane waits for the other's last file.
LONG = ("terminal", "verify", "stack", "load", "wire", "kube")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that share the engine or a browser into one lane, first, and each other file into a lane of its own.

    A lane is pytest-xdist's group: its tests run one after another. Without `-n` only the order changes.
    """
    for item in items:
        if item.get_closest_marker("page"):
            # Chromium drops what it loads when a network comes or goes anywhere on the machine, as with each container.
            item.add_marker(pytest.mark.flaky(reruns=3, only_rerun=["ERR_NETWORK_CHANGED"]))
        if item.get_closest_marker("xdist_group") is None:
            shared = any(item.get_closest_marker(name) for name in ("engine", "page"))
            item.add_marker(pytest.mark.xdist_group("engine" if shared else item.nodeid.partition("::")[0]))

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("xdist_group").args[0] == "engine":
            return -1
        folder = Path(item.nodeid.partition("::")[0]).parent.name
        return LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=place)
