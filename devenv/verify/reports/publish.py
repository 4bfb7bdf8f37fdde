"""Writes all reports of a run: report.json, report.md, report.html, the job's summary, and the history."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from devenv.core.errors import DevenvError
from devenv.core.stored import Unreadable, changed_at, find
from devenv.verify import runs
from devenv.verify.history import History, Trend
from devenv.verify.own_engine import group_name, groups_of
from devenv.verify.reports.data import Report
from devenv.verify.reports.page import page
from devenv.verify.reports.text import markdown


def publish(report: Report, folder: Path, environ: Mapping[str, str], history: History | None = None) -> list[Path]:
    """Write everything and return the files; raises DevenvError where one cannot be written.

    A history that cannot be used is told in its `problem` and costs only the comparison; an interrupted run is in none.
    """
    history = history or History(lenient=True)
    if not report.interrupted:
        try:
            history.add(report)
        except Unreadable as error:
            history.problem = error.message

    def trend(name: str) -> Trend:
        return history.trend(name, report.project, report.machine.id)

    text = markdown(report, lambda name: trend(name).change)
    files = {
        "report.json": json.dumps(report.to_data(), indent=2, ensure_ascii=False) + "\n",
        "report.md": text,
        "report.html": page(report, trend),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content, "utf-8", errors="backslashreplace")
    except OSError as error:
        raise DevenvError(f"a report cannot be written: {error}", "Choose another folder with --report-dir.") from error
    if environ.get("GITHUB_STEP_SUMMARY"):
        append(Path(environ["GITHUB_STEP_SUMMARY"]), f"{text}\n")
    return [folder / name for name in files]


def append(path: Path, text: str) -> None:
    """Add text to a job's summary; raises DevenvError where it cannot be written."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise DevenvError(f"{path} cannot be written: {error.strerror}", "Look at GITHUB_STEP_SUMMARY.") from error


def forget_old_runs() -> None:
    """Remove the folders of the oldest runs that have ended; the newest are kept with their evidence."""
    folder = runs.runs_folder()
    found = sorted(find(folder, "*/"), key=changed_at)
    for path in found[: -runs.KEPT]:
        if groups_of(group_name(path.name)):
            continue  # `devenv doctor --clean` knows by the folder whose they are
        owner = runs.owner_in(path)
        if not owner or runs.is_dead(owner):
            shutil.rmtree(path, ignore_errors=True)
