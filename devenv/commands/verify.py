"""`devenv verify`: the project's smoke tests, as `pytest smoketests` runs them."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from devenv.commands.context import Context
from devenv.errors import EXIT_INTERRUPTED, UsageError
from devenv.verify.runner import Outcome, run_tests, tests_folder
from devenv.verify.runs import state_folder


def run(arguments: Namespace) -> int:
    """Run them; raises DevenvError (1) when a test failed, Inconclusive (12) where --strict wants more."""
    options = ["--target", arguments.target]
    for flag in ("running", "keep", "strict"):
        if getattr(arguments, flag):
            options.append(f"--{flag}")
    if arguments.expression:
        options += ["-k", arguments.expression]
    outcome = run_smoketests(arguments, options)
    error = outcome.error()
    if error is not None and outcome.exit_code != EXIT_INTERRUPTED:
        raise error
    return outcome.exit_code


def run_smoketests(arguments: Namespace, options: list[str]) -> Outcome:
    """Run pytest on the project that the arguments mean."""
    context = Context(arguments)
    if context.options.project_directory and arguments.project_directory:
        raise UsageError("--project-directory is not possible here", "Set it in devenv.toml: [compose].")
    root = context.config.root or Path(context.options.directory)
    if arguments.budget_scale is not None:
        options = [*options, "--budget-scale", str(arguments.budget_scale)]
    folder = tests_folder(root, context.config.verify.tests)
    chosen = arguments.report_dir
    reports = Path(chosen).absolute() if chosen else state_folder() / "last-verify"
    (reports / "report.json").unlink(missing_ok=True)  # an old one must not be taken for this run's
    return run_tests(folder, root, options, reports, _environment(arguments))


def _environment(arguments: Namespace) -> dict[str, str]:
    """Return the environment in which pytest finds the same project as these arguments do."""
    environ = dict(os.environ)
    lists = {"COMPOSE_FILE": arguments.files, "COMPOSE_ENV_FILES": arguments.env_files}
    for name, values in lists.items():
        if values:
            separator = os.pathsep if name == "COMPOSE_FILE" else ","
            environ[name] = separator.join(str(Path(value).absolute()) for value in values)
    if arguments.profiles:
        environ["COMPOSE_PROFILES"] = ",".join(arguments.profiles)
    if arguments.project_name:
        environ["COMPOSE_PROJECT_NAME"] = arguments.project_name
    if arguments.config:
        environ["DEVENV_CONFIG"] = str(Path(arguments.config).absolute())
    return environ
