"""The jobs of a pull request: each some of the project's tasks, all of them one graph."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from devenv.core.errors import Inconclusive, UsageError
from devenv.core.task_settings import JobSettings
from devenv.core.text import sanitize
from devenv.tasks.graph import Task, TaskGraph
from devenv.tasks.runner import Result

Outcome = Literal["passed", "failed", "inconclusive", "not run"]
BUDGET: Final = 900.0  # seconds: success metric "CI/CD pipeline time < 15 min" (T112, T122)
SETUP: Final = 120.0  # seconds of checkout, Python, `make setup`: installing the lock took 62 s of one core, uncached
_KEPT: Final = 200  # lines of a task's output that a report shows


class Job(msgspec.Struct, frozen=True):
    """A gate by name, and the ids of its tasks, each after those it needs."""

    name: str
    tasks: tuple[str, ...]


class JobResult(msgspec.Struct, frozen=True):
    """How a job ended: as the worst of its tasks. `seconds` is what its own tasks took, one after another."""

    job: Job
    outcome: Outcome
    results: tuple[Result, ...]
    seconds: float
    saved: float

    @property
    def why(self) -> str:
        """What did not pass, or what was replayed."""
        bad = [one for one in self.results if outcome_of(one) != "passed"]
        if bad:
            return "; ".join(f"{one.task.id}: {one.why}" for one in bad)
        replayed = sum(one.status == "from cache" for one in self.results)
        return f"{replayed} of {len(self.results)} from the cache" if replayed else ""


class Prediction(msgspec.Struct, frozen=True):
    """How long the workflow takes where each job has a runner of its own, by its slowest one; seconds."""

    job: str
    seconds: float
    budget: float = BUDGET

    @property
    def within(self) -> bool:
        """Whether it keeps the budget."""
        return self.seconds <= self.budget


def predict(results: Sequence[JobResult]) -> Prediction:
    """Add up what each job's tasks took, now or when their stored results were made, after the runner's setup."""
    slowest = max(results, key=lambda one: one.seconds + one.saved)
    return Prediction(slowest.job.name, SETUP + slowest.seconds + slowest.saved)


class Heard:
    """Keeps the last lines of what each task prints, for reports."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def take(self, task: Task, text: bytes) -> None:
        """Keep a line."""
        lines = self._lines.setdefault(task.id, [])
        lines.append(sanitize(text))
        del lines[:-_KEPT]

    def of(self, task_id: str) -> str:
        """Return the last lines of a task."""
        return "\n".join(self._lines.get(task_id, ()))


def choose_jobs(settings: Mapping[str, JobSettings], graph: TaskGraph, names: Sequence[str]) -> tuple[Job, ...]:
    """Return the jobs with these names, by default all; raises UsageError for one that is not there, or without any."""
    if not settings:
        raise UsageError("devenv.toml has no jobs", 'Write them: [ci.jobs.lint] with tasks = ["lint"].')
    for name in names:
        if name not in settings:
            near = difflib.get_close_matches(name, settings, 3)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Jobs here: {', '.join(settings)}."
            raise UsageError(f"There is no job {sanitize(name)!r}", hint)
    chosen = [name for name in settings if not names or name in names]
    return tuple(Job(name, tuple(graph.select(settings[name].tasks))) for name in chosen)


def tasks_of(jobs: Sequence[Job], graph: TaskGraph) -> dict[str, Task]:
    """Return the tasks of all jobs as one graph, in which each runs once."""
    return graph.select([task_id for job in jobs for task_id in job.tasks])


def judge(jobs: Sequence[Job], results: Sequence[Result]) -> tuple[JobResult, ...]:
    """Return how each job ended."""
    by_id = {result.task.id: result for result in results}
    return tuple(_judge(job, tuple(by_id[task_id] for task_id in job.tasks)) for job in jobs)


def outcome_of(result: Result) -> Outcome:
    """Return how a task ended as a gate; exit code 12 says that it found nothing and could not look everywhere."""
    if result.status == "failed":
        return "inconclusive" if result.exit_code == Inconclusive.exit_code else "failed"
    return "not run" if result.status == "not run" else "passed"


def _judge(job: Job, results: tuple[Result, ...]) -> JobResult:
    outcomes = {outcome_of(result) for result in results}
    worst: Outcome = "passed"
    for outcome in ("inconclusive", "not run", "failed"):
        if outcome in outcomes:
            worst = outcome
    return JobResult(
        job, worst, results, sum(result.seconds for result in results), sum(result.saved for result in results)
    )
