"""What may be typed after `devenv load`."""

from __future__ import annotations

import argparse

from devenv.cli.options import add_project_options

_Commands = argparse._SubParsersAction  # argparse gives the type no public name


def add_load_command(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    description = (
        "Load tests run with Locust, as `locust -f loadtests`, and devenv's plugin; here their reports are made again "
        "from the recording, and the terminal runs and follows them."
    )
    load = commands.add_parser("load", help="reports of load tests", description=description, allow_abbrev=False)
    add_project_options(load, "after_")
    verbs = load.add_subparsers(dest="load_verb", metavar="VERB", required=True)
    report = verbs.add_parser("report", help="write the HTML, Markdown and JSON report of a recording again")
    report.add_argument("folder", metavar="DIR", help="the folder of the recording, with run.json in it")
    report.add_argument("--json", action="store_true", help="print the report as JSON")
    what = "print the path of the plugin, for `locust -f locustfile.py,$(devenv load plugin)`"
    verbs.add_parser("plugin", help=what, description=f"{what[0].upper()}{what[1:]}.")
    verbs.add_parser("tui", help="open the terminal on the load tests: run one, follow one that goes on, earlier ones")
