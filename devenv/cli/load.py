"""`devenv load`: the path of Locust's plugin, reports made again, and the terminal on the screen of the load tests."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from devenv.core.errors import EXIT_OK

if TYPE_CHECKING:
    from devenv.load.live.rig import LoadRig


def run(arguments: Namespace) -> int:
    """Do what the verb says; raises DevenvError."""
    if arguments.load_verb == "tui":
        from devenv.cli.tui import run as open_terminal

        return open_terminal(arguments, load_at_once=True)
    if arguments.load_verb == "plugin":
        from devenv import load

        sys.stdout.write(f"{Path(load.__file__).with_name('locustfile.py')}\n")
        return EXIT_OK
    return _report(arguments)


def _report(arguments: Namespace) -> int:
    """Write the reports and print the text; raises DevenvError where there is no recording."""
    from devenv.load.ending import PAGE, write_reports
    from devenv.load.reports.text import terminal

    folder = Path(arguments.folder)
    report = write_reports(folder)
    if arguments.json:
        text = json.dumps(report.to_data(), indent=2, ensure_ascii=False)
    else:
        text = f"{terminal(report)}\n\nreport: {folder / PAGE}"
    sys.stdout.write(f"{text}\n")
    return EXIT_OK


def make_rig(arguments: Namespace) -> LoadRig:
    """Return what starts load tests of the project that the arguments mean; raises UsageError and ProjectError."""
    from devenv.cli.context import Context
    from devenv.cli.verify import project_environment
    from devenv.control.guard import Guard
    from devenv.load.live.rig import LoadRig

    context = Context(arguments)
    config = context.config
    guard = Guard(read_only=config.read_only, source="tui", kubernetes=config.kubernetes)
    root = config.root or Path(context.options.directory)
    return LoadRig(root, config.load, config.kubernetes, guard, project_environment(arguments))
