"""The reports of a pull request's jobs: a table, Markdown for a job's summary, JUnit, and plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree import ElementTree

from devenv.ci.jobs import Heard, Job, JobResult, outcome_of
from devenv.core.masking import mask_secrets
from devenv.core.text import human_duration, sanitize
from devenv.tasks.graph import Task

SCHEMA: Final = 1
HEAD: Final = ("JOB", "RESULT", "TOOK", "WHY")
_MARKS: Final = {"passed": "✅", "failed": "❌", "inconclusive": "❔", "not run": "⏭️"}
_SHOWN: Final = 40  # lines of a failed task in the summary; all that is kept is in JUnit


def rows(results: Sequence[JobResult]) -> list[tuple[str, str, str, str]]:
    """Return the lines of the table."""
    return [(one.job.name, one.outcome, human_duration(one.seconds), sanitize(one.why) or "-") for one in results]


def graph_rows(jobs: Sequence[Job], tasks: dict[str, Task]) -> list[tuple[str, str, str]]:
    """Return each job's tasks with what they wait for; head: JOB, TASK, AFTER."""
    return [
        (job.name if index == 0 else "", task_id, ", ".join(tasks[task_id].needs) or "-")
        for job in jobs
        for index, task_id in enumerate(job.tasks)
    ]


def to_data(results: Sequence[JobResult], seconds: float) -> dict[str, object]:
    """Return the run as plain data (docs/CI_CD.md)."""
    return {
        "schema": SCHEMA,
        "jobs": [
            {
                "name": one.job.name,
                "result": one.outcome,
                "seconds": round(one.seconds, 3),
                "saved": round(one.saved, 3),
                "why": one.why,
                "tasks": [
                    {
                        "id": result.task.id,
                        "result": outcome_of(result),
                        "from_cache": result.status == "from cache",
                        "exit_code": result.exit_code,
                        "seconds": round(result.seconds, 3),
                    }
                    for result in one.results
                ],
            }
            for one in results
        ],
        "seconds": round(seconds, 3),
    }


def markdown(results: Sequence[JobResult], heard: Heard, seconds: float) -> str:
    """Return what GITHUB_STEP_SUMMARY gets: the table, and the last lines of each task that did not pass."""
    lines = [f"### devenv ci: {human_duration(seconds)}", "", "| job | result | took | why |", "|---|---|---|---|"]
    for (name, outcome, took, why), one in zip(rows(results), results, strict=True):
        lines.append(f"| {_cell(name)} | {_MARKS[one.outcome]} {outcome} | {took} | {_cell(why)} |")
    for task_id in dict.fromkeys(_broken(results)):
        shown = mask_secrets("\n".join(heard.of(task_id).splitlines()[-_SHOWN:]))
        # A fence longer than any in the text: what a task prints stays text.
        fence = "`" * max(3, 1 + max((len(run) for run in _runs(shown)), default=0))
        lines += ["", f"<details><summary>{_cell(task_id)}</summary>", "", f"{fence}text", shown, fence, "</details>"]
    return "\n".join(lines)


def junit(results: Sequence[JobResult], heard: Heard) -> str:
    """Return JUnit's XML: a suite a job, a case a task."""
    root = ElementTree.Element("testsuites", name="devenv ci")
    for one in results:
        failures = sum(outcome_of(result) == "failed" for result in one.results)
        skipped = sum(outcome_of(result) in ("not run", "inconclusive") for result in one.results)
        counts = {"tests": len(one.results), "failures": failures, "skipped": skipped, "time": f"{one.seconds:.3f}"}
        suite = ElementTree.SubElement(root, "testsuite", {"name": one.job.name, **_texts(counts)})
        for result in one.results:
            about = {"name": result.task.id, "classname": one.job.name, "time": f"{result.seconds:.3f}"}
            case = ElementTree.SubElement(suite, "testcase", about)
            outcome = outcome_of(result)
            if outcome != "passed":
                kind = "failure" if outcome == "failed" else "skipped"
                ElementTree.SubElement(case, kind, message=f"{outcome}: {result.why}")
            if text := heard.of(result.task.id):
                ElementTree.SubElement(case, "system-out").text = mask_secrets(text)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _broken(results: Sequence[JobResult]) -> list[str]:
    return [
        result.task.id for one in results for result in one.results if outcome_of(result) in ("failed", "inconclusive")
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _runs(text: str) -> list[str]:
    return [word for word in "".join(char if char == "`" else " " for char in text).split() if word]
