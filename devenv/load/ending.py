"""What is done when a load test is over, and when its report is made again: reports, summary, history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from devenv.load.history import keep
from devenv.load.outcome import Facts, exit_code, verdict
from devenv.load.recording.lines import write_text
from devenv.load.reports.data import Report, make_report, save_outcome
from devenv.load.reports.page import page
from devenv.load.reports.text import markdown, terminal
from devenv.load.series import read_recording
from devenv.load.verdicts.hpa import judge_scaling
from devenv.runs.publish import append

PAGE = "report.html"


def write_reports(folder: Path) -> Report:
    """Write report.html, report.md and report.json from the recording in a folder; raises DevenvError."""
    report = make_report(folder)
    write_text(folder / PAGE, page(report))
    write_text(folder / "report.md", markdown(report) + "\n")
    write_text(folder / "report.json", json.dumps(report.to_data(), indent=2, ensure_ascii=False) + "\n")
    return report


def conclude(folder: Path, facts: Facts) -> Facts:
    """Add what only the whole recording tells: the verdict on the autoscaler. Raises DevenvError."""
    return replace(facts, scaling=judge_scaling(read_recording(folder), facts.reasons))


def finish(folder: Path, facts: Facts, environ: Mapping[str, str]) -> str:
    """Keep the outcome, write everything, and return what people are told; raises DevenvError."""
    save_outcome(folder, exit_code(facts), verdict(facts), facts.doubts, facts.findings)
    report = write_reports(folder)
    if not facts.interrupted:
        keep(report)
    if environ.get("GITHUB_STEP_SUMMARY"):
        append(Path(environ["GITHUB_STEP_SUMMARY"]), markdown(report) + "\n")
    return f"\n{terminal(report)}\n\nreport: {folder / PAGE}"
