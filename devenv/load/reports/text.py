"""A load test's report for terminals and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from devenv.core.text import sanitize
from devenv.load.charts import number
from devenv.load.figures import TOTAL, Figures
from devenv.load.knee import Knee
from devenv.load.reports.data import Report, knee_words
from devenv.load.thresholds import finding_row
from devenv.load.verdicts.judgement import Stage
from devenv.runs.report import table

THRESHOLD_HEAD = ("THRESHOLD", "VERDICT", "VALUE", "MARGIN")
FIGURES_HEAD = ("NAME", "REQUESTS", "FAILED", "RPS", "MEAN", "P50", "P95", "P99", "MAX")
ERROR_HEAD = ("FAILED", "NAME", "REASON")
ERRORS_SHOWN = 5  # on a terminal
STAGE_HEAD = ("STAGE", "SECONDS", "BOUNDS", "PROBLEM")
STEP_HEAD = ("STEP", "USERS", "OFFERED", "ANSWERED", "P95", "FAILED", "PROBLEM")


def terminal(report: Report) -> str:
    """Return what is printed at the end of a run."""
    lines = [report.title]
    if report.findings:
        lines += ["", *table(THRESHOLD_HEAD, [finding_row(item) for item in report.findings])]
    if report.recording.errors:
        lines += ["", *table(ERROR_HEAD, error_rows(report)[:ERRORS_SHOWN])]
    if report.knee is not None:
        lines += ["", *table(STEP_HEAD, step_rows(report.knee)), knee_words(report.knee)]
    for judgement in report.judgements:
        lines += ["", f"{judgement.name}: {judgement.verdict}", *(f"  {text}" for text in judgement.reasons)]
        lines += (
            [f"  {line}" for line in table(STAGE_HEAD, map(stage_row, judgement.stages))] if judgement.stages else []
        )
        lines += [f"  {text}" for text in judgement.facts]
    told = {text for judgement in report.judgements for text in judgement.reasons}
    others = [text for text in report.reasons if text not in told]
    lines += ["", *(f"{report.outcome}: {text}" for text in others)] if others else []
    lines += [f"gap: {gap.since:.0f} to {gap.until:.0f} s: {gap.what}" for gap in report.recording.gaps]
    return "\n".join(lines)


def markdown(report: Report) -> str:
    """Return the report as Markdown, as a job's summary shows it."""
    lines = [f"## {_cell(report.title)}", ""]
    lines += [f"- {_cell(text)}" for text in report.reasons] + ([""] if report.reasons else [])
    if report.findings:
        lines += [*_table(THRESHOLD_HEAD, [finding_row(item) for item in report.findings]), ""]
    lines += [*_table(FIGURES_HEAD, figure_rows(report)), ""]
    if report.recording.errors:
        lines += ["### Why requests failed", "", *_table(ERROR_HEAD, error_rows(report)), ""]
    if report.knee is not None:
        lines += [*_table(STEP_HEAD, step_rows(report.knee)), "", _cell(knee_words(report.knee)), ""]
    for judgement in report.judgements:
        lines += [f"### {judgement.name}: {judgement.verdict}", "", *(f"- {_cell(text)}" for text in judgement.reasons)]
        lines += ["", *_table(STAGE_HEAD, map(stage_row, judgement.stages)), ""] if judgement.stages else [""]
        lines += [*(f"- {_cell(text)}" for text in judgement.facts), ""] if judgement.facts else []
    gaps = report.recording.gaps
    if gaps:
        lines += ["### Gaps", "", *(f"- {gap.since:.0f} to {gap.until:.0f} s: {_cell(gap.what)}" for gap in gaps), ""]
    return "\n".join(lines)


def figure_rows(report: Report) -> list[tuple[str, ...]]:
    """Return a row for each name, the total last."""
    names = [*sorted(name for name in report.figures if name != TOTAL), TOTAL]
    return [_figures_row(name, report.figures[name]) for name in names]


def error_rows(report: Report) -> list[tuple[str, ...]]:
    """Return a row for each of the most frequent reasons of failed requests."""
    return [(str(count), name, sanitize(reason)) for count, name, reason in report.recording.errors]


def step_rows(knee: Knee) -> list[tuple[str, ...]]:
    """Return a row for each step."""
    return [
        (
            step.name.removeprefix("step "),
            str(step.users),
            "" if step.offered is None else f"{step.offered:.0f}/s",
            f"{step.rps:.1f}/s",
            "" if step.p95 is None else f"{step.p95:.0f} ms",
            f"{step.fail_ratio:.1%}",
            step.problem,
        )
        for step in knee.steps
    ]


def stage_row(stage: Stage) -> tuple[str, ...]:
    """Return the cells of a stage."""
    seconds = "" if stage.seconds is None else f"{stage.seconds:.1f}"
    return (stage.name, seconds, f"{max(stage.low, 0):.0f} to {stage.high:.0f}", stage.problem)


def _figures_row(name: str, item: Figures) -> tuple[str, ...]:
    def ms(value: float | None) -> str:
        return "" if value is None else f"{value:.0f}"

    times = [item.mean, *(item.percentile(percent) for percent in (50, 95, 99, 100))]
    return (name, str(item.requests), str(item.failures), number(item.rps), *map(ms, times))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(name.capitalize() for name in head)} |", f"|{' --- |' * len(head)}"]
    return lines + [f"| {' | '.join(map(_cell, row))} |" for row in rows]


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
