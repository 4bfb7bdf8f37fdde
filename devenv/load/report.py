"""What all reports of a load test show: the conclusions from a recording, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from devenv import __version__
from devenv.core.errors import EXIT_INTERRUPTED
from devenv.core.stored import readable
from devenv.load.figures import Figures
from devenv.load.knee import Knee, find_knee
from devenv.load.outcome import Judgement, finding_data, stored_outcome
from devenv.load.probes import judge_probes
from devenv.load.recording import Recording, read_recording
from devenv.load.scaling import judge_scaling
from devenv.load.thresholds import Finding, evaluate, parse
from devenv.runs.criteria import Verdict

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
