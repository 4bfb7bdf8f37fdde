"""`devenv audit`: measure every success metric, and print the table of them; docs/AUDIT.md is written by it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import uuid
from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from devenv import __version__
from devenv.cli.console import tell
from devenv.cli.context import Context, project_environment
from devenv.cli.verify import run_smoketests
from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, DevenvError, Inconclusive
from devenv.core.text import human_bytes
from devenv.load.ending import newest
from devenv.runs.criteria import METRICS_OF, SUCCESS_METRICS, Measurement, Verdict, worst
from devenv.runs.history import History
from devenv.runs.identity import begin_run, commit_of, this_machine
from devenv.runs.publish import append
from devenv.runs.report import HEAD, Report, markdown_table, measurement_row, table
from devenv.verify.environment import Environments, locate
from devenv.verify.success_metrics import audit, gates, latest, reasons_of, time_builds

GATES_WITHIN: Final = 3600.0  # seconds; the budget is 900


def run(arguments: Namespace) -> int:
    """Print the table; raises DevenvError (1) when a metric failed, Inconclusive (12) when one was not measured."""
    context = Context(arguments)
    budgets, project = context.config.verify.budgets, context.project().name
    targets = ("compose", "kubernetes") if arguments.target == "all" else (arguments.target,)
    measured: list[Measurement] = []
    reasons: dict[str, str] = {}
    broken: DevenvError | None = None
    for target in METRICS_OF:
        if target not in targets:
            reasons |= dict.fromkeys(METRICS_OF[target], f"not looked at: devenv audit --target {target}")
            continue
        try:
            if target == "kubernetes":
                _require_cluster(context)
            outcome = run_smoketests(arguments, ["--devenv-target", target])
        except DevenvError as error:  # no smoke tests, no cluster: the rest can be measured all the same
            reasons |= dict.fromkeys(METRICS_OF[target], error.message)
            continue
        if outcome.exit_code == EXIT_INTERRUPTED:
            return EXIT_INTERRUPTED
        failure = outcome.error()
        if failure is not None and outcome.report is None:
            reasons |= dict.fromkeys(METRICS_OF[target], failure.message)
        elif failure is not None and outcome.verdict is not Verdict.PASSED:
            broken = broken or failure
        reasons |= reasons_of(outcome.report, target)
        measured += outcome.measurements
    if "compose" in targets:
        if not {"cached_build", "build_improvement"} <= _families(measured):
            measured += _builds(context)
        measured += _gates(arguments, context, reasons)
    measured += from_deployments(measured, project, budgets, reasons)
    metrics = audit(measured, budgets, reasons)
    _show(arguments, context, metrics, targets, project)
    verdict = worst(item.verdict for item in metrics)
    if verdict in (Verdict.FAILED, Verdict.ERROR) or broken is not None:
        raise broken or DevenvError("a success metric is not met", "The table says which.")
    if verdict is Verdict.INCONCLUSIVE:
        raise Inconclusive("not every success metric was measured", "The table says which, and why.")
    return EXIT_OK


def _show(
    arguments: Namespace, context: Context, metrics: Sequence[Measurement], targets: Sequence[str], project: str
) -> None:
    every = [*metrics, *newest(project, this_machine().id)]  # the last load test's too
    lines = table((*HEAD, "TASK"), [(*measurement_row(item, None), _task(item)) for item in every])
    sys.stdout.write("\n".join(["", "Success metrics", *lines]) + "\n")
    sys.stdout.flush()
    summary = context.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        append(Path(summary), "\n".join(["## Success metrics", "", *markdown_table(every)]) + "\n")
    if arguments.markdown:
        page = Path(arguments.markdown)
        commit = commit_of(context.config.root or context.start)
        try:
            before = page.read_text("utf-8") if page.exists() else ""
            text = page_with(before, {target: _section(target, metrics, commit.id, commit.dirty) for target in targets})
            page.write_text(text, "utf-8")
        except OSError as error:
            raise DevenvError(f"{page} cannot be written: {error.strerror}", "The table is above.") from error


_INTRODUCTION: Final = """\
# The success metrics, measured

Written by `devenv audit --target all --markdown docs/AUDIT.md`; with `--target compose` or `--target kubernetes` only
that section is written anew. [VERIFY.md](VERIFY.md) says what each criterion is, [PERFORMANCE.md](PERFORMANCE.md) what
else is measured. A margin is what is left of the budget; a metric that could not be measured is inconclusive, and says
why.
"""
_TITLES: Final = {"compose": "Compose", "kubernetes": "Kubernetes"}


def page_with(before: str, sections: Mapping[str, str]) -> str:
    """Return the page where these sections, by target, take the place of the earlier ones."""
    kept = dict(re.findall(r"^## (\w+)\n+(.*?)\n*(?=^## |\Z)", before, re.M | re.S))
    kept |= {_TITLES[target]: text for target, text in sections.items()}
    parts = [f"## {title}\n\n{kept[title]}\n" for title in _TITLES.values() if title in kept]
    return "\n".join([_INTRODUCTION, *parts])


def _section(target: str, metrics: Sequence[Measurement], commit: str, dirty: bool) -> str:
    machine, now = this_machine(), datetime.now(UTC)
    own = [item for item in metrics if item.criterion.name.partition(".")[0] in METRICS_OF[target]]
    changed = " with changes" if dirty else ""
    about = (
        f"devenv {__version__}, commit {commit[:12] or 'unknown'}{changed}, {now:%Y-%m-%d}, "
        f"{machine.processor}, {machine.cores} cores, {human_bytes(machine.memory)}."
    )
    tasks = ("Task", "---", *map(_task, own))
    return "\n".join([about, "", *(f"{row} {task} |" for row, task in zip(markdown_table(own), tasks, strict=True))])


def _task(item: Measurement) -> str:
    return SUCCESS_METRICS.get(item.criterion.name.partition(".")[0], "")


def _require_cluster(context: Context) -> None:
    """Raise KubeError where none answers: pytest would say so too, but not in the table."""
    from devenv.backends.kube.client import KubeClient
    from devenv.backends.kube.kubeconfig import find_target

    client = KubeClient(find_target(context.config.kubernetes, context.environ), context.environ)
    try:
        client.get("/version")
    finally:
        client.close()


def _families(measured: Sequence[Measurement]) -> set[str]:
    return {item.criterion.name.partition(".")[0] for item in measured}


def _gates(arguments: Namespace, context: Context, reasons: dict[str, str]) -> list[Measurement]:
    """Run the gates of a pull request, without the cache of tasks, and return how long they took."""
    if not context.config.ci.jobs:
        reasons["pipeline"] = "devenv.toml has no [ci.jobs] (docs/CI_CD.md)"
        return []
    tell("devenv: the gates of a pull request, without the cache", no_color=arguments.no_color)
    line = [sys.executable, "-m", "devenv", "ci", "pr", "--no-cache", "--json"]
    try:
        done = subprocess.run(
            line,
            cwd=context.config.root,
            env=project_environment(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=GATES_WITHIN,
            check=False,
        )
        data = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        reasons["pipeline"] = f"devenv ci pr did not end within {GATES_WITHIN:.0f} s"
        return []
    except ValueError:
        reasons["pipeline"] = f"devenv ci pr ended with {done.returncode} before any gate did: it says above why"
        return []
    judged = gates(data, context.config.verify.budgets)
    _remember(context, "compose", [judged])
    return [judged]


def from_deployments(
    measured: Sequence[Measurement], project: str, budgets: Mapping[str, float], reasons: dict[str, str]
) -> list[Measurement]:
    """Return what deployments measured, from the history, unless this run has measured it too."""
    known = _families(measured) - {"pipeline"}  # the gates are one half of a pipeline, a deployment is the other
    deployed = [item for item in latest(History(), project, budgets) if item.criterion.name not in known]
    if not any(item.criterion.name == "deployment_success" for item in deployed):
        reasons["deployment_success"] = (
            "no deployment is in the history of this machine: devenv deploy OVERLAY --verify"
        )
    return deployed


def _builds(context: Context) -> list[Measurement]:
    environments = Environments(locate(context.start, context.config, context.environ), begin_run())
    try:
        measurements = time_builds(environments, context.config.verify.budgets)
    finally:
        environments.close()
    _remember(context, "compose", measurements)
    return measurements


def _remember(context: Context, target: str, measurements: Sequence[Measurement]) -> None:
    now = time.time()
    History().add(
        Report(
            run=uuid.uuid4().hex[:10],
            began=min((item.at for item in measurements), default=now),
            seconds=sum(item.value or 0.0 for item in measurements if item.criterion.unit == "s"),
            project=context.project().name,
            target=target,
            isolated=True,
            machine=this_machine(),
            commit=commit_of(context.config.root or context.start),
            measurements=tuple(measurements),
            tests=(),
        )
    )
