"""`devenv manifests`: check and rules. What is found goes to stdout; 11 says that something was found."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from devenv import __version__
from devenv.backends.compose import ComposeOptions, find_project
from devenv.cli.console import colors_wanted, paint
from devenv.cli.options import read_settings
from devenv.core.errors import EXIT_OK, DevenvError, FindingsFound, Inconclusive, UsageError
from devenv.core.settings import Config, current_folder
from devenv.manifests.check import Outside, check
from devenv.manifests.compose_side import read_services
from devenv.manifests.output import rules_markdown, to_data, to_text
from devenv.manifests.registry import all_rules
from devenv.manifests.sarif import to_sarif
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target, choose_targets


def run(arguments: Namespace) -> int:
    """Run the command below `manifests`."""
    if arguments.subcommand == "rules":
        return _rules(arguments)
    return _check(arguments, read_settings(arguments))


def _check(arguments: Namespace, config: Config) -> int:
    versions = choose_versions(tuple(arguments.versions or config.manifests.versions))
    paths = [Path(path) for path in arguments.paths]
    targets = choose_targets(paths, arguments.overlays or (), config.manifests, current_folder())
    report = check(targets, versions, _outside(arguments, config, targets))
    if arguments.sarif:
        _write(Path(arguments.sarif), json.dumps(to_sarif(report, all_rules(), __version__), indent=2) + "\n")
    if arguments.json:
        sys.stdout.write(json.dumps(to_data(report), indent=2, ensure_ascii=False) + "\n")
    else:
        colored = colors_wanted(sys.stdout, no_color=arguments.no_color)
        lines = to_text(report, lambda text, color: paint(text, color, colored))
        sys.stdout.write("\n".join(lines) + "\n")
    return exit_code(report.verdict)


def exit_code(verdict: str) -> int:
    """Return the documented exit code of a verdict."""
    return {"passed": EXIT_OK, "failed": FindingsFound.exit_code}.get(verdict, Inconclusive.exit_code)


def _outside(arguments: Namespace, config: Config, targets: Sequence[Target]) -> Outside:
    outside = Outside(config.root or current_folder(), config.manifests)
    ours = any(target.declared for target in targets)
    if arguments.no_compose or not ours or not (config.compose.files or arguments.files):
        return outside
    try:
        options = find_project(
            current_folder(arguments.files), ComposeOptions(files=arguments.files), os.environ, config
        )
        return Outside(outside.root, config.manifests, compose=read_services(options))
    except DevenvError as error:
        return Outside(outside.root, config.manifests, compose_error=error.message)


def _rules(arguments: Namespace) -> int:
    rules = all_rules()
    if arguments.markdown:
        sys.stdout.write(rules_markdown(rules.values()))
    elif arguments.json:
        keys = ("id", "subject", "severity", "reason", "fix", "source")
        rows = [
            {key: getattr(rule, key) for key in keys} | {"environments": sorted(rule.environments)}
            for rule in rules.values()
        ]
        sys.stdout.write(json.dumps({"schema": 1, "rules": rows}, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("".join(f"{rule.id:<26} {rule.severity.value:<8} {rule.reason}\n" for rule in rules.values()))
    return EXIT_OK


def _write(file: Path, text: str) -> None:
    """Write a whole file or nothing: a reader never finds half of one."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
