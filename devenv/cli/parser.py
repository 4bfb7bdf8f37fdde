"""The command line: what may be typed, and what of it goes together. Imports nothing heavy.

Options of the project are accepted before and after the verb, as people type them for Compose.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from importlib import import_module
from typing import cast

from devenv import __version__
from devenv.cli.build_options import add_build_options
from devenv.cli.check_options import add_check_commands
from devenv.cli.deploy_options import add_deploy_command
from devenv.cli.kube_options import add_kube_commands
from devenv.cli.load_options import add_load_command
from devenv.cli.options import add_project_options, merge_options
from devenv.cli.rest_parser import RestParser
from devenv.cli.verify_options import add_verify_commands

_EPILOG = """Without a command, devenv opens the terminal interface (tui).

exit codes:
  0 done             1 failed              2 wrong command line or setting
  3 no engine        4 no permission       5 no or invalid project
  6 port taken       7 service failed      8 timed out
  9 tool missing    10 refused            11 findings
 12 inconclusive    13 no cluster        14 rolled back (deploy)
 70 fault in devenv 130 interrupted"""


def build_parser() -> argparse.ArgumentParser:
    """Describe the whole command line."""
    parser = argparse.ArgumentParser(
        prog="devenv",
        description="See a Docker Compose stack, change it safely, and wait until it works.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"devenv {__version__}")
    add_project_options(parser, "before_")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=RestParser)

    up = _command(commands, "up", "create and start the services", services=True)
    up.add_argument("--wait", action="store_true", help="wait until every service is ready or completed, and judge it")
    up.add_argument("--timeout", type=_seconds, metavar="S", help="seconds to wait at most (default 120; 0: no limit)")
    building = up.add_mutually_exclusive_group()
    building.add_argument("--build", action="store_true", help="build images first")
    building.add_argument("--no-build", action="store_true", help="never build an image")
    up.add_argument("--remove-orphans", action="store_true", help="remove containers of services that are gone")
    up.add_argument("-d", "--detach", action="store_true", help="accepted for habit: devenv always detaches")

    down = _command(commands, "down", "stop and remove containers and networks", services=True)
    down.add_argument(
        "-v", "--volumes", action="store_true", help="delete the volumes and all data in them; asks first"
    )
    down.add_argument("--yes", "-y", action="store_true", help="do not ask")
    down.add_argument("--remove-orphans", action="store_true", help="also containers of services that are gone")
    down.add_argument("-t", "--timeout", type=int, metavar="S", help="seconds until a container is killed")

    for verb, what in (("restart", "stop and start services"), ("stop", "stop services")):
        command = _command(commands, verb, what, services=True)
        command.add_argument("-t", "--timeout", type=int, metavar="S", help="seconds until a container is killed")
    _command(commands, "start", "start existing containers", services=True)

    add_build_options(_command(commands, "build", "build the images of services that changed", services=True))

    watch = _command(commands, "watch", "bring saved files into running containers, by develop.watch", services=True)
    starting = watch.add_mutually_exclusive_group()
    starting.add_argument("--up", action="store_true", help="create and start the services first")
    starting.add_argument("--wait", action="store_true", help="where no container runs, wait for one")
    watch.add_argument(
        "--probe",
        action="append",
        default=[],
        metavar="[SERVICE=]URL",
        help="show when this address serves the new content (default: [[verify.endpoint]] of devenv.toml)",
    )
    watch.add_argument("--poll", action="store_true", help="look for changes each second instead of waiting for events")
    watch.add_argument("--json", action="store_true", help="one JSON object an event (docs/WATCH.md)")

    logs = _command(commands, "logs", "show what the containers print", services=True, short_file=False)
    logs.add_argument("-f", "--follow", action="store_true", help="go on as more arrives")
    logs.add_argument("-n", "--tail", default="all", metavar="N", type=_lines, help="only the last N lines of each")
    logs.add_argument("-t", "--timestamps", action="store_true", help="show when each line was written")

    status = _command(commands, "status", "show every service and its containers")
    status.add_argument("--json", action="store_true", help="as JSON (docs/STATUS_JSON.md)")
    doctor = _command(commands, "doctor", "check this machine and project, with fixes")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    doctor.add_argument(
        "--clean", action="store_true", help="remove what dead runs of smoke tests left, and nothing else"
    )
    _command(commands, "tui", "open the terminal interface")
    plain = cast("argparse._SubParsersAction[argparse.ArgumentParser]", commands)
    add_check_commands(plain)
    add_verify_commands(plain)
    add_load_command(plain)
    add_deploy_command(plain)
    add_kube_commands(commands)
    for program in ("kubectl", "minikube"):
        what = f"any command of {program}, passed by the guard: it asks before something is taken away"
        commands.add_parser(program, help=what, add_help=False, allow_abbrev=False).takes_rest = True
    completion = _command(commands, "completion", "print the completion script of a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    return parser


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse, and merge what was given before and after the verb; argparse ends the program with 2 for wrong ones."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        import_module("devenv.cli.completion").complete(parser)
    return merge_options(parser.parse_args(arguments))


def _command(
    commands: argparse._SubParsersAction[RestParser],
    name: str,
    what: str,
    *,
    services: bool = False,
    short_file: bool = True,
) -> argparse.ArgumentParser:
    description = f"{what[0].upper()}{what[1:]}."
    parser = commands.add_parser(name, help=what, description=description, allow_abbrev=False)
    if services:
        action = parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these (default: all)")
        action.completer = _complete_services  # type: ignore[attr-defined]  # argcomplete's documented way
    add_project_options(parser, "after_", short_file=short_file)
    return parser


def _complete_services(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    names: list[str] = import_module("devenv.cli.completion").service_names(parsed_args)
    return names


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return seconds


def _lines(text: str) -> str:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of lines nor 'all'")
    return text
