"""What may be typed after `devenv minikube`."""

from __future__ import annotations

import argparse

from devenv.cli.options import add_project_options
from devenv.cli.rest_parser import RestParser

_Commands = argparse._SubParsersAction  # argparse gives the type no public name
_EPILOG = """The profile is the one of --context (default: the current context, else "minikube").
What stands after -- goes to minikube itself: devenv minikube start -- --driver=docker --cpus=4

exit codes: 0 done, 1 minikube says why not, 9 minikube is not installed, 10 refused, 130 interrupted"""
_VERBS = {
    "start": "create or start the cluster, with its progress",
    "stop": "stop the cluster; nothing is lost",
    "pause": "freeze the cluster's containers",
    "unpause": "let a paused cluster go on",
    "delete": "delete the cluster with everything in it; asks first",
    "tunnel": "give LoadBalancer services an address until ctrl-c",
}


def add_minikube_commands(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add `minikube` with its commands."""
    what = "start, stop and delete a minikube cluster, its addons and images"
    top = commands.add_parser(
        "minikube",
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = top.add_subparsers(
        dest="subcommand", metavar="COMMAND", title="commands", required=True, parser_class=RestParser
    )
    for verb, about in _VERBS.items():
        parser = _command(group, verb, about)
        parser.takes_rest = True
        _planned(parser)
    addons = group.add_parser("addons", help="list, enable and disable addons", allow_abbrev=False)
    addon = addons.add_subparsers(dest="addons_command", metavar="COMMAND", title="commands", required=True)
    _command(addon, "list", "list the addons").add_argument("--json", action="store_true", help="as JSON")
    for verb in ("enable", "disable"):
        parser = _command(addon, verb, f"{verb} an addon")
        parser.add_argument("addon", metavar="ADDON", help="its name, as `addons list` shows it")
        _planned(parser)
    images = group.add_parser("image", help="load images into the cluster", allow_abbrev=False)
    image = images.add_subparsers(dest="image_command", metavar="COMMAND", title="commands", required=True)
    load = _command(image, "load", "load local images into the nodes (also kind and k3d, by the context)")
    load.add_argument("images", nargs="+", metavar="IMAGE", help="as the local engine names it")
    load.add_argument("--dry-run", action="store_true", help="only say what would be done")


def _planned(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show what it would do and change nothing")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


def _command(commands: _Commands[RestParser], name: str, what: str) -> RestParser:
    parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
    add_project_options(parser, "after_")
    return parser
