"""The health check of the container, as a process."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from _backend import BACKEND_DIR, BackendProcess, backend_process


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    with backend_process(tmp_path_factory.mktemp("running")) as backend:
        backend.url()
        yield backend


def healthcheck(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "docindexer.healthcheck", *arguments],
        cwd=BACKEND_DIR, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


def test_healthcheck_tells_good_from_bad(running: BackendProcess) -> None:
    good = healthcheck(f"{running.url()}/api/collections")
    assert (good.returncode, good.stdout) == (0, "200 []\n")
    bad = healthcheck(f"{running.url()}/nothing")
    assert bad.returncode == 1
    assert "404" in bad.stdout
    assert "there is nothing at this path" in bad.stdout


def test_healthcheck_gives_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        slow = healthcheck(f"http://127.0.0.1:{port}/", "0.2")
    assert slow.returncode == 1
    assert "timed out" in slow.stdout
    assert "refused" in healthcheck(f"http://127.0.0.1:{port}/").stdout
    for wrong in ("nonsense", "https://127.0.0.1/", "http://:80/", "http://x:y/"):
        assert healthcheck(wrong).returncode == 1
    assert healthcheck().returncode == 2


def test_healthcheck_imports_nothing_heavy() -> None:
    code = "import sys, docindexer.healthcheck; print(len(sys.modules), *sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=BACKEND_DIR, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"starlette", "asyncio", "logging", "ssl", "email", "http"} & set(loaded)
    assert int(loaded[0]) < 60
