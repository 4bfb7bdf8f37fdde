"""devenv as a user starts it, in a project of a name of its own that leaves nothing behind."""

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

from tests import forked

ROOT = Path(__file__).parents[2]
PROJECTS = Path(__file__).parent / "projects"
LIMIT = 180.0  # seconds that no call here may take, on a busy machine too


@dataclass(frozen=True)
class Program:
    """Calls of devenv and of Compose on one project. `options` stand before every verb."""

    name: str
    folder: Path
    state: Path  # where the audit log goes
    image: str
    options: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """The surroundings: no setting of the machine's user leaks in, except which engine it is."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("COMPOSE_", "DEVENV_"))}
        clean |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.state), "DEVENV_TEST_IMAGE": self.image}
        return clean | {"COMPOSE_PROJECT_NAME": self.name, **self.variables}

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run devenv to its end, without a terminal."""
        environ = self.environ | variables
        return forked.run("devenv", *self.options, *arguments, cwd=self.folder, env=environ)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start devenv and return at once."""
        pipe = subprocess.PIPE
        return forked.Popen(
            "devenv", *self.options, *arguments,
            cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe,
        )  # fmt: skip

    def compose(self, *arguments: str) -> str:
        """Run Compose itself, for what devenv is compared with."""
        done = self._run(["docker", "compose", *self.options, *arguments], self.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self, *options: str) -> dict[str, Any]:
        """Return `status --json`."""
        done = self.run(*options, "status", "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def states(self, *options: str) -> dict[str, str]:
        """Return the word for each service."""
        return {service["name"]: service["state"] for service in self.status(*options)["services"]}

    def audit(self) -> list[dict[str, Any]]:
        """Return the records of the audit log."""
        lines = (self.state / "devenv" / "audit.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def _run(self, command: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )


@contextmanager
def program(project: str, state: Path, image: str, *options: str, **variables: str) -> Iterator[Program]:
    """Give a Program on a folder of `projects`; afterwards remove everything of that project from the engine."""
    name = f"devenv-test-{uuid.uuid4().hex[:8]}"
    made = Program(name, PROJECTS / project, state, image, options, variables)
    try:
        yield made
    finally:
        label = f"label=com.docker.compose.project={name}"
        remove_all(("docker", "ps", "-aq", "--filter", label), ("docker", "rm", "-fv"))
        remove_all(("docker", "network", "ls", "-q", "--filter", label), ("docker", "network", "rm"))
        remove_all(("docker", "volume", "ls", "-q", "--filter", label), ("docker", "volume", "rm"))
        remove_all(("docker", "images", "-q", "--filter", label), ("docker", "rmi", "-f"))


def remove_all(listing: tuple[str, ...], removing: tuple[str, ...]) -> None:
    """Remove what the listing names."""
    found = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    if found:
        subprocess.run([*removing, *dict.fromkeys(found)], capture_output=True, check=True)
