"""Compose projects that live for one test on the real engine."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.wire.reading import Reader

LIMIT = 180.0  # seconds that no call here may take, on a busy machine too


@dataclass
class Throwaway:
    """A project and a reader of it. Services are given as Compose's own mappings; `image` is filled in."""

    name: str
    file: Path
    services: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    readers: list[Reader] = field(default_factory=list)

    def compose(self, *arguments: str) -> str:
        """Run Compose on it."""
        return self.run("docker", "compose", "-p", self.name, "-f", str(self.file), *arguments)

    def docker(self, *arguments: str) -> str:
        """Run the docker CLI."""
        return self.run("docker", *arguments)

    def run(self, *command: str) -> str:
        """Run a command and return what it printed; fail with what it complained of."""
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=LIMIT, check=False, errors="replace"
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def reader(self) -> Reader:
        """Start a backend on it."""
        made = Reader(self.environ, project=self.name, services=self.services)
        self.readers.append(made)
        return made.start()

    def container(self, service: str, number: int = 1) -> str:
        """The name of a service's container."""
        return f"{self.name}-{service}-{number}"

    def pid(self, service: str) -> int:
        """The process of a service's first container, on this machine."""
        return int(self.docker("inspect", "-f", "{{.State.Pid}}", self.container(service)))


@contextmanager
def throwaway(
    folder: Path, image: str, services: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str] = os.environ
) -> Iterator[Throwaway]:
    """Give a project; afterwards remove its containers and its network, and stop its readers."""
    name = f"devenv-test-{uuid.uuid4().hex[:8]}"
    file = folder / f"{name}.json"
    # An init process, so that `sleep` and shells end at once when they are told to; no grace to wait for.
    common = {"image": image, "init": True, "stop_grace_period": "0s", "network_mode": "none"}
    text = json.dumps({"services": {key: common | dict(value) for key, value in services.items()}})
    file.write_text(text.replace("$", "$$"))  # Compose replaces no variables in these projects
    made = Throwaway(name, file, tuple(services), dict(environ))
    try:
        yield made
    finally:
        for reader in made.readers:
            reader.stop()
        left = made.docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={name}").split()
        if left:
            made.docker("rm", "-fv", *left)
