"""The stack that is measured: a throw-away Compose project of idle containers, each with a health check."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FEW, MANY = 20, 200  # services


@dataclass(frozen=True)
class Stack:
    """A running project; `folder` holds its compose.yaml."""

    project: str
    folder: str
    services: tuple[str, ...]

    def compose(self, *arguments: str) -> None:
        """Run `docker compose` on it; raises CalledProcessError with its output."""
        subprocess.run(
            ["docker", "compose", *arguments], cwd=self.folder, check=True, capture_output=True, text=True, timeout=300
        )

    def pid(self, service: str) -> int:
        """Host process id of a service's main process."""
        name = f"{self.project}-{service}-1"
        shown = subprocess.run(
            ["docker", "inspect", "-f", "{{.State.Pid}}", name], check=True, capture_output=True, text=True
        )
        return int(shown.stdout)


def base_image() -> str:
    """The Python base image that this machine can have."""
    made = subprocess.run([ROOT / "scripts/base-image"], check=True, stdout=subprocess.PIPE, text=True)
    return made.stdout.strip()


@contextmanager
def running_stack(image: str, services: int = FEW) -> Iterator[Stack]:
    """Bring the project up, wait until it is healthy, remove it in the end; four health checks a second in all."""
    check = {"test": ["CMD", "true"], "interval": f"{services // 4}s", "timeout": "10s", "retries": 3}
    service = {
        "image": image,
        "command": ["sleep", "infinity"],
        "init": True,
        "restart": "unless-stopped",
        "stop_grace_period": "1s",
        "healthcheck": check,
    }
    project = f"devenv-bench-{os.getpid()}-{services}"
    names = tuple(f"worker{number:03}" for number in range(1, services + 1))
    with tempfile.TemporaryDirectory(prefix=project) as folder:
        text = json.dumps({"name": project, "services": dict.fromkeys(names, service)})
        Path(folder, "compose.yaml").write_text(text)
        stack = Stack(project, folder, names)
        try:
            stack.compose("up", "-d", "--wait")
            yield stack
        finally:
            stack.compose("down", "-v", "-t", "1")
