"""The health check of the container, as a process."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from _backend import SHARED_DIR, BackendProcess, backend_process
from _frontend import FRONTEND_DIR, service


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    with backend_process(tmp_path_factory.mktemp("running")) as backend:
        backend.url()
        yield backend


def healthcheck(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "docshared.healthcheck", *arguments],
        cwd=SHARED_DIR, capture_output=True, text=True, timeout=20, check=False,
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
    # 2 is reserved: https://docs.docker.com/reference/dockerfile/#healthcheck
    assert (healthcheck().returncode, healthcheck().stdout) == (
        1,
        "usage: python -m docshared.healthcheck URL [SECONDS]\n",
    )


def test_healthcheck_gives_up_on_an_answer_that_trickles() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                for _ in range(1200):
                    try:
                        connection.sendall(b".")
                    except OSError:
                        return
                    time.sleep(0.05)

        thread = threading.Thread(target=trickle)
        thread.start()
        began = time.monotonic()
        slow = healthcheck(f"http://127.0.0.1:{server.getsockname()[1]}/", "0.5")
        took = time.monotonic() - began
        thread.join()
    assert (slow.returncode, "timed out" in slow.stdout) == (1, True)
    assert took < 30, "the whole answer takes a minute"


def test_healthcheck_gives_up_by_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        given_up = healthcheck(f"http://127.0.0.1:{mute.getsockname()[1]}/health")
    assert (given_up.returncode, "timed out" in given_up.stdout) == (1, True)


def test_healthcheck_of_the_frontend_says_what_is_missing(tmp_path: Path) -> None:
    with service("docfront", FRONTEND_DIR, tmp_path / "log", BACKEND_URL="http://127.0.0.1:9") as running:
        good = healthcheck(f"{running.url}/health")
        assert (good.returncode, good.stdout[:4]) == (0, "200 ")
        bad = healthcheck(f"{running.url}/ready")
        assert (bad.returncode, bad.stdout[:4], "the backend is not reachable" in bad.stdout) == (1, "503 ", True)
    gone = healthcheck(f"{running.url}/health")
    assert (gone.returncode, "refused" in gone.stdout) == (1, True)
    assert healthcheck("ftp://x").returncode == 1


def test_healthcheck_imports_nothing_heavy() -> None:
    code = "import sys, docshared.healthcheck; print(len(sys.modules), *sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=SHARED_DIR, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"starlette", "asyncio", "logging", "ssl", "email", "http"} & set(loaded)
    assert int(loaded[0]) < 60
