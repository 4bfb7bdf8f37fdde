"""The images of docsearch for tests: built once a run, named for it alone, gone afterwards."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 300.0  # seconds for one command: a first build downloads the services' dependencies
SERVICES = ("backend", "frontend")


def run(*command: str | Path, limit: float = LIMIT, **environ: str) -> str:
    """Run a command and return what it printed; fail with what it complained of."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=limit, check=False,
        errors="replace", env={**os.environ, **environ}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stderr[-4000:]}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Images:
    """The names of the images; `tag` is the services' common one, as IMAGE_TAG of Compose."""

    base: str
    tag: str
    postgres: str

    def name(self, service: str) -> str:
        return self.postgres if service == "postgres" else f"docsearch-{service}:{self.tag}"

    def size(self, name: str) -> int:
        return int(run("docker", "image", "inspect", "--format", "{{.Size}}", name))


@contextmanager
def built_images(base: str) -> Iterator[Images]:
    """Build both services on a base image, and get PostgreSQL's."""
    tag = f"test-{uuid.uuid4().hex[:8]}"
    images = Images(base, tag, run(ROOT / "scripts" / "postgres-image").splitlines()[-1])
    try:
        for service in SERVICES:
            context = ROOT / "compose" / service
            run(
                "docker", "build", "--quiet", "--build-arg", f"PYTHON_IMAGE={base}", "-t", images.name(service),
                "--build-context", f"shared={ROOT / 'compose' / 'shared'}", context,
            )  # fmt: skip
        yield images
    finally:
        names = [images.name(service) for service in SERVICES]
        subprocess.run(["docker", "image", "rm", *names], capture_output=True, check=False)
