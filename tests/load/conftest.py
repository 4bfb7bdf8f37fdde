"""docsearch on the real engine, under a name and on ports of its own."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.engine.stack_images import ROOT, built_images, run
from tests.load.running import Runner


@dataclass(frozen=True)
class Target:
    """The stack: its page, and the environment in which `--target compose` means it."""

    url: str
    environ: dict[str, str]

    def collections(self) -> list[str]:
        """The names of all collections."""
        return [item["name"] for item in httpx.get(f"{self.url}/api/collections", trust_env=False).json()]


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """The stack, up and with a collection that is not the load tests'."""
    given = os.environ.get("DEVENV_TEST_IMAGE")
    if not given:
        done = subprocess.run([ROOT / "scripts" / "base-image"], stdout=subprocess.PIPE, text=True, check=True)
        given = done.stdout.strip().splitlines()[-1]
    with built_images(given) as images:
        environ = {
            "COMPOSE_PROJECT_NAME": f"devenv-test-{uuid.uuid4().hex[:8]}",
            "IMAGE_TAG": images.tag,
            "BACKEND_PORT": "0",
            "FRONTEND_PORT": "0",
            "RELOAD": "0",
        }
        compose = ("docker", "compose", "-f", str(ROOT / "compose" / "compose.yaml"))
        try:
            run(*compose, "up", "--detach", "--wait", "--no-build", **environ)
            made = Target(f"http://{run(*compose, 'port', 'frontend', '3000', **environ)}", environ)
            httpx.post(f"{made.url}/api/collections", json={"name": "mine"}, trust_env=False).raise_for_status()
            yield made
        finally:
            run(*compose, "down", "--volumes", "--timeout", "5", **environ)


@pytest.fixture
def locust(target: Target, tmp_path: Path) -> Iterator[Runner]:
    """Start Locust; what still runs at the end is killed."""
    runner = Runner(tmp_path, target.environ)
    yield runner
    runner.close()
