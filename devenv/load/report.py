"""A load test's report: conclusions from a recording, as JSON, for terminals, as Markdown, and as one HTML page.

A step test's knee is where a target is saturated: the last step of rising load that it still followed, and what was
used up then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from devenv import __version__
from devenv.core.errors import EXIT_INTERRUPTED
from devenv.core.stored import readable
from devenv.core.text import sanitize
from devenv.load.charts import axis_of, charts_of, number, render
from devenv.load.figures import TOTAL, Figures, Finding, evaluate, finding_row, parse
from devenv.load.outcome import Judgement, Stage, finding_data, stored_outcome
from devenv.load.recording import LoadTick, Recording, read_recording
from devenv.load.scaling import judge_probes, judge_scaling
from devenv.runs.criteria import Verdict
from devenv.runs.report import html_page, html_table, markdown_cell, markdown_lines, table

SETTLING: Final = 0.3  # part of each step that is left out: users start, and containers are read every 2 s
FOLLOWED: Final = 0.9  # of what was offered has to be answered
SLOWER: Final = 5.0  # times the p95 of the first step, and at least:
SLOW: Final = 100.0  # ms
FAILED: Final = 0.01  # of the requests
FULL: Final = 0.9  # of a limit
MIN_TICKS: Final = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One step: offered (None in the closed model) and answered requests a second, p95 in ms, and whether it held."""

    name: str
    since: float
    until: float
    users: int
    offered: float | None
    rps: float
    p95: float | None
    fail_ratio: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Knee:
    """The result: `at` is the last step that held (None: not even the first), `beyond` the first that did not."""

    steps: tuple[Step, ...]
    at: Step | None
    beyond: Step | None
    resource: str = ""


def find_knee(recording: Recording, rate: float | None) -> Knee:
    """Judge the steps of a recording; `rate` is what each user offers in the open model, None in the closed one."""
    steps: list[Step] = []
    for name, ticks in _stretches(recording.load):
        settled = ticks[int(len(ticks) * SETTLING) :]
        if len(settled) >= MIN_TICKS:
            steps.append(_judge(name, settled, recording, rate, steps))
    good = [step for step in steps if not step.problem]
    bad = next((step for step in steps if step.problem), None)
    if bad is not None:
        good = [step for step in good if step.until <= bad.since]
    resource = limiting(recording, bad.since, bad.until) if bad is not None else ""
    return Knee(tuple(steps), good[-1] if good else None, bad, resource)


def is_saturated(recording: Recording, rate: float | None) -> bool:
    """Whether a finished step did not hold, so that more load would show nothing more."""
    names = [name for _, name in recording.phases if name.startswith("step ")]
    beyond = find_knee(recording, rate).beyond
    return beyond is not None and bool(names) and beyond.name != names[-1]


def limiting(recording: Recording, since: float, until: float) -> str:
    """Say what was used up in a time: a service's CPU or memory limit, the generator, the machine, or nothing known."""
    limits: Mapping[str, Mapping[str, float]] = recording.run["target"].get("limits", {})
    shares: list[tuple[float, str]] = []
    for track in recording.tracks.values():
        uses = [use for use in track.uses if since < use.t <= until]
        cpu = [use.cpu for use in uses if use.cpu is not None]
        limit = limits.get(track.service, {}).get("cpu")
        if cpu and limit:
            share = sum(cpu) / len(cpu) / limit
            shares.append((share, f"CPU of {track.name} ({share:.0%} of its limit of {limit:g} cores)"))
        memory = [use.memory / use.limit for use in uses if use.memory and use.limit]
        if memory:
            shares.append((max(memory), f"memory of {track.name} ({max(memory):.0%} of its limit)"))
    ticks = recording.load_between(since, until)
    busy = [max(tick.cpu) / 100 for tick in ticks if tick.cpu]
    if busy:
        share = sum(busy) / len(busy)
        shares.append((share, f"the generator itself ({share:.0%} of a core)"))
    cores = recording.cores
    machine = [value for t, value in recording.machine if since < t <= until]
    if cores and machine:
        share = sum(machine) / len(machine) / cores
        shares.append((share, f"CPU of the machine ({share:.0%} of {cores} cores)"))
    full = [item for item in shares if item[0] >= FULL]
    if full:
        # A limit of its own explains more than the machine that everything shares.
        return min(full, key=lambda item: ("machine" in item[1], -item[0]))[1]
    nearest = f"; nearest to its limit: {max(shares)[1]}" if shares else ""
    return f"none that was measured: a lock, a pool or a disk{nearest}"


def _judge(name: str, ticks: Sequence[LoadTick], recording: Recording, rate: float | None, before: list[Step]) -> Step:
    figures = recording.figures(ticks)["total"]
    users = max(tick.users for tick in ticks)
    offered = users * rate if rate is not None else None
    p95 = figures.percentile(95)
    problem = ""
    first = before[0] if before else None
    limit = max(SLOW, SLOWER * first.p95) if first is not None and first.p95 is not None else None
    if figures.fail_ratio > FAILED:
        problem = f"{figures.fail_ratio:.1%} of the requests failed"
    elif offered is not None and figures.rps < FOLLOWED * offered:
        problem = f"{figures.rps:.0f} of {offered:.0f} requests a second were answered"
    elif limit is not None and p95 is not None and p95 > limit:
        problem = f"p95 was {p95:.0f} ms, {p95 / (first.p95 or 1):.0f} times that of the first step" if first else ""
    elif offered is None and before and users > before[-1].users:
        grown = (figures.rps / before[-1].rps if before[-1].rps else 1.0) - 1
        if grown < 0.25 * (users / before[-1].users - 1):
            problem = f"{users} users got no more through than {before[-1].users} did"
    return Step(name, ticks[0].t, ticks[-1].t, users, offered, figures.rps, p95, figures.fail_ratio, problem)


def _stretches(load: Sequence[LoadTick]) -> list[tuple[str, list[LoadTick]]]:
    stretches: list[tuple[str, list[LoadTick]]] = []
    for tick in load:
        if not tick.phase.startswith("step "):
            continue
        if not stretches or stretches[-1][0] != tick.phase:
            stretches.append((tick.phase, []))
        stretches[-1][1].append(tick)
    return stretches


SCHEMA: Final = 1
PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 100.0)
UNFINISHED: Final = "the run did not come to its end: it was killed, or it still runs"


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `figures` are without the warm-up; `exit_code` is None where the run did not end."""

    recording: Recording
    figures: Mapping[str, Figures]
    findings: Sequence[Finding]
    judgements: Sequence[Judgement]
    knee: Knee | None
    exit_code: int | None
    verdict: Verdict
    reasons: Sequence[str]

    @property
    def outcome(self) -> str:
        """How it ended, in a word."""
        return "interrupted" if self.exit_code == EXIT_INTERRUPTED else self.verdict.value

    @property
    def title(self) -> str:
        """One line about it."""
        run = self.recording.run
        figures = self.figures["total"]
        p95 = figures.percentile(95)
        what = (
            f"{figures.requests} requests, {figures.rps:.1f}/s, p95 {p95:.0f} ms" if p95 is not None else "no request"
        )
        return f"{run['target']['project']}, {run['options'].get('shape', '?')}: {self.outcome} ({what})"

    def to_data(self) -> dict[str, Any]:
        """Return the JSON form."""
        recording = self.recording
        run = dict(recording.run)
        knee = self.knee
        return {
            "schema": SCHEMA,
            "devenv": __version__,
            "run": run | {"began": datetime.fromtimestamp(run["began"], UTC).isoformat(timespec="milliseconds")},
            "seconds": round(recording.length, 1),
            "outcome": self.outcome,
            "verdict": self.verdict.value,
            "exit_code": self.exit_code,
            "reasons": list(self.reasons),
            "thresholds": [finding_data(item) for item in self.findings],
            "figures": {name: figures_data(item) for name, item in self.figures.items()},
            "errors": [{"count": count, "name": name, "reason": why} for count, name, why in recording.errors],
            "verdicts": [item.to_data() for item in self.judgements],
            "knee": None if knee is None else knee_data(knee),
            "gaps": [{"since": gap.since, "until": gap.until, "what": gap.what} for gap in recording.gaps],
            "clock_steps": [{"at": t, "seconds": by} for t, by in recording.steps],
            "broken_lines": recording.broken,
            "recorder_cpu": _mean(recording.own),
        }


def make_report(folder: Path) -> Report:
    """Conclude everything from the recording in a folder; raises DevenvError where there is none."""
    recording, ended = read_recording(folder), stored_outcome(folder)
    with readable(f"the recording in {folder}"):
        return _conclude(recording, ended)


def _conclude(recording: Recording, ended: Mapping[str, Any] | None) -> Report:
    run = recording.run
    warm = float(run.get("warm_up") or 0.0)
    load = recording.load
    began = load[0].t if load else 0.0
    later = [tick for tick in load if tick.t - began >= warm]
    figures = recording.figures(later or load)
    reasons = list(ended["reasons"]) if ended else [UNFINISHED]
    inconclusive = [reason for reason in reasons if ended is None or ended["verdict"] == Verdict.INCONCLUSIVE.value]
    judgements = [item for item in (judge_scaling(recording, inconclusive), _probes(recording, inconclusive)) if item]
    options = run["options"]
    rate = float(options["rate"]) if options.get("open") else None
    knee = find_knee(recording, rate) if options.get("shape") == "step" and load else None
    # What was decided when it ran is not decided anew: thresholds are judged by the generator's own counters.
    findings = ended["findings"] if ended else evaluate([parse(text) for text in run["thresholds"]], figures)
    verdict = Verdict(ended["verdict"]) if ended else Verdict.INCONCLUSIVE
    code = int(ended["exit_code"]) if ended else None
    return Report(recording, figures, findings, judgements, knee, code, verdict, reasons)


def _probes(recording: Recording, inconclusive: Sequence[str]) -> Judgement | None:
    """Judge the probes; that the autoscaler could not be tested is no doubt about them."""
    scaling = judge_scaling(recording) if inconclusive else None
    of_scaling = scaling.reasons if scaling is not None else ()
    return judge_probes(recording, [text for text in inconclusive if text not in of_scaling])


def figures_data(item: Figures) -> dict[str, Any]:
    """Return figures as plain data."""
    return {
        "requests": item.requests,
        "failures": item.failures,
        "rps": round(item.rps, 3),
        "fail_ratio": round(item.fail_ratio, 6),
        "mean": None if item.mean is None else round(item.mean, 1),
        **{("max" if percent == 100 else f"p{percent:g}"): item.percentile(percent) for percent in PERCENTILES},
    }


def knee_data(knee: Knee) -> dict[str, Any]:
    """Return a knee as plain data."""
    steps = [
        {
            "step": step.name,
            "users": step.users,
            "offered": step.offered,
            "rps": round(step.rps, 2),
            "p95": step.p95,
            "fail_ratio": round(step.fail_ratio, 6),
            "problem": step.problem,
        }
        for step in knee.steps
    ]
    at = None if knee.at is None else knee.at.name
    return {"steps": steps, "at": at, "beyond": knee.beyond and knee.beyond.name, "resource": knee.resource}


def knee_words(knee: Knee) -> str:
    """Say where the knee is."""
    if knee.beyond is None:
        return "The target followed every step: no knee up to " + (f"{knee.at.rps:.0f}/s." if knee.at else "here.")
    held = f"{knee.at.rps:.0f} requests a second ({knee.at.name})" if knee.at else "not even the first step"
    return f"The knee is at {held}; beyond it {knee.beyond.problem}. What was used up: {knee.resource}."


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 5) if values else None


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
    shown = {text for judgement in report.judgements for text in judgement.reasons}
    others = [text for text in report.reasons if text not in shown]
    lines += ["", *(f"{report.outcome}: {text}" for text in others)] if others else []
    lines += [f"gap: {gap.since:.0f} to {gap.until:.0f} s: {gap.what}" for gap in report.recording.gaps]
    return "\n".join(lines)


def markdown(report: Report) -> str:
    """Return the report as Markdown, as a job's summary shows it."""
    lines = [f"## {markdown_cell(report.title)}", ""]
    lines += [f"- {markdown_cell(text)}" for text in report.reasons] + ([""] if report.reasons else [])
    if report.findings:
        lines += [*_table(THRESHOLD_HEAD, [finding_row(item) for item in report.findings]), ""]
    lines += [*_table(FIGURES_HEAD, figure_rows(report)), ""]
    if report.recording.errors:
        lines += ["### Why requests failed", "", *_table(ERROR_HEAD, error_rows(report)), ""]
    if report.knee is not None:
        lines += [*_table(STEP_HEAD, step_rows(report.knee)), "", markdown_cell(knee_words(report.knee)), ""]
    for judgement in report.judgements:
        lines += [
            f"### {judgement.name}: {judgement.verdict}",
            "",
            *(f"- {markdown_cell(text)}" for text in judgement.reasons),
        ]
        lines += ["", *_table(STAGE_HEAD, map(stage_row, judgement.stages)), ""] if judgement.stages else [""]
        lines += [*(f"- {markdown_cell(text)}" for text in judgement.facts), ""] if judgement.facts else []
    gaps = report.recording.gaps
    if gaps:
        lines += [
            "### Gaps",
            "",
            *(f"- {gap.since:.0f} to {gap.until:.0f} s: {markdown_cell(gap.what)}" for gap in gaps),
            "",
        ]
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
    return markdown_lines(head, (map(markdown_cell, row) for row in rows))


_STYLE = """:root { --c1: #0969da; --c2: #bc4c00; --c3: #1a7f37; --c4: #8250df; --c5: #bf3989; --c6: #6e7781;
  --c7: #9a6700; --c8: #057f93; }
@media (prefers-color-scheme: dark) { :root { --c1: #58a6ff; --c2: #ff9e64; --c3: #3fb950; --c4: #bc8cff; --c5: #f778ba;
  --c6: #b1bac4; --c7: #e3b341; --c8: #56d4dd; } }
td { font-variant-numeric: tabular-nums; }
figure { margin: 0 0 1.2rem; } svg { display: block; width: 100%; height: auto; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; font-size: .9rem; }
figcaption i { display: inline-block; width: 1rem; height: 3px; background: currentColor; margin-right: .35rem;
  vertical-align: middle; }
figcaption span.dashed i { height: 0; border-top: 2px dashed currentColor; background: none; }
.line { fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; }
.line.dashed { stroke-dasharray: 5 4; opacity: .7; } .band { fill: currentColor; stroke: currentColor; opacity: .3; }
.dot { fill: currentColor; }
.grid { stroke: #8883; } .tick { fill: #888; font-size: 11px; } .name { fill: #888; font-size: 11px; }
.phase { fill: #8881; } .phase.even { fill: #8880; } .gap { fill: var(--bad); opacity: .18; }
.mark { stroke: var(--bad); stroke-dasharray: 2 3; }
.c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); } .c4 { color: var(--c4); }
.c5 { color: var(--c5); } .c6 { color: var(--c6); } .c7 { color: var(--c7); } .c8 { color: var(--c8); }"""
_READING = (
    "All charts have the same time axis. A line is the mean of its column, the band around it reaches from the least "
    "to the greatest value; percentiles are of all requests of the column. Red: a gap, or an event (point at it)."
)


def page(report: Report) -> str:
    """Write the page; it loads nothing from anywhere and runs no script."""
    run = report.recording.run
    began = datetime.fromtimestamp(run["began"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    model = "open model" if run["options"].get("open") else "closed model"
    facts = f"run {run['run']}, {began}, {run['target']['url']}, {model}, seed {run['options'].get('seed', '-')}"
    notes = [*report.reasons, *run["target"].get("notes", ())]
    axis = axis_of(report.recording)
    charts = "".join(render(chart, axis) for chart in charts_of(report.recording)) or "<p>Nothing was recorded.</p>"
    over_time = f"<h2>Over time</h2>\n<p><small>{escape(_READING)}</small></p>\n{charts}"
    body = f"{_html_list(notes)}\n{''.join(_html_tables(report))}\n{over_time}"
    return html_page(report.title, report.verdict, facts, body, _STYLE)


def _html_tables(report: Report) -> Iterable[str]:
    if report.findings:
        yield "<h2>Thresholds</h2>" + html_table(THRESHOLD_HEAD, [finding_row(item) for item in report.findings])
    yield "<h2>Requests</h2>" + html_table(FIGURES_HEAD, figure_rows(report))
    if report.recording.errors:
        yield "<h2>Why requests failed</h2>" + html_table(ERROR_HEAD, error_rows(report))
    if report.knee is not None:
        yield f"<h2>Steps</h2>{html_table(STEP_HEAD, step_rows(report.knee))}<p>{escape(knee_words(report.knee))}</p>"
    for judgement in report.judgements:
        yield _html_judgement(judgement)
    gaps = report.recording.gaps
    if gaps:
        yield "<h2>Gaps</h2>" + _html_list(f"{gap.since:.0f} to {gap.until:.0f} s: {gap.what}" for gap in gaps)


def _html_judgement(item: Judgement) -> str:
    head = f'<h2>{escape(item.name.capitalize())}: <span class="{item.verdict.value}">{item.verdict.value}</span></h2>'
    stages = html_table(STAGE_HEAD, map(stage_row, item.stages)) if item.stages else ""
    return head + _html_list(item.reasons) + stages + _html_list(item.facts)


def _html_list(texts: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""
