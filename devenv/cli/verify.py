"""`devenv verify`, the smoke tests as `pytest smoketests` runs them; `history` and `evidence`, what runs left."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from datetime import datetime
from pathlib import Path

from msgspec.structs import asdict

from devenv.backends.compose import NoComposeFile
from devenv.cli.console import format_table
from devenv.cli.context import Context, project_environment, smoketests_of
from devenv.cli.options import read_settings
from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError
from devenv.core.model import Happening, LogLine
from devenv.core.stored import readable, state_folder
from devenv.runs.evidence import Header, Mark, Probe, ReadOnlyControl, ReplayBackend, choose_file, read_evidence
from devenv.runs.history import History, Trend
from devenv.runs.identity import this_machine
from devenv.verify.runner import RUNNING, Outcome, run_tests


def run(arguments: Namespace) -> int:
    """Run them; raises DevenvError (1) when a test failed, Inconclusive (12) where --strict wants more."""
    options = ["--devenv-target", arguments.target]
    for flag, option in (("running", RUNNING), ("keep", "--devenv-keep"), ("strict", "--strict")):
        if getattr(arguments, flag):
            options.append(option)
    if arguments.overlay:
        is_path = os.sep in arguments.overlay or arguments.overlay == "."
        options += ["--devenv-overlay", str(Path(arguments.overlay).absolute()) if is_path else arguments.overlay]
    for image in arguments.images or ():
        options += ["--devenv-image", image]
    if arguments.ingress:
        options += ["--devenv-ingress", arguments.ingress]
    if arguments.expression:
        options += ["-k", arguments.expression]
    if arguments.tui:
        from devenv.cli.tui import run as open_terminal

        if arguments.budget_scale is not None:
            options += ["--devenv-budget-scale", str(arguments.budget_scale)]
        if arguments.report_dir:
            options += ["--devenv-report-dir", str(Path(arguments.report_dir).absolute())]
        return open_terminal(arguments, tuple(options))
    outcome = run_smoketests(arguments, options)
    error = outcome.error()
    if error is not None and outcome.exit_code != EXIT_INTERRUPTED:
        raise error
    return outcome.exit_code


def run_smoketests(arguments: Namespace, options: list[str]) -> Outcome:
    """Run pytest on the project that the arguments mean."""
    root, folder = smoketests_of(arguments)
    if arguments.budget_scale is not None:
        options = [*options, "--devenv-budget-scale", str(arguments.budget_scale)]
    chosen = arguments.report_dir
    reports = Path(chosen).absolute() if chosen else state_folder() / "last-verify"
    try:
        (reports / "report.json").unlink(missing_ok=True)  # an old one must not be taken for this run's
    except OSError as error:
        raise UsageError(f"{reports / 'report.json'} cannot be replaced: {error.strerror}", "Move it away.") from error
    return run_tests(folder, root, options, reports, project_environment(arguments))


SHOWN = 20  # values of one criterion


def run_history(arguments: Namespace) -> int:
    """Print all criteria, or one with its newest values; raises UsageError for one that was never measured."""
    history = History()
    try:
        project = Context(arguments).project().name
    except NoComposeFile:  # runs of tests that bring their own are kept under the folder's name
        root = read_settings(arguments).root
        if root is None:
            raise
        project = root.name
    machine = this_machine().id
    names = history.criteria(project, machine)
    if arguments.criterion:
        if arguments.criterion not in names:
            known = ", ".join(names) or "nothing yet: run devenv verify"
            raise UsageError(f"{arguments.criterion} was never measured here", f"Measured so far: {known}.")
        names = [arguments.criterion]
    trends = [history.trend(name, project, machine) for name in names]
    if arguments.json:
        data = {"schema": 1, "project": project, "machine": machine, "criteria": [_data(item) for item in trends]}
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        return EXIT_OK
    lines = format_table(("CRITERION", "LAST", "P50", "P90", "P95", "CHANGE", "RUNS", "TREND"), map(_row, trends))
    if arguments.criterion:
        lines += ["", *_values(trends[0])]
    sys.stdout.write("\n".join(lines) + "\n")
    return EXIT_OK


def _row(trend: Trend) -> tuple[str, ...]:
    unit = trend.points[-1].unit
    change = trend.change
    return (
        trend.criterion,
        _number(trend.values[-1] if trend.values else None, unit),
        *(_number(trend.percentile(percent), unit) for percent in (50, 90, 95)),
        "" if change is None else f"{change:+.0%}",
        str(len(trend.values)),
        trend.sparkline,
    )


def _values(trend: Trend) -> list[str]:
    rows = [
        (
            datetime.fromtimestamp(point.at).strftime("%Y-%m-%d %H:%M:%S"),
            point.verdict,
            _number(point.value, point.unit) or point.why,
            f"{point.commit[:12] or '-'}{'+' if point.dirty else ''}",
            point.run,
        )
        for point in trend.points[-SHOWN:]
    ]
    return format_table(("AT", "VERDICT", "VALUE", "COMMIT", "RUN"), rows)


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.3g} {unit}"


def _data(trend: Trend) -> dict[str, object]:
    percentiles = {f"p{percent}": trend.percentile(percent) for percent in (50, 90, 95)}
    points = [asdict(point) for point in trend.points]
    return {"criterion": trend.criterion, "change": trend.change, **percentiles, "points": points}


def run_evidence(arguments: Namespace) -> int:
    """Open it; without a terminal, or with --text, print it in the order of time. Raises UsageError for other files."""
    path = choose_file(Path(arguments.path))
    if arguments.text or not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.stdout.write("".join(f"{line}\n" for line in evidence_lines(path)))
        return EXIT_OK
    from devenv.tui.app import run as run_app

    backend = ReplayBackend(path)
    color = not arguments.no_color and not os.environ.get("NO_COLOR")
    return run_app(backend, ReadOnlyControl(), title=backend.title, color=color)


def evidence_lines(path: Path) -> list[str]:
    """Return what the file says, in the order of time, a line each; raises DevenvError."""
    with readable(path):
        return _lines(path)


def _lines(path: Path) -> list[str]:
    lines: list[tuple[float, str]] = []
    names = ReplayBackend(path).services()
    at = 0.0
    for record in read_evidence(path):
        if isinstance(record, Header):
            at = record.began
            text = f"evidence of {record.project}, run {record.run}"
        elif isinstance(record, Mark):
            at, text = record.at, f"{record.kind_of}: {record.text}"
        elif isinstance(record, Probe):
            at, text = record.at, f"probe {record}"
        elif isinstance(record, Happening):
            at, text = record.at, f"{names.get(record.key, record.key[:19])}: {record.text}"
        elif isinstance(record, LogLine):
            at, text = record.at or at, f"{names.get(record.key, record.key[:19])} | {record.text}"
        else:
            continue
        lines.append((at, text))
    lines.sort(key=lambda item: item[0])
    return [f"{datetime.fromtimestamp(at).strftime('%H:%M:%S.%f')[:-3]} {text}" for at, text in lines]
