"""A repository of packages with tasks, on a folder of the test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devenv.builds.store import Store
from devenv.core.task_settings import TaskSettings
from devenv.core.toml import typed
from devenv.tasks.cache import TaskCache
from devenv.tasks.graph import ROOT, Package, Task, TaskGraph
from devenv.tasks.key import KeyMaker
from devenv.tasks.runner import Result, TaskRunner

PLENTY = 1 << 30  # bytes


@dataclass
class Heard:
    """What a run told."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def line(self, task: Task, text: bytes) -> None:
        self.lines.append((task.id, text.decode()))

    def finished(self, result: Result) -> None:
        self.results.append(result)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@dataclass
class Workspace:
    """Packages by name with what they need, and tables of tasks as devenv.toml has them."""

    root: Path
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tables: dict[str, dict[str, object]] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"]})
    limit: int = PLENTY
    heard: Heard = field(default_factory=Heard)

    def package(self, name: str, *needs: str) -> Path:
        """Add a package with one file."""
        self.needs[name] = needs
        self.write(f"{name}/main.py")
        return self.root / name

    def task(self, name: str, command: str, **settings: object) -> None:
        """Add a table."""
        self.tables[name] = {"command": command, **settings}

    def write(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or name)
        return path

    def graph(self) -> TaskGraph:
        packages = {name: Package(name, self.root / name, needs) for name, needs in self.needs.items()}
        tables: Mapping[str, TaskSettings] = typed(
            self.tables, dict[str, TaskSettings], self.root / "devenv.toml", "tasks"
        )
        return TaskGraph(tables, {**packages, ROOT: Package(ROOT, self.root)})

    def maker(self) -> KeyMaker:
        return KeyMaker(self.root, self.graph(), self.environ, Store(self.root))

    def cache(self) -> TaskCache:
        return TaskCache(Store(self.root), self.limit)

    def runner(self, *asked: str, parallel: int = 2, kept: bool = True, **flags: bool) -> TaskRunner:
        """Return a run as a new call of devenv has it."""
        tasks = self.graph().select(asked)
        self.heard = Heard()
        cache = self.cache() if kept else None
        return TaskRunner(tasks, self.maker(), cache, self.heard, parallel=parallel, **flags)

    def run(self, *asked: str, **flags: bool) -> dict[str, str]:
        """Run tasks and return how each ended."""
        return {result.task.id: result.status for result in self.runner(*asked, **flags).run()}

    def key(self, task_id: str) -> str:
        """Return the key of a task."""
        return next(result.key for result in self.runner(task_id).plan() if result.task.id == task_id)
