"""The engine itself is killed and started again: an engine of the test's own, with its own data."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from throwaway import throwaway

from devenv.core.model import State

pytestmark = pytest.mark.engine
START_WITHIN = 60.0  # seconds


class OwnEngine:
    """A second dockerd on this machine: its own socket, data, containerd, cgroup and network, and no bridge."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"
        self.environ = dict(os.environ) | {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(folder / "config")}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "host": self.host,
            "data-root": str(self.folder / "data"),
            "exec-root": str(self.folder / "exec"),
            "pidfile": str(self.folder / "docker.pid"),
            "cgroup-parent": f"/{self.folder.name}",
            "bridge": "none",
            "iptables": "false",
            "ip6tables": "false",
            "storage-driver": "vfs" if self._overlay_on_overlay() else "overlay2",
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            # A network namespace of its own: with --bridge=none dockerd deletes the docker0 that it finds, and the
            # machine's own engine would lose its network.
            self._process = subprocess.Popen(["unshare", "--net", "dockerd", *arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + START_WITHIN
        while self.docker("version", check=False).returncode != 0:
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as an administrator does."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)
        # It keeps its data folder mounted on itself, and does not always undo that.
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", mount], check=True)

    def docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run the docker CLI on it."""
        return subprocess.run(["docker", *arguments], env=self.environ, capture_output=True, check=check, timeout=60)

    def _overlay_on_overlay(self) -> bool:
        kind = subprocess.run(["stat", "-fc", "%T", self.folder], capture_output=True, text=True, check=True).stdout
        return kind.strip() == "overlayfs"


@contextmanager
def own_engine() -> Iterator[OwnEngine]:
    # A short path: a unix socket's may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="devenv-engine-"))
    made = OwnEngine(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


@pytest.fixture
def own(base_image: str) -> Iterator[OwnEngine]:
    with own_engine() as made:
        # A tiny image of one static program would do, but a base image is what is there; only its shell is used.
        with subprocess.Popen(["docker", "save", base_image], stdout=subprocess.PIPE) as save:
            subprocess.run(["docker", "load"], stdin=save.stdout, env=made.environ, check=True, capture_output=True)
        assert save.returncode == 0
        yield made


def test_the_engine_is_restarted(own: OwnEngine, base_image: str, tmp_path: Path) -> None:
    services = {
        "kept": {"command": ["sleep", "300"], "restart": "always"},
        "lost": {"command": ["sleep", "300"]},
        "done": {"command": ["sh", "-c", "exit 4"]},
    }
    with throwaway(tmp_path, base_image, services, own.environ) as made:
        made.compose("up", "-d")
        reader = made.reader()
        kept, lost, done = (made.container(name) for name in services)
        reader.until(lambda: reader.has(done, exit_code=4) and reader.has(kept, state=State.RUNNING, restarts=0))
        reader.backend.follow_logs([reader.named(kept).key])
        own.stop()
        reader.until(lambda: reader.state() in ("stale", "retrying"))
        assert reader.has(kept), "what was known stays on the screen"
        own.start()
        reader.until(lambda: reader.state() == "live", limit=40)
        reader.until(lambda: reader.has(kept, state=State.RUNNING) and reader.has(lost, state=State.EXITED), limit=30)
        assert reader.has(done, state=State.EXITED, exit_code=4)
        first, *between, last = (state for state in reader.states() if state != "connecting")
        assert (first, last) == ("live", "live")
        assert between
        assert set(between) <= {"stale", "retrying"}
        made.docker("rm", "-f", lost)
        reader.until(lambda: reader.has("lost", state=State.ABSENT))
