"""`devenv ci`: the gates of a pull request, the same on a laptop and in a workflow (docs/CI_CD.md)."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from devenv import __version__
from devenv.ci.jobs import Heard, JobResult, choose_jobs, judge, predict, tasks_of
from devenv.ci.report import HEAD, graph_rows, junit, markdown, rows, to_data, to_sarif
from devenv.cli.console import format_table, tell, warn
from devenv.cli.run import Screen
from devenv.cli.task_project import require_changes, task_project
from devenv.core.errors import DevenvError, Inconclusive
from devenv.core.text import human_duration
from devenv.runs.publish import append
from devenv.tasks.cache import TaskCache
from devenv.tasks.graph import Task
from devenv.tasks.runner import TaskRunner


class _Screen(Screen):
    """Shows what tasks print on stderr, and keeps the end of it for the reports."""

    def __init__(self, tasks: dict[str, Task], heard: Heard, *, no_color: bool | None) -> None:
        super().__init__(tasks, sys.stderr, no_color=no_color)
        self._heard = heard

    def line(self, task: Task, text: bytes) -> None:
        """Keep and print one line of a task."""
        self._heard.take(task, text)
        super().line(task, text)


def run(arguments: Namespace) -> int:
    """Run the command below `ci`."""
    began = time.monotonic()
    project = task_project(arguments)
    jobs = choose_jobs(project.config.ci.jobs, project.graph, arguments.jobs or ())
    tasks = tasks_of(jobs, project.graph)
    if arguments.subcommand == "list":
        data = [
            {"name": job.name, "tasks": [{"id": one, "needs": tasks[one].needs} for one in job.tasks]} for job in jobs
        ]
        lines = format_table(("JOB", "TASK", "AFTER"), graph_rows(jobs, tasks))
        _print(_dump({"schema": 1, "jobs": data}) if arguments.json else "\n".join(lines))
        return 0
    require_changes(project.config, "ci pr")
    cache = None if arguments.no_cache else TaskCache(project.store, project.config.cache.max_mib << 20)
    if cache is not None:
        cache.require_writable()
    heard = Heard()
    runner = TaskRunner(
        tasks,
        project.maker(),
        cache,
        _Screen(tasks, heard, no_color=arguments.no_color),
        parallel=arguments.parallel or os.cpu_count() or 1,
        keep_going=True,
    )
    results = judge(jobs, runner.run())
    seconds = time.monotonic() - began
    _print(_dump(to_data(results, seconds)) if arguments.json else "\n".join(format_table(HEAD, rows(results))))
    if arguments.junit:
        _write(Path(arguments.junit), junit(results, heard))
    if arguments.sarif:
        log = to_sarif(results, heard, project.root, __version__)
        _write(Path(arguments.sarif), _dump(log) + "\n")
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        append(Path(os.environ["GITHUB_STEP_SUMMARY"]), markdown(results, heard, seconds) + "\n")
    predicted = predict(results)
    there = f"on runners of their own about {human_duration(predicted.seconds)}, by {predicted.job}"
    tell(f"{len(results)} jobs; {human_duration(seconds)}; {there}", no_color=arguments.no_color)
    if not predicted.within:
        warn(f"That is more than {human_duration(predicted.budget)}: split {predicted.job}, or cache more of it.")
    _raise_worst(results)
    return 0


def _raise_worst(results: Sequence[JobResult]) -> None:
    failed = [one.job.name for one in results if one.outcome in ("failed", "not run")]
    if failed:
        raise DevenvError(f"Not passed: {', '.join(failed)}", "The same on this machine: devenv ci pr --job NAME.")
    unclear = [one.job.name for one in results if one.outcome == "inconclusive"]
    if unclear:
        raise Inconclusive(f"Could not be checked everywhere: {', '.join(unclear)}", "What they printed says where.")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8", errors="backslashreplace")
    except OSError as error:
        raise DevenvError(f"{file} cannot be written: {error.strerror}", "The jobs themselves are done.") from error


def _dump(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
