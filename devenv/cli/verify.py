"""`devenv verify`: the project's smoke tests, as `pytest smoketests` runs them."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from devenv.cli.context import project_environment, smoketests_of
from devenv.core.errors import EXIT_INTERRUPTED, UsageError
from devenv.core.stored import state_folder
from devenv.verify.live import RUNNING
from devenv.verify.runner import Outcome, run_tests


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
