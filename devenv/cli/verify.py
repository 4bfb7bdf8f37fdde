"""`devenv verify`: the project's smoke tests, as `pytest smoketests` runs them."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devenv.backends.compose import NoComposeFile
from devenv.cli.context import Context
from devenv.core.errors import EXIT_INTERRUPTED, UsageError
from devenv.core.settings import current_folder, load_config
from devenv.core.stored import state_folder
from devenv.verify.live import RUNNING
from devenv.verify.runner import Outcome, run_tests, tests_folder

COMPOSE: Final = "compose"
KUBERNETES: Final = "kubernetes"

if TYPE_CHECKING:
    from devenv.verify.live import LiveRun, RunWish


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


def start_live(arguments: Namespace, wish: RunWish) -> LiveRun:
    """Start pytest beside this process, for the terminal to follow; raises DevenvError where nothing can be run."""
    from devenv.verify.live import LiveRun

    root, folder = _places(arguments)
    return LiveRun(folder, root, wish, project_environment(arguments))


def _places(arguments: Namespace) -> tuple[Path, Path]:
    """Return the project's root, where pytest starts, and the folder of its smoke tests.

    On Kubernetes a project needs no Compose file, and below a devenv.toml the tests may name it themselves. Raises
    NoComposeFile elsewhere, and UsageError.
    """
    try:
        context = Context(arguments)
    except NoComposeFile:
        config = load_config(current_folder(), project_environment(arguments))
        if getattr(arguments, "target", COMPOSE) != KUBERNETES and config.root is None:
            raise
        root = config.root or current_folder()
        return root, tests_folder(root, config.verify.tests)
    if context.options.project_directory and arguments.project_directory:
        raise UsageError("--project-directory is not possible here", "Set it in devenv.toml: [compose].")
    root = context.config.root or Path(context.options.directory)
    return root, tests_folder(root, context.config.verify.tests)


def run_smoketests(arguments: Namespace, options: list[str]) -> Outcome:
    """Run pytest on the project that the arguments mean."""
    root, folder = _places(arguments)
    if arguments.budget_scale is not None:
        options = [*options, "--devenv-budget-scale", str(arguments.budget_scale)]
    chosen = arguments.report_dir
    reports = Path(chosen).absolute() if chosen else state_folder() / "last-verify"
    try:
        (reports / "report.json").unlink(missing_ok=True)  # an old one must not be taken for this run's
    except OSError as error:
        raise UsageError(f"{reports / 'report.json'} cannot be replaced: {error.strerror}", "Move it away.") from error
    return run_tests(folder, root, options, reports, project_environment(arguments))


def project_environment(arguments: Namespace) -> dict[str, str]:
    """Return the environment in which another process finds the same project as these arguments do."""
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
    for name, value in (("DEVENV_CONTEXT", arguments.context), ("DEVENV_NAMESPACE", arguments.namespace)):
        if value:
            environ[name] = value
    if arguments.config:
        environ["DEVENV_CONFIG"] = str(Path(arguments.config).absolute())
    return environ
