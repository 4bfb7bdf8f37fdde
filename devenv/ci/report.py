"""The reports of a pull request's jobs: a table, Markdown for a job's summary, JUnit, SARIF, and plain data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from devenv.ci.jobs import Heard, Job, JobResult, outcome_of, predict
from devenv.core import sarif
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
    predicted = predict(results)
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
        "predicted": {"job": predicted.job, "seconds": round(predicted.seconds, 3), "within_budget": predicted.within},
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


# A line that names a place: `file:12:3: text` (mypy), `file:12 text` (hadolint), and below a text ` --> file:12:3`
# (ruff, zizmor) and `,-[file:12:3]` (oxlint).
_PLACE: Final = re.compile(
    r"^(?P<arrow>\s*(?:-->|,-\[|╭─\[)\s*)?(?P<file>[\w./@+-]+):(?P<line>\d+)(?::\d+)*(?:[:\]]?\s+|\]?$|:$)(?P<text>.*)$"
)


def to_sarif(results: Sequence[JobResult], heard: Heard, root: Path, version: str) -> dict[str, Any]:
    """Return a SARIF log: a result for each line of the project that a failed task named, else one for the task."""
    broken = {result.task.id: result for one in results for result in one.results if outcome_of(result) == "failed"}
    entries: list[dict[str, Any]] = []
    for task_id, result in broken.items():
        places = list(_places(mask_secrets(heard.of(task_id)).splitlines(), result.task.package.folder, root))
        anywhere = (
            "devenv.toml",
            1,
            f"{task_id} failed: {result.why}",
        )  # a result needs a place
        for file, line, text in dict.fromkeys(places) or (anywhere,):
            location = {"artifactLocation": sarif.artifact(file), "region": {"startLine": line}}
            place = {"physicalLocation": location}
            entries.append({"ruleId": task_id, "level": "error", "message": {"text": text}, "locations": [place]})
    rules = [{"id": task_id, "shortDescription": {"text": f"devenv run {task_id}"}} for task_id in broken]
    unclear = [f"{one.job.name}: {one.why}" for one in results if one.outcome in ("inconclusive", "not run")]
    return sarif.log(rules, entries, version, unclear)


def _places(lines: Sequence[str], folder: Path, root: Path) -> Iterator[tuple[str, int, str]]:
    """Yield file, line and text of each line that names a file of the project; the file as seen from the root."""
    before = ""
    for line in lines:
        match = _PLACE.match(line)
        if match is None:
            before = line.strip() or before
            continue
        base = next((base for base in (folder, root) if (base / match["file"]).is_file()), None)
        text = before if match["arrow"] else match["text"].strip()
        path = (base / match["file"]).resolve() if base is not None else None
        if path is not None and text and path.is_relative_to(root.resolve()):
            yield path.relative_to(root.resolve()).as_posix(), max(1, int(match["line"])), text


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
