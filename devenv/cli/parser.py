"""The command line: what may be typed, and what of it goes together. Imports nothing heavy.

Options of the project are accepted before and after the verb, as people type them for Compose.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

from devenv import __version__
from devenv.cli.help import GroupedHelp, complete_help
from devenv.cli.kube_parser import RestParser, add_kube_commands
from devenv.cli.monorepo_parser import (
    add_build_options,
    add_cache_commands,
    add_ci_commands,
    add_notify_options,
    add_release_options,
    add_run_options,
    add_scan_options,
)
from devenv.cli.options import (
    add_log_options,
    add_project_options,
    described,
    flag,
    lines_of_tail,
    merge_options,
    repeated,
    whole,
)

_Commands = argparse._SubParsersAction  # argparse gives the type no public name
_EPILOG = """Without a command, devenv opens the terminal interface (tui).

exit codes:
  0 done             1 failed              2 wrong command line or setting
  3 no engine        4 no permission       5 no or invalid project
  6 port taken       7 service failed      8 timed out
  9 tool missing    10 refused            11 findings
 12 inconclusive    13 no cluster        14 rolled back (deploy)
 70 fault in devenv 130 interrupted"""


_DEPLOY_EPILOG = """exit codes:
  0 succeeded (also: applied without --wait, or a dry run)
  7 failed, and left as it is       10 refused: the context, no confirmation, or another deployment runs
 11 the manifests have errors       12 inconclusive: it may work, but not everything could be checked
 13 no cluster                      14 failed and rolled back: the version before serves again"""


PASSED = {  # verbs that Compose carries out itself; a change passes the guard first (devenv.cli.change)
    "ps": "list containers",
    "top": "show the processes in the containers",
    "port": "print the public port of a container's port",
    "images": "list the images of the containers",
    "exec": "run a command in a running container",
    "cp": "copy files between a container and this machine",
    "kill": "send a signal to containers; names them and asks first",
    "pause": "pause services",
    "unpause": "resume paused services",
    "rm": "remove stopped containers; names them and asks first",
    "pull": "pull the images of services",
    "scale": "change the number of containers (SERVICE=N); asks before it removes any",
}


class _Undescribed(Exception):
    """What was typed is about more than the commands that were described."""


class _DescribedParser(argparse.ArgumentParser):
    """The parser of a command line of which only some commands are described: it neither helps nor judges."""

    def error(self, message: str) -> NoReturn:
        """Leave it to the whole parser."""
        raise _Undescribed(message)

    def print_help(self, file: object = None) -> NoReturn:
        """Leave it to the whole parser."""
        raise _Undescribed


class _TypedCommands(argparse._SubParsersAction):  # type: ignore[type-arg]  # generic in argparse's stub alone
    """Commands of which only those among `words` are described, if there are any: all take a tenth of a short call."""

    words: Collection[str] = ()

    def add_parser(self, name: str, **about: Any) -> Any:
        """Return the parser of a command; of one that nobody typed, something that takes descriptions."""
        return super().add_parser(name, **about) if not self.words or name in self.words else _NotTyped()


class _NotTyped:
    """Takes all descriptions of a command, and keeps none."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self


def build_parser(words: Collection[str] = ()) -> argparse.ArgumentParser:
    """Describe the whole command line; with `words`, only the commands among them."""
    parser = (_DescribedParser if words else argparse.ArgumentParser)(
        prog="devenv",
        description="See a Docker Compose stack, change it safely, and wait until it works.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=GroupedHelp,
    )
    parser.add_argument("--version", action="version", version=f"devenv {__version__}")
    add_project_options(parser, "before_")
    commands = parser.add_subparsers(
        action=_TypedCommands, dest="command", metavar="COMMAND", title="commands", parser_class=RestParser
    )
    assert isinstance(commands, _TypedCommands)
    commands.words = words

    up = _command(commands, "up", "create and start the services", services=True)
    flag(up, "--wait", help="wait until every service is ready or completed; if not, say why")
    up.add_argument("--timeout", type=_seconds, metavar="S", help="seconds to wait at most (default 120; 0: no limit)")
    building = up.add_mutually_exclusive_group()
    flag(building, "--build", help="build what changed, even if an image could be pulled")
    flag(building, "--no-build", help="use the images as they are, even if their sources changed")
    flag(up, "--remove-orphans", help="remove containers of services that are not in the files any more")
    flag(up, "-d", "--detach", help="accepted as in Compose; devenv always detaches")

    down = _command(commands, "down", "stop and remove containers and networks", services=True)
    flag(down, "-v", "--volumes", help="delete the volumes and all data in them; asks first")
    flag(down, "--all", help="also orphans, one-off runs and containers of inactive profiles")
    flag(down, "--yes", "-y", help="do not ask")
    flag(down, "--remove-orphans", help="also containers of services that are not in the files any more")
    down.add_argument("-t", "--timeout", type=int, metavar="S", help="seconds until a container is killed")

    for verb, what in (("restart", "stop and start services"), ("stop", "stop services")):
        command = _command(commands, verb, what, services=True)
        command.add_argument("-t", "--timeout", type=int, metavar="S", help="seconds until a container is killed")
    _command(commands, "start", "start existing containers", services=True)

    prune = _command(commands, "prune", "remove the project's leftovers: orphans, one-off runs, images; asks first")
    flag(prune, "-v", "--volumes", help="also unused volumes, with all data in them")
    flag(prune, "--dry-run", help="only show what it would free")
    flag(prune, "--yes", "-y", help="do not ask")

    add_build_options(_command(commands, "build", "build the images of services that changed", services=True))

    add_run_options(_command(commands, "run", "run tasks of devenv.toml; unchanged ones are replayed from the cache"))
    add_cache_commands(
        partial(_command, _group(commands, "cache", "show, remove, export or import the stored results of tasks"))
    )
    add_ci_commands(partial(_command, _group(commands, "ci", "run the gates of a pull request, as CI does")))
    add_scan_options(_command(commands, "scan", "look for known vulnerabilities in images and lock files"))
    add_release_options(
        _command(commands, "release", "write the image digests of a verified deployment into an overlay")
    )
    add_notify_options(_command(commands, "notify", "tell a Slack or Discord webhook how something ended"))

    watch = _command(commands, "watch", "bring saved files into running containers, by develop.watch", services=True)
    starting = watch.add_mutually_exclusive_group()
    flag(starting, "--up", help="create and start the services first")
    flag(starting, "--wait", help="if no container runs, wait for one")
    watch.add_argument(
        "--target",
        choices=("compose", "kubernetes"),
        default="compose",
        help="where the containers run (default: compose)",
    )
    watch.add_argument(
        "--probe",
        action="append",
        default=[],
        metavar="[SERVICE=]URL",
        help="show when this address serves the new content (default: [[verify.endpoint]] of devenv.toml)",
    )
    flag(watch, "--poll", help="look for changes every second instead of waiting for events")
    flag(watch, "--json", help="one JSON object per event (docs/WATCH.md)")

    logs = _command(commands, "logs", "show what the containers print", services=True, short_file=False)
    add_log_options(logs, "devenv logs --since 10m --level warn --grep '!health' web api | less")
    logs.add_argument(
        "-n", "--tail", default=-1, metavar="N", type=lines_of_tail, help="only the last N lines of each container"
    )
    flag(logs, "--previous", help="what a container printed before it was last started")
    flag(logs, "--all", help="also one-off containers, and those of services that are gone")

    status = _command(commands, "status", "show every service and its containers", services=True)
    output = status.add_mutually_exclusive_group()
    output.add_argument(
        "-o",
        "--output",
        choices=("json", "yaml", "wide"),
        help="json or yaml: docs/STATUS_JSON.md; wide: also ids and images, whatever the terminal's width",
    )
    output.add_argument("--json", action="store_const", const="json", dest="output", help="the same as -o json")
    flag(status, "-w", "--watch", help="show it again whenever something changes, until ctrl-c")
    doctor = _command(commands, "doctor", "check this machine and project, with fixes")
    doctor.add_argument("checks", nargs="*", metavar="CHECK", help="only these (default: all)")
    flag(doctor, "--list", help="list the checks with what each looks at, and run none")
    flag(doctor, "--json", help="as JSON")
    flag(doctor, "--fix", help="apply fixes that remove nothing; asks before each")
    flag(doctor, "--yes", "-y", help="with --fix, do not ask")
    flag(doctor, "--ci", help="list what the workflows need in GitHub's environments, and what is missing")
    flag(doctor, "--clean", help="remove what killed smoke test runs left behind, and check nothing")
    flag(doctor, "--self", help="show how much CPU and memory your open devenv terminals use")
    config = _command(commands, "config", "show the settings in effect here, and where each comes from")
    config.add_argument("keys", nargs="*", metavar="KEY", help="only these keys or tables, for example: kubernetes")
    flag(config, "--json", help="as JSON")
    flag(config, "--schema", help="print the JSON schema of devenv.toml, for editors")
    flag(config, "--reference", help="print every key with its possible values, as Markdown")
    _command(commands, "tui", "open the terminal interface")
    _add_check_commands(commands)
    _add_verify_commands(commands)
    _add_load_command(commands)
    _add_deploy_command(commands)
    add_kube_commands(commands)
    for verb, what in PASSED.items():
        more = f"{what} (docker compose {verb})"
        commands.add_parser(verb, help=more, add_help=False, allow_abbrev=False).takes_rest = True
    _command(commands, "keys", "print every key and command (docs/KEYS.md)")
    audit_log = _command(commands, "audit-log", "show every change: when, by whom, how it ended, how long it took")
    audit_log.add_argument("-n", "--tail", type=whole, default=50, metavar="N", help="the last N (default 50)")
    flag(audit_log, "--json", help="one JSON object per change")
    mcp = _command(commands, "mcp", "serve agents and editors by the Model Context Protocol on stdio (docs/MCP.md)")
    flag(mcp, "--allow-changes", help="also allow changes that need no confirmation")
    for program in ("kubectl", "minikube"):
        what = f"run {program} with the guard before it: it asks before anything is removed"
        commands.add_parser(program, help=what, add_help=False, allow_abbrev=False).takes_rest = True
    completion = _command(commands, "completion", "print the completion script of a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    complete_help(parser)
    return parser


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse, and merge what was given before and after the verb; argparse ends the program with 2 for wrong ones."""
    words = sys.argv[1:] if arguments is None else arguments
    if "_ARGCOMPLETE" in os.environ:
        import_module("devenv.cli.completion").complete(build_parser())
    try:
        parsed = build_parser(words).parse_args(words)
    except _Undescribed:
        parsed = build_parser().parse_args(words)
    return merge_options(parsed)


def _add_check_commands(commands: _Commands[RestParser]) -> None:
    """Add `manifests` and `secrets`, with their commands."""
    manifests = _group(commands, "manifests", "check Kubernetes manifests, without a cluster")
    check = _command(manifests, "check", "render Kustomize folders, validate them and apply the rules")
    check.add_argument(
        "paths", nargs="*", metavar="PATH", help="Kustomize folder (default: the overlays of devenv.toml)"
    )
    repeated(check, "--overlay", "overlays", "X", "only this one; may be repeated")
    flag(check, "--json", help="as JSON (docs/MANIFESTS.md)")
    check.add_argument("--sarif", metavar="FILE", help="also write the findings as SARIF 2.1.0")
    repeated(
        check,
        "--kubernetes-version",
        "versions",
        "V",
        "version to validate against, for example 1.36; may be repeated (default: the last three)",
    )
    flag(check, "--no-compose", help="do not compare with the Compose project")
    rules = _command(manifests, "rules", "list the rules")
    flag(rules, "--json", help="as JSON")
    flag(rules, "--markdown", help="as Markdown")

    secrets = _group(commands, "secrets", "find committed secrets, and list those that an overlay needs")
    find = _command(secrets, "check", "look for secrets in manifests, Compose files, .env files and images")
    find.add_argument("paths", nargs="*", metavar="PATH", help="file or folder (default: the project's)")
    flag(find, "--json", help="as JSON (docs/MANIFESTS.md)")
    repeated(find, "--image", "images", "IMAGE", "only these images")
    flag(find, "--no-images", help="do not look into images")
    listing = _command(secrets, "list", "show which Secrets an overlay needs, and what provides them")
    repeated(listing, "--overlay", "overlays", "X", "only this one; may be repeated")
    flag(listing, "--json", help="as JSON (docs/MANIFESTS.md)")


def _add_verify_commands(commands: _Commands[RestParser]) -> None:
    """Add the commands."""
    verify = _command(commands, "verify", "prove that the environment works: run the smoke tests")
    _run_options(verify)
    verify.add_argument("-k", dest="expression", metavar="EXPR", help="only tests whose names match, as in pytest -k")
    flag(verify, "--running", help="test what is up instead of an isolated copy")
    flag(verify, "--keep", help="keep the isolated copies running")
    flag(verify, "--strict", help="also fail when something could not be measured (exit code 12)")
    verify.add_argument(
        "--target",
        choices=("compose", "kubernetes", "all"),
        default="compose",
        help="where to run them (default: compose)",
    )
    verify.add_argument(
        "--overlay",
        metavar="NAME|DIR",
        help="on Kubernetes, the overlay to test (default: devenv.toml's, or this folder)",
    )
    repeated(verify, "--image", "images", "NAME=IMAGE", "on Kubernetes, use this image instead")
    verify.add_argument("--ingress", metavar="URL", help="on Kubernetes, the address of the ingress controller")
    flag(verify, "--tui", help="run them in the terminal interface")
    init = _command(commands, "init", "write a devenv.toml and two smoke tests for the Compose project here")
    flag(init, "--force", help="replace existing files")
    audit = _command(commands, "audit", "measure every success metric, and print the table")
    _run_options(audit)
    audit.add_argument(
        "--target",
        choices=("compose", "kubernetes", "all"),
        default="compose",
        help="where to measure (default: compose)",
    )
    audit.add_argument(
        "--markdown", metavar="FILE", help="also write this page; it keeps the sections of other targets"
    )
    history = _command(commands, "history", "show how criteria changed over the runs on this kind of machine")
    history.add_argument("criterion", nargs="?", metavar="CRITERION", help="only this one, with its values")
    flag(history, "--json", help="as JSON")
    evidence = _command(commands, "evidence", "open the evidence of a smoke test run, read-only and offline")
    evidence.add_argument("path", metavar="PATH", help="a .jsonl file, or the folder of a run")
    flag(evidence, "--text", help="print it instead of opening the terminal interface")


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report-dir", metavar="DIR", help="where the reports go (default: the run's state folder)")
    parser.add_argument("--budget-scale", type=float, metavar="X", help="multiply the budgets that are in seconds by X")


def _add_load_command(commands: _Commands[RestParser]) -> None:
    """Add the command."""
    description = (
        "Load tests run with Locust (`locust -f loadtests`) and devenv's plugin. These commands write their reports "
        "again and open them in the terminal interface."
    )
    load = described(commands, "load", "reports of load tests", description=description)
    add_project_options(load, "after_")
    verbs = load.add_subparsers(dest="load_verb", metavar="VERB", required=True)
    report = verbs.add_parser("report", help="write the HTML, Markdown and JSON report of a recording again")
    report.add_argument("folder", metavar="DIR", help="the folder of the recording, with run.json in it")
    flag(report, "--json", help="print the report as JSON")
    what = "print the path of the plugin, for `locust -f locustfile.py,$(devenv load plugin)`"
    described(verbs, "plugin", what)
    verbs.add_parser("tui", help="open the load tests in the terminal interface")


def _add_deploy_command(commands: _Commands[RestParser]) -> None:
    """Add the command."""
    what = "apply an overlay to a cluster, wait, prove that it serves, roll back if not"
    deploy = described(
        *(commands, "deploy", what),
        description=f"{what[0].upper()}{what[1:]} (docs/DEPLOY.md).",
        epilog=_DEPLOY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    deploy.add_argument("overlay", metavar="OVERLAY", help="its name in devenv.toml, or its folder")
    flag(deploy, "--wait", help="wait until it is rolled out or has failed")
    flag(deploy, "--verify", help="wait, then check endpoints, image digests and data")
    flag(deploy, "--rollback-on-failure", help="wait; if it fails, roll back and prove that the version before serves")
    flag(deploy, "--back", help="apply the revision before the last that this machine deployed; builds none")
    flag(deploy, "--dry-run", help="render, check and show the changes; change nothing")
    deploy.add_argument(
        "--timeout",
        type=partial(_seconds, above_0=True),
        default=180.0,
        metavar="S",
        help="seconds to wait (default 180)",
    )
    flag(deploy, "--no-build", help="do not build and load or push images")
    flag(deploy, "--push", help="push built images to the registry in their name")
    repeated(deploy, "--image", "images", "NAME=REF", "run this image instead; may be repeated")
    deploy.add_argument(
        "--build-metadata", metavar="FILE", help="run the digests in this file of docker buildx --metadata-file"
    )
    deploy.add_argument(
        "--available", metavar="URL", help="with --verify: request it 5 times a second meanwhile; none may fail"
    )
    flag(
        deploy,
        "--prune",
        help="wait, then delete what earlier deployments applied and the overlay lacks now; asks first",
    )
    flag(deploy, "--prune-data", help="with --prune, also volume claims and their data")
    flag(deploy, "--include-platform", help="also apply the administrator's objects (k8s/README.md)")
    flag(deploy, "--force-conflicts", help="take over fields that another manager owns")
    flag(deploy, "--yes", "-y", help="do not ask (devenv asks in contexts of [kubernetes] allow, and for --prune)")
    flag(deploy, "--json", help="the result as JSON (docs/DEPLOY.md)")
    flag(deploy, "--diff", help="print what changes as a diff")
    add_project_options(deploy, "after_")


def _command(
    commands: _Commands[RestParser],
    name: str,
    what: str,
    *,
    services: bool = False,
    short_file: bool = True,
) -> argparse.ArgumentParser:
    parser = described(commands, name, what)
    if services:
        parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these (default: all)")
    add_project_options(parser, "after_", short_file=short_file)
    return parser


def _group(commands: _Commands[RestParser], name: str, what: str) -> _Commands[RestParser]:
    parser = described(commands, name, what)
    return parser.add_subparsers(dest="subcommand", metavar="COMMAND", title="commands", required=True)


def _seconds(text: str, *, above_0: bool = False) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf") or (above_0 and not seconds):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds{' above 0' if above_0 else ', 0 or more'}"
        )
    return seconds
