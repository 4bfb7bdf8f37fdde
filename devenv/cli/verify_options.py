"""What may be typed after `devenv verify`, `init`, `audit`, `history` and `evidence`."""

from __future__ import annotations

import argparse

from devenv.cli.options import add_project_options

_Commands = argparse._SubParsersAction  # argparse gives the type no public name


def add_verify_commands(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    verify = _command(commands, "verify", "prove that the environment works: run the smoke tests")
    _run_options(verify)
    verify.add_argument("-k", dest="expression", metavar="EXPR", help="only tests whose names match, as pytest's -k")
    verify.add_argument("--running", action="store_true", help="test what is up instead of an isolated copy")
    verify.add_argument("--keep", action="store_true", help="leave the isolated stacks up")
    verify.add_argument("--strict", action="store_true", help="what could not be measured is a failure too (exit 12)")
    verify.add_argument("--target", choices=("compose", "kubernetes", "all"), default="compose", help="what runs it")
    verify.add_argument(
        "--overlay", metavar="NAME|DIR", help="on Kubernetes, what is tested (default: devenv.toml's, or this folder)"
    )
    verify.add_argument(
        "--image", action="append", dest="images", metavar="NAME=IMAGE", help="on Kubernetes, use this image instead"
    )
    verify.add_argument("--ingress", metavar="URL", help="on Kubernetes, where the ingress controller is reached")
    verify.add_argument("--tui", action="store_true", help="run them in the terminal interface, and watch")
    init = _command(commands, "init", "write a devenv.toml and two smoke tests for the Compose project here")
    init.add_argument("--force", action="store_true", help="replace the files that exist, which are kept otherwise")
    audit = _command(commands, "audit", "measure every success metric, and print the table")
    _run_options(audit)
    history = _command(commands, "history", "show how criteria changed over the runs on this kind of machine")
    history.add_argument("criterion", nargs="?", metavar="CRITERION", help="only this one, with its values")
    history.add_argument("--json", action="store_true", help="as JSON")
    evidence = _command(commands, "evidence", "open what a run of smoke tests left, read-only and offline")
    evidence.add_argument("path", metavar="PATH", help="a .jsonl file, or the folder of a run")
    evidence.add_argument("--text", action="store_true", help="print it instead of opening the terminal interface")


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report-dir", metavar="DIR", help="where the reports go (default: the run's state folder)")
    parser.add_argument("--budget-scale", type=float, metavar="X", help="widen budgets in seconds X times")


def _command(commands: _Commands[argparse.ArgumentParser], name: str, what: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
    add_project_options(parser, "after_")
    return parser
