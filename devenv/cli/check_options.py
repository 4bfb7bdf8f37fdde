"""What may be typed after `devenv manifests` and `devenv secrets`."""

from __future__ import annotations

import argparse

from devenv.cli.options import add_project_options

_Commands = argparse._SubParsersAction  # argparse gives the type no public name


def add_check_commands(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add both commands with their own commands below them."""
    manifests = _group(commands, "manifests", "check Kubernetes manifests, without a cluster")
    check = _command(manifests, "check", "render, validate and judge Kustomize folders")
    check.add_argument(
        "paths", nargs="*", metavar="PATH", help="Kustomize folder (default: the overlays of devenv.toml)"
    )
    _overlay(check)
    check.add_argument("--json", action="store_true", help="as JSON (docs/MANIFESTS.md)")
    check.add_argument("--sarif", metavar="FILE", help="also write the findings as SARIF 2.1.0")
    check.add_argument(
        "--kubernetes-version",
        action="append",
        dest="versions",
        metavar="V",
        help="a minor to validate against, 1.36; may be repeated (default: the last three that are known)",
    )
    check.add_argument("--no-compose", action="store_true", help="do not compare with the Compose project")
    rules = _command(manifests, "rules", "list the rules")
    rules.add_argument("--json", action="store_true", help="as JSON")
    rules.add_argument("--markdown", action="store_true", help="as Markdown")

    secrets = _group(commands, "secrets", "find committed secrets, list the needed ones")
    find = _command(secrets, "check", "look for secrets in manifests, Compose files, .env files and images")
    find.add_argument("paths", nargs="*", metavar="PATH", help="file or folder (default: the project's)")
    find.add_argument("--json", action="store_true", help="as JSON (docs/MANIFESTS.md)")
    find.add_argument("--image", action="append", dest="images", metavar="IMAGE", help="only these images")
    find.add_argument("--no-images", action="store_true", help="do not look into images")
    listing = _command(secrets, "list", "show which secrets an overlay needs, and which are there")
    _overlay(listing)
    listing.add_argument("--json", action="store_true", help="as JSON (docs/MANIFESTS.md)")


def _group(commands: _Commands[argparse.ArgumentParser], name: str, what: str) -> _Commands[argparse.ArgumentParser]:
    parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
    return parser.add_subparsers(dest="subcommand", metavar="COMMAND", title="commands", required=True)


def _command(commands: _Commands[argparse.ArgumentParser], name: str, what: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
    add_project_options(parser, "after_")
    return parser


def _overlay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overlay", action="append", dest="overlays", metavar="X", help="only this one; may be repeated"
    )
