"""`devenv run` and `devenv cache`: tasks along the graph of packages, nothing twice (docs/MONOREPO.md)."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from devenv.builds.affected import changed_files
from devenv.cli.console import colors_wanted, format_table, paint, tell, warn
from devenv.cli.task_project import TaskProject, require_changes, task_cache, task_project
from devenv.core.errors import DevenvError, UsageError
from devenv.core.text import human_age, human_bytes, human_duration, sanitize
from devenv.tasks.cache import TaskCache
from devenv.tasks.graph import Task
from devenv.tasks.key import KeyMaker
from devenv.tasks.runner import Result, TaskRunner

SCHEMA = 1
_COLORS = {"passed": "green", "from cache": "cyan", "failed": "red", "not run": "yellow"}


def run(arguments: Namespace) -> int:
    """Run the tasks; a failed one is an error with its exit code, and what it printed stands above."""
    began = time.monotonic()
    project = task_project(arguments)
    if not arguments.tasks:
        raise UsageError("Name a task", f"Tasks here: {', '.join(sorted(project.graph.tables)) or 'none'}.")
    maker = project.maker()
    tasks = project.graph.select(arguments.tasks)
    if arguments.affected or arguments.since:
        tasks = _affected(project, maker, tasks, arguments)
    if not arguments.dry_run:
        require_changes(project.config, "run")
    cache = None if arguments.no_cache else TaskCache(project.store, project.config.cache.max_mib << 20)
    screen = Screen(tasks, sys.stderr if arguments.json else sys.stdout, no_color=arguments.no_color)
    runner = TaskRunner(
        tasks,
        maker,
        cache,
        screen,
        parallel=arguments.parallel or os.cpu_count() or 1,
        force=arguments.force,
        keep_going=arguments.keep_going,
    )
    if arguments.dry_run:
        planned = runner.plan()
        _print(_as_json(planned, time.monotonic() - began) if arguments.json else "\n".join(plan_lines(planned)))
        return 0
    if cache is not None and any(task.settings.cache for task in tasks.values()):
        cache.require_writable()
    results = runner.run()
    seconds = time.monotonic() - began
    if arguments.json:
        _print(_as_json(results, seconds))
    tell(_summary(results, seconds), no_color=arguments.no_color)
    _raise_failed(results)
    return 0


class Screen:
    """Shows a run: what tasks print, each line with its task where there are several; how they ended on stderr."""

    def __init__(self, tasks: Mapping[str, Task], stream: TextIO, *, no_color: bool | None) -> None:
        self._stream = stream
        self._no_color = no_color
        self._width = max(map(len, tasks), default=0) if len(tasks) > 1 else 0
        self._colored = colors_wanted(stream, no_color=no_color)

    def line(self, task: Task, text: bytes) -> None:
        """Print one line of a task."""
        head = f"{sanitize(task.id).ljust(self._width)} | " if self._width else ""
        self._stream.write(f"{paint(head, 'dim', self._colored)}{sanitize(text)}\n")
        self._stream.flush()

    def finished(self, result: Result) -> None:
        """Tell how a task ended."""
        took = human_duration(result.seconds)
        saved = f", {human_duration(result.saved)} saved" if result.status == "from cache" else ""
        why = f": {sanitize(result.why)}" if result.status in ("passed", "failed") else ""
        text = f"{sanitize(result.task.id)}: {result.status} ({took}{saved}){why}"
        tell(text, no_color=self._no_color, color=_COLORS[result.status])

    def warn(self, text: str) -> None:
        """Warn on stderr."""
        warn(text, no_color=self._no_color)


def plan_lines(planned: Sequence[Result]) -> list[str]:
    """Return what would be done as a table, each task after those it needs."""
    rows = [
        (
            sanitize(one.task.id),
            "replay" if one.status == "from cache" else "run",
            sanitize(one.why),
            sanitize(", ".join(one.task.needs)) or "-",
        )
        for one in planned
    ]
    return format_table(("TASK", "WOULD", "WHY", "AFTER"), rows) if rows else ["Nothing to run."]


def to_data(results: Sequence[Result], seconds: float) -> dict[str, object]:
    """Return a run as plain data (docs/MONOREPO.md)."""
    return {
        "schema": SCHEMA,
        "tasks": [
            {
                "id": one.task.id,
                "package": one.task.package.name,
                "task": one.task.name,
                "needs": list(one.task.needs),
                "status": one.status,
                "why": one.why,
                "key": one.key,
                "seconds": round(one.seconds, 3),
                "saved": round(one.saved, 3),
                "exit_code": one.exit_code,
            }
            for one in results
        ],
        "seconds": round(seconds, 3),
    }


def _affected(project: TaskProject, maker: KeyMaker, tasks: dict[str, Task], arguments: Namespace) -> dict[str, Task]:
    """Return the tasks that a change touches, those that wait for one that is, and what all of these need."""
    revision, changed = changed_files(project.root, arguments.since or "")
    general = {file.resolve() for file in project.project_files}
    every = next((path for path in changed if path.resolve() in general), None)
    touched: set[str] = set()
    for task_id, task in tasks.items():  # each after what it needs
        why = every or maker.touched(task, changed)
        if why is not None:
            text = f"{sanitize(task_id)}: {sanitize(str(why))} changed since {revision[:12]}"
            tell(text, no_color=arguments.no_color)
        if why is not None or touched & set(task.needs):
            touched.add(task_id)
    if not touched:
        tell(f"Nothing of these tasks changed since {revision[:12]}", no_color=arguments.no_color)
    names = set(touched)
    for task_id, task in reversed(tasks.items()):
        if task_id in names:
            names |= set(task.needs)
    return {task_id: task for task_id, task in tasks.items() if task_id in names}


def _summary(results: Sequence[Result], seconds: float) -> str:
    counts = {name: sum(one.status == name for one in results) for name in _COLORS}
    counted = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing to run"
    saved = sum(one.saved for one in results)
    return f"{counted}; {human_duration(seconds)}" + (f" ({human_duration(saved)} saved)" if saved else "")


def _raise_failed(results: Sequence[Result]) -> None:
    failed = [one for one in results if one.status == "failed"]
    errors = [DevenvError(f"{one.task.id} failed: {one.why}", "What it printed is above.") for one in failed]
    if errors:
        errors[0].also = tuple(errors[1:])
        raise errors[0]


def _as_json(results: Sequence[Result], seconds: float) -> str:
    return json.dumps(to_data(results, seconds), indent=2, ensure_ascii=False)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run_cache(arguments: Namespace) -> int:
    """Carry out `devenv cache`: tell what the stored results take, remove them, bring them to another machine."""
    cache, config = task_cache(arguments)
    if arguments.subcommand == "info":
        sys.stdout.write(_cache_info(cache, as_json=arguments.json))
        return 0
    if arguments.subcommand in ("clean", "import"):
        require_changes(config, f"cache {arguments.subcommand}")
    try:
        if arguments.subcommand == "clean":
            before = cache.clean()
            tell(f"{_counted(before.files)} removed, {human_bytes(before.bytes)}", no_color=arguments.no_color)
        else:
            copy = cache.copy_to if arguments.subcommand == "export" else cache.copy_from
            _copy(copy, arguments)
    except OSError as error:
        where = sanitize(str(error.filename or cache.folder))
        raise DevenvError(f"{where} cannot be changed: {error.strerror}", "Make it writable for this user.") from error
    return 0


def _copy(copy: Callable[[Path], tuple[int, int]], arguments: Namespace) -> None:
    copied, broken = copy(Path(arguments.folder))
    if broken:
        warn(f"{_counted(broken)} left out: not whole", no_color=arguments.no_color)
    tell(f"{_counted(copied)} copied", no_color=arguments.no_color)


def _cache_info(cache: TaskCache, *, as_json: bool) -> str:
    usage = cache.usage()
    if as_json:
        data = {
            "schema": 1,
            "folder": str(cache.folder),
            "results": usage.files,
            "bytes": usage.bytes,
            "limit": cache.limit,
            "oldest": usage.oldest,
        }
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    oldest = f", the oldest last used {human_age(time.time() - usage.oldest)} ago" if usage.oldest is not None else ""
    takes = f"{human_bytes(usage.bytes)} of at most {human_bytes(cache.limit)}"
    return f"{sanitize(str(cache.folder))}\n{_counted(usage.files)}, {takes}{oldest}\n"


def _counted(count: int) -> str:
    return f"{count} result{'' if count == 1 else 's'}"
