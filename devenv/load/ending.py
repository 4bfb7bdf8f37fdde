"""What is done when a load test is over, and when its report is made again: reports, summary, history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from devenv.load.figures import TOTAL, Finding
from devenv.load.outcome import Facts, exit_code, save_outcome, verdict
from devenv.load.recording import read_recording
from devenv.load.report import Report, make_report, markdown, page, terminal
from devenv.load.scaling import judge_scaling
from devenv.runs.criteria import Better, Criterion, Measurement, Verdict
from devenv.runs.history import History, Point
from devenv.runs.identity import commit_of, this_machine
from devenv.runs.lines import write_text
from devenv.runs.publish import append
from devenv.runs.report import Report as Run

PREFIX = "load"
SOURCE = "locust -f loadtests"


def measurements_of(report: Report) -> list[Measurement]:
    """Return what a load test measured: thresholds, p95 of each name, throughput, knee, stages of the autoscaler."""
    shape, at = str(report.recording.run["options"].get("shape", "")), float(report.recording.run["began"])
    measured = [_threshold(item, shape, at) for item in report.findings]
    known = {item.criterion.name for item in measured}

    def add(name: str, unit: str, value: float | None, better: Better = Better.LOWER) -> None:
        full = f"{PREFIX}_{name}"
        if value is not None and full not in known:
            measured.append(
                Measurement(Criterion(full, unit, None, SOURCE, better), Verdict.PASSED, value, at=at, test=shape)
            )

    for name, figures in report.figures.items():
        add(f"{shape}.{name}:p95", "ms", figures.percentile(95))
    add(f"{shape}.rps", "/s", report.figures[TOTAL].rps, Better.HIGHER)
    add(f"{shape}.fail_ratio", "", report.figures[TOTAL].fail_ratio)
    if report.knee is not None and report.knee.at is not None:
        add("knee", "/s", report.knee.at.rps, Better.HIGHER)
    for judgement in report.judgements:
        stages = {stage.name: stage.seconds for stage in judgement.stages if stage.seconds is not None}
        whole = sum(max(0.0, seconds) for seconds in stages.values()) if stages else None
        criterion = Criterion(f"{PREFIX}_{judgement.name}", "s", None, SOURCE)
        why = "; ".join(judgement.reasons)
        measured.append(Measurement(criterion, judgement.verdict, whole, None, stages, why, at, shape))
    return measured


def keep(report: Report, history: History | None = None) -> None:
    """Add the run to the history; the same run again replaces it. Raises DevenvError where it cannot be used."""
    run = report.recording.run
    folder = Path(run["folder"])
    (history or History()).add(
        Run(
            run=str(run["run"]),
            began=float(run["began"]),
            seconds=report.recording.length,
            project=str(run["target"]["project"]),
            target=f"{PREFIX}/{run['target']['kind']}",
            isolated=False,
            machine=this_machine(),
            commit=commit_of(folder),
            measurements=tuple(measurements_of(report)),
            tests=(),
            interrupted=report.exit_code is None,
        )
    )


def newest(project: str, machine: str, history: History | None = None) -> list[Measurement]:
    """Return what the newest run was judged by, for `devenv audit`: measurements with a budget or a reason."""
    history = history or History()
    names = [name for name in history.criteria(project, machine) if name.startswith(f"{PREFIX}_")]
    points = {name: trend.points[-1] for name in names if (trend := history.trend(name, project, machine, 1)).points}
    last = max(points.values(), key=lambda point: point.at, default=None)
    return [
        _measured(name, point)
        for name, point in points.items()
        if last is not None and point.run == last.run and (point.budget is not None or point.why)
    ]


def _threshold(item: Finding, shape: str, at: float) -> Measurement:
    threshold = item.threshold
    better = Better.LOWER if threshold.sign.startswith("<") else Better.HIGHER
    name = f"{PREFIX}_{shape}.{threshold.name}:{threshold.metric}"
    criterion = Criterion(name, threshold.unit, threshold.limit, f"threshold {threshold}", better)
    verdicts = {True: Verdict.PASSED, False: Verdict.FAILED, None: Verdict.INCONCLUSIVE}
    why = {True: "", False: f"{threshold} does not hold", None: "no such request was made"}[item.holds]
    return Measurement(criterion, verdicts[item.holds], item.value, item.margin, {}, why, at, shape)


def _measured(name: str, point: Point) -> Measurement:
    criterion = Criterion(name, point.unit, point.budget, SOURCE, Better(point.better))
    margin = None
    if point.value is not None and point.budget:
        room = point.budget - point.value if criterion.better is Better.LOWER else point.value - point.budget
        margin = room / point.budget
    return Measurement(criterion, Verdict(point.verdict), point.value, margin, {}, point.why, point.at)


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
    """Keep the outcome, write everything, and return the text for people; raises DevenvError."""
    save_outcome(folder, exit_code(facts), verdict(facts), facts.inconclusive, facts.findings)
    report = write_reports(folder)
    if not facts.interrupted:
        keep(report)
    if environ.get("GITHUB_STEP_SUMMARY"):
        append(Path(environ["GITHUB_STEP_SUMMARY"]), markdown(report) + "\n")
    return f"\n{terminal(report)}\n\nreport: {folder / PAGE}"
