"""`devenv audit`: smoke tests and build timings, and the table of every success metric."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from devenv.cli.context import Context
from devenv.cli.verify import run_smoketests
from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, DevenvError, Inconclusive
from devenv.load.ending import newest
from devenv.runs.criteria import Measurement, Verdict, worst
from devenv.runs.history import History
from devenv.runs.identity import begin_run, commit_of, this_machine
from devenv.runs.publish import append
from devenv.runs.report import HEAD, Report, markdown_table, measurement_row, table
from devenv.verify.environment import Environments, locate
from devenv.verify.runner import Outcome
from devenv.verify.success_metrics import audit, latest, time_builds


def run(arguments: Namespace) -> int:
    """Print the table; raises DevenvError (1) when a metric failed, Inconclusive (12) when one was not measured."""
    context = Context(arguments)
    budgets = context.config.verify.budgets
    outcome = run_smoketests(arguments, [])
    if outcome.exit_code == EXIT_INTERRUPTED:
        return EXIT_INTERRUPTED
    measured = outcome.measurements
    if not {"cached_build", "build_improvement"} <= {item.criterion.name.partition(".")[0] for item in measured}:
        measured += _builds(context)
    measured += _deployed(outcome, measured, budgets)
    # the last load test's too
    metrics = [*audit(measured, budgets), *newest(context.project().name, this_machine().id)]
    lines = table(HEAD, [measurement_row(item, None) for item in metrics])
    sys.stdout.write("\n".join(["", "Success metrics", *lines]) + "\n")
    sys.stdout.flush()
    summary = context.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        append(Path(summary), "\n".join(["## Success metrics", "", *markdown_table(metrics)]) + "\n")
    verdict = worst(item.verdict for item in metrics)
    broken = outcome.error()
    if verdict in (Verdict.FAILED, Verdict.ERROR) or (broken is not None and outcome.verdict is not Verdict.PASSED):
        raise broken or DevenvError("a success metric is not met", "The table says which.")
    if verdict is Verdict.INCONCLUSIVE:
        raise Inconclusive("not every success metric was measured", "The table says which, and why.")
    return EXIT_OK


def _deployed(outcome: Outcome, measured: list[Measurement], budgets: Mapping[str, float]) -> list[Measurement]:
    """Return what only deployments measure, from the history, unless this run has measured it too."""
    if outcome.report is None:
        return []
    known = {item.criterion.name.partition(".")[0] for item in measured}
    deployed = latest(History(), str(outcome.report["project"]), budgets)
    return [item for item in deployed if item.criterion.name not in known]


def _builds(context: Context) -> list[Measurement]:
    run, began = begin_run(), time.time()
    environments = Environments(locate(context.start, context.config, context.environ), run)
    try:
        measurements = time_builds(environments, context.config.verify.budgets)
    finally:
        environments.close()
    source = environments.source
    History().add(
        Report(
            run=run.id,
            began=began,
            seconds=time.time() - began,
            project=source.project.name,
            target="compose",
            isolated=True,
            machine=this_machine(),
            commit=commit_of(source.root),
            measurements=tuple(measurements),
            tests=(),
        )
    )
    return measurements
