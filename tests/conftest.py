"""What all tests stand on, and the lanes in which they run side by side."""

from __future__ import annotations

import compileall
import gc
import os
import re
import signal
import sys
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from _pytest.assertion import rewrite

# Bytecode is kept also where PYTHONDONTWRITEBYTECODE is set: each worker would compile every test anew, and each of the
# programs that tests start what it imports. They inherit the variable: what they write and edit themselves stays plain.
sys.dont_write_bytecode = False
ROOT = Path(__file__).parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile devenv, and the tests with what pytest writes into their assertions, once and on all cores.

    Workers begin together: from a fresh checkout each would do all of it, 18 s on one core.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    files = [*(ROOT / "devenv").rglob("*.py"), *(ROOT / "fakes").rglob("*.py")]
    if session.config.pluginmanager.hasplugin("dsession"):  # pytest-xdist's, where it has workers
        files += (ROOT / "tests").rglob("*.py")
    cores = os.cpu_count() or 1
    children = []
    for number in range(cores):
        if child := os.fork():
            children.append(child)
            continue
        try:
            for file in sorted(files)[number::cores]:
                compile_file(file, session.config)
        finally:
            os._exit(0)  # what cannot be read or compiled, its import says
    for child in children:
        os.waitpid(child, 0)


def compile_file(file: Path, config: pytest.Config) -> None:
    """Write the bytecode of a file as its import would, where there is none of it."""
    if not file.name.startswith(("test_", "conftest.")):
        compileall.compile_file(file, quiet=2)
        return
    folder = rewrite.get_cache_dir(file)
    written = folder / f"{file.stem}{rewrite.PYC_TAIL}"
    if rewrite._read_pyc(file, written) is None and rewrite.try_makedirs(folder):
        digest, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, digest, written)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, and keep it from walking through what was collected ever after.

    All of that stays: looking for what does not is a quarter of the time in which each worker collects.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_configure() -> None:
    """Take SIGINT, SIGQUIT and SIGHUP as a program in a terminal does.

    A shell's background jobs and their children begin ignoring the first two, what nohup starts the third.
    """
    handlers = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGQUIT: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    for number, handler in handlers.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    # readline sets them where it is imported, and the workers of pytest-xdist inherit them: a program in a terminal of
    # another size would believe them.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


# A file is a lane: its tests run one after another on one worker, and so do files that share something: the stack of
# all load tests, docsearch's images, and what runs left on the engine, where a test removes all of it.
SHARED = {
    "load": re.compile(r"tests\.load\.conftest import Target"),
    "images": re.compile(r"\bstack_images: Images\b"),
    "left": re.compile(r"\"doctor\", \"--clean\""),
}
# The longest come first, so that no worker waits for another's last file: these lanes and files, then these folders.
LONGEST = (
    "load", "test_reported_cases.py", "left", "test_build_command.py", "images", "test_watch_engine.py",
    "test_mutations.py", "test_load_plugin.py", "test_cli_errors.py", "test_up_verdicts.py", "test_frontend_page.py",
    "test_projects_status.py", "test_tui_kube_hostile.py", "test_backend_commands.py", "test_tui_verify_screen.py",
    "test_verify_plugin.py", "test_tui_load_screen.py", "test_verify_kube_waits.py", "test_verify_examples.py",
    "test_verify_init.py", "test_verify_docker_services.py", "test_tui_hostile.py", "test_silent_engine.py",
    "test_tui_engine.py", "test_verify_waits.py", "test_verify_kube_plugin.py",
)  # fmt: skip
FOLDERS = ("engine", "terminal", "verify", "stack", "load", "wire", "kube")


@cache
def lane_of(file: Path) -> str:
    """The lane of a test file, that is whose tests run one after another with its own: a shared one, or none but it."""
    text = file.read_text("utf-8")
    return next((lane for lane, pattern in SHARED.items() if pattern.search(text)), str(file))


def place(item: pytest.Item) -> tuple[int, int]:
    """When a test comes: the longest lanes first."""
    lane, folder = lane_of(item.path), item.path.parent.name
    name = lane if lane in SHARED else item.path.name
    return (
        LONGEST.index(name) if name in LONGEST else len(LONGEST),
        FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS),
    )


# What takes many minutes runs where `-m` asks for it: `make mutations`, `make slow`.
ASKED_FOR = ("mutation", "slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests in the order in which the lanes take them; without `-n` they run in it too."""
    left = [name for name in ASKED_FOR if name not in config.option.markexpr]
    config.hook.pytest_deselected(items=[item for item in items if any(map(item.get_closest_marker, left))])
    items[:] = [item for item in items if not any(map(item.get_closest_marker, left))]
    for item in items:
        if item.get_closest_marker("page"):
            # Chromium drops what it loads when a network comes or goes on the machine, as with each container; where it
            # may have a network of its own (tests/stack/conftest.py), none does.
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


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make it once, here: two threads of a fixture that need it first would both make it."""
    tmp_path_factory.getbasetemp()
