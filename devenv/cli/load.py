"""`devenv load`: the path of Locust's plugin, reports made again, and the terminal on the screen of the load tests."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

from devenv.core.errors import EXIT_OK


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
    from devenv.load.report import terminal

    folder = Path(arguments.folder)
    report = write_reports(folder)
    if arguments.json:
        text = json.dumps(report.to_data(), indent=2, ensure_ascii=False)
    else:
        text = f"{terminal(report)}\n\nreport: {folder / PAGE}"
    sys.stdout.write(f"{text}\n")
    return EXIT_OK
