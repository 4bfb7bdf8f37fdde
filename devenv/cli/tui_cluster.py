"""`devenv tui` in a folder without a Compose project: the terminal on a cluster alone."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from devenv.backends.compose import ComposeOptions, NoComposeFile
from devenv.backends.kube.access import find_target
from devenv.backends.nothing import NoBackend
from devenv.cli.verify import start_live
from devenv.control.nothing import NoControl
from devenv.core.errors import ProjectError
from devenv.core.settings import current_folder, load_config
from devenv.tui.app import run as run_app
from devenv.tui.kube.connect import KubeConnector


def run_alone(arguments: Namespace, missing: NoComposeFile, verify_at_once: tuple[str, ...] | None = None) -> int:
    """Open it and return its exit code; with options of pytest in `verify_at_once` the smoke tests begin with it.

    Raises ProjectError where no cluster is chosen and the current context is not on the allow-list; BadKubeconfig.
    """
    environ = dict(os.environ)
    config = load_config(
        current_folder(),
        environ,
        file=Path(arguments.config) if arguments.config else None,
        read_only=arguments.read_only,
        context=arguments.context or "",
        namespace=arguments.namespace or "",
    )
    options = ComposeOptions(directory=str(current_folder()))
    connector = KubeConnector(config.kubernetes, environ, options, read_only=config.read_only)
    if not connector.wants():
        hint = f"{missing.hint} A cluster without a project is shown with: devenv --context NAME"
        raise ProjectError(missing.message, hint) from missing
    find_target(config.kubernetes, environ)  # a context that does not exist is told before the screen opens
    color = not arguments.no_color and not os.environ.get("NO_COLOR")
    hint = "Go to the folder of its Compose file, or name the file with -f."
    control = NoControl("There is no Compose project here", hint)
    return run_app(
        NoBackend(),
        control,
        title="no Compose project",
        color=color,
        verify=(lambda wish: start_live(arguments, wish)) if verify_at_once is not None else None,
        verify_at_once=verify_at_once,
        cluster=connector,
    )
