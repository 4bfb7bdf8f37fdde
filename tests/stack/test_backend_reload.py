"""Hot reload: a saved source file is served, a broken one is survived, a killed worker ends everything."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from _backend import BACKEND_DIR, BackendProcess, backend_process, wait_for


@pytest.fixture
def source(tmp_path: Path) -> Path:
    shutil.copytree(BACKEND_DIR / "docindexer", tmp_path / "docindexer", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def backend(source: Path) -> Iterator[BackendProcess]:
    with backend_process(source, source=source, RELOAD="1") as started:
        wait_for(lambda: version(started), "the first worker", started.output)
        yield started


def version(backend: BackendProcess) -> str | None:
    with httpx.Client(base_url=backend.url(), trust_env=False, timeout=0.5) as client:
        try:
            found: str = client.get("/health").json()["version"]
        except httpx.TransportError:
            return None
        return found


def save(source: Path, text: str) -> None:
    """Save as editors do: a new file takes the place of the old one."""
    draft = source / "docindexer" / "draft~"
    draft.write_text(text)
    draft.rename(source / "docindexer" / "__init__.py")


def workers(backend: BackendProcess) -> list[psutil.Process]:
    """Return the one worker, or none while it is exchanged; the other child is multiprocessing's own."""
    children = psutil.Process(backend.pid).children()
    return [child for child in children if "multiprocessing.spawn" in " ".join(command(child))]


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def test_a_saved_change_is_served(backend: BackendProcess, source: Path) -> None:
    for number in range(3):
        save(source, f'__version__ = "new-{number}"\n')
        wait_for(lambda n=number: version(backend) == f"new-{n}", "the change", backend.output)
    assert backend.signal(signal.SIGTERM) == 0


def test_an_open_connection_does_not_hold_up_the_change(backend: BackendProcess, source: Path) -> None:
    with backend.client() as client:
        client.get("/health")
        save(source, '__version__ = "new"\n')
        wait_for(lambda: version(backend) == "new", "the change", backend.output)


def test_a_syntax_error_is_survived(backend: BackendProcess, source: Path) -> None:
    (source / "docindexer" / "api.py").write_text("def broken(:\n")
    wait_for(lambda: "waiting for a source change" in backend.output(), "the worker's end", backend.output)
    assert version(backend) is None
    assert backend.process.poll() is None
    shutil.copy(BACKEND_DIR / "docindexer" / "api.py", source / "docindexer" / "api.py")
    wait_for(lambda: version(backend), "recovery", backend.output)


def test_a_file_that_comes_or_goes_is_a_change(backend: BackendProcess, source: Path) -> None:
    for step, change in enumerate([Path.touch, Path.unlink], 1):
        (before,) = workers(backend)
        change(source / "docindexer" / "another.py")
        wait_for(lambda n=step: backend.output().count("Reloading") == n, "the change", backend.output)
        wait_for(lambda old=before: workers(backend) not in ([], [old]), "a new worker", backend.output)
        wait_for(lambda: version(backend), "its answer", backend.output)


def test_a_killed_worker_ends_the_supervisor(backend: BackendProcess) -> None:
    """Its container then ends too, and the restart policy brings it back, as without reload."""
    (worker,) = workers(backend)
    worker.kill()
    assert backend.process.wait(5) == 128 + signal.SIGKILL
    assert "worker killed" in backend.output()


def test_waiting_for_changes_costs_little(backend: BackendProcess) -> None:
    process = psutil.Process(backend.pid)
    before = sum(process.cpu_times()[:2])
    with pytest.raises(psutil.TimeoutExpired):
        process.wait(1)
    assert sum(process.cpu_times()[:2]) - before < 0.05, "more than 5 % of a core"
