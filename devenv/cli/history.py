"""`devenv history`: how criteria changed over the runs of this project on this kind of machine."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from datetime import datetime

from msgspec.structs import asdict

from devenv.backends.compose import NoComposeFile
from devenv.cli.console import format_table
from devenv.cli.context import Context
from devenv.cli.options import read_settings
from devenv.core.errors import EXIT_OK, UsageError
from devenv.verify.history import History, Trend
from devenv.verify.provenance import this_machine

SHOWN = 20  # values of one criterion


def run(arguments: Namespace) -> int:
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
            raise UsageError(f"{arguments.criterion} was never measured here", f"Measured were: {known}.")
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
