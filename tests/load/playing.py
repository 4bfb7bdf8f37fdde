"""Load tests on a real Locust that plays a recording (tests/load/played), and what ends all that a test left."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devenv.control.audit import AuditLog
from devenv.control.guard import Guard
from devenv.core.kube_settings import KubeSettings
from devenv.core.load_settings import LoadSettings
from devenv.load.runner import STARTED, LiveLoad, LoadOptions, LoadRunner
from devenv.runs.identity import runs_folder

ROOT = Path(__file__).resolve().parents[2]
PLAYED = Path(__file__).parent / "played"


@dataclass
class Played:
    """A project in `folder` whose load test is the played one; called, it makes the runner, as the terminal does."""

    folder: Path
    read_only: bool = False
    tests: str = str(PLAYED)
    started: list[LiveLoad] = field(default_factory=list)

    def __call__(self) -> LoadRunner:
        kubernetes = KubeSettings()
        guard = Guard(
            AuditLog(self.folder / "audit.jsonl"), read_only=self.read_only, source="tui", kubernetes=kubernetes
        )
        environ = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
        return LoadRunner(self.folder, LoadSettings(tests=self.tests, service="web"), kubernetes, guard, environ)

    def start(self, options: LoadOptions | None = None) -> LiveLoad:
        """Start a run without a terminal."""
        runner, options = self(), options or LoadOptions()
        self.started.append(runner.start(runner.plan(options), options))
        return self.started[-1]

    def write(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def runs(self) -> list[LiveLoad]:
        """All runs that were started, each by its process."""
        found = runs_folder().glob(f"*/load/{STARTED}")
        return [LiveLoad(path.parent, str(json.loads(path.read_text())["owner"])) for path in found]


@contextmanager
def played(folder: Path) -> Iterator[Played]:
    """Give the project; runs that are left at the end are killed."""
    made = Played(folder)
    try:
        yield made
    finally:
        for live in made.runs():
            live.kill()
        wait_for(lambda: all(run.is_over for run in made.runs()), "the end of all runs")
        # A process whose end nobody has seen is one that Python takes for running, and complains of at its own end.
        assert all(live.exit_code is not None for live in made.started)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)
