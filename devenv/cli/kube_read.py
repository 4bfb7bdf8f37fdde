"""What may be typed after `devenv kube` to read: contexts, events, logs."""

from __future__ import annotations

import argparse

from devenv.cli.options import add_project_options
from devenv.cli.rest_parser import RestParser

_Commands = argparse._SubParsersAction  # argparse gives the type no public name


def add_kube_read(commands: _Commands[RestParser]) -> None:
    """Add the reading commands; each names the module that does it."""
    listing = _command(commands, "contexts", "kube_contexts", "list the clusters of the kubeconfig and their state")
    listing.add_argument("--json", action="store_true", help="as JSON")

    events = _command(commands, "events", "kube_events", "show what happened, oldest first")
    events.add_argument("target", nargs="?", metavar="KIND/NAME", help="only what happened to this")
    events.add_argument("-A", "--all-namespaces", action="store_true", help="in all namespaces")
    events.add_argument("--warnings", action="store_true", help="only warnings")
    events.add_argument(
        "-w", "--watch", "-f", "--follow", dest="follow", action="store_true", help="go on as more happens"
    )
    events.add_argument("--json", action="store_true", help="one JSON object a line")

    logs = _command(commands, "logs", "kube_logs", "show what containers print, of a pod or of all pods of a workload")
    logs.add_argument("target", metavar="TARGET", help="POD or KIND/NAME")
    logs.add_argument("-c", "--container", default="", metavar="NAME", help="only this container")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as more arrives, also when pods are replaced")
    logs.add_argument("--tail", type=_lines, default=500, metavar="N", help="the last N lines of each container")
    logs.add_argument("-t", "--timestamps", action="store_true", help="show when each line was written")
    logs.add_argument("-p", "--previous", action="store_true", help="of the run before the present one")


def _command(commands: _Commands[RestParser], name: str, module: str, what: str) -> RestParser:
    description = f"{what[0].upper()}{what[1:]}."
    parser = commands.add_parser(name, help=what, description=description, allow_abbrev=False)
    parser.set_defaults(module=module)
    add_project_options(parser, "after_", cluster=True)
    return parser


def _lines(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)
