"""`devenv manifests` and `devenv secrets`: what is found goes to stdout; 11 says that something was found."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from devenv import __version__
from devenv.backends.compose import ComposeOptions, find_project, resolve
from devenv.cli.console import colors_wanted, format_table, paint
from devenv.cli.options import read_settings
from devenv.core.errors import EXIT_OK, DevenvError, FindingsFound, Inconclusive, ProjectError, UsageError
from devenv.core.settings import Config, current_folder
from devenv.core.text import sanitize
from devenv.manifests.check import Outside, check, load, rules_markdown, to_data, to_sarif, to_text
from devenv.manifests.registry import all_rules
from devenv.manifests.rendering import read_services
from devenv.manifests.schemas import choose_versions, known_versions
from devenv.manifests.targets import Target, choose_targets
from devenv.secrets import Need, SecretsReport, needed_secrets, search


def run_manifests(arguments: Namespace) -> int:
    """Run the command below `manifests`."""
    if arguments.subcommand == "rules":
        return _rules(arguments)
    return _check_manifests(arguments, read_settings(arguments))


def _check_manifests(arguments: Namespace, config: Config) -> int:
    versions = choose_versions(tuple(arguments.versions or config.manifests.versions))
    paths = [Path(path) for path in arguments.paths]
    targets = choose_targets(paths, arguments.overlays or (), config.manifests, current_folder())
    report = check(targets, versions, _outside(arguments, config, targets))
    if arguments.sarif:
        write_whole(Path(arguments.sarif), json.dumps(to_sarif(report, all_rules(), __version__), indent=2) + "\n")
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


def write_whole(file: Path, text: str) -> None:
    """Write a whole file or nothing: a reader never finds half of one."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


SCHEMA = 1  # grows when a field changes its meaning or goes away; new fields do not count


def run_secrets(arguments: Namespace) -> int:
    """Run the command below `secrets`."""
    config = read_settings(arguments)
    return _check_secrets(arguments, config) if arguments.subcommand == "check" else _list(arguments, config)


def _check_secrets(arguments: Namespace, config: Config) -> int:
    root = config.root or current_folder()
    images, unchecked = _images(arguments, config)
    report = search([Path(path) for path in arguments.paths] or [root], images, root, unchecked)
    if arguments.json:
        data = {"schema": SCHEMA, "verdict": report.verdict, **asdict(report)}
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(report)) + "\n")
    return exit_code(report.verdict)


def _images(arguments: Namespace, config: Config) -> tuple[Sequence[str], tuple[str, ...]]:
    """Return the images to look into: those named, else those of the Compose project."""
    if arguments.no_images or arguments.images:
        return (() if arguments.no_images else tuple(dict.fromkeys(arguments.images))), ()
    if arguments.paths:
        return (), ()  # files were named: only they are searched
    return images_of_project(arguments, config)


def images_of_project(arguments: Namespace, config: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the images of the Compose project, and why they are not known; nothing of both without a project."""
    try:
        options = ComposeOptions(files=arguments.files, profiles=arguments.profiles)
        options = find_project(current_folder(), options, os.environ, config)
    except ProjectError:
        return (), ()  # no Compose project, no images of it
    try:
        project = resolve(options)
    except DevenvError as error:
        return (), (f"images were not checked: {error.message}",)
    names = (
        service.image or f"{project.name}-{service.name}"  # as Compose names what it builds
        for service in project.services
    )
    return tuple(dict.fromkeys(names)), ()


def _lines(report: SecretsReport) -> list[str]:
    lines = []
    for leak in report.leaks:
        where = f"{leak.file}:{leak.line}" if leak.line else leak.file
        lines.append(f"{sanitize(where)}: {sanitize(leak.name) or '(text)'} is {leak.what}: {leak.shown}")
        lines.append(f"    fix: {leak.fix}")
    lines += [f"note: {sanitize(note)}" for note in (*report.notes, *report.unchecked)]
    summary = f"{len(report.leaks)} found in {report.files} files and {report.images} images"
    return [*lines, f"{report.verdict}: {summary}"]


def _list(arguments: Namespace, config: Config) -> int:
    targets = choose_targets((), arguments.overlays or (), config.manifests, current_folder())
    outside = Outside(config.root or current_folder(), config.manifests)
    needs: list[Need] = []
    for target in targets:
        _, rendered, rendering, _ = load(target, known_versions()[-1:], outside)
        if rendered.problems:
            problem = rendered.problems[0]
            raise DevenvError(f"{target.name} cannot be rendered: {problem.message}", "Try: devenv manifests check")
        needs += needed_secrets(rendering)
    if arguments.json:
        sys.stdout.write(json.dumps({"schema": SCHEMA, "secrets": [asdict(need) for need in needs]}, indent=2) + "\n")
    else:
        rows = [tuple(map(sanitize, _row(need))) for need in needs]
        sys.stdout.write("\n".join(format_table(("OVERLAY", "SECRET", "KEYS", "USED BY", "PROVIDED BY"), rows)) + "\n")
    return EXIT_OK


def _row(need: Need) -> tuple[str, ...]:
    missing = "(optional)" if need.optional else "nothing here: it must be in the cluster before"
    used_by = ", ".join(need.used_by)
    return need.overlay, need.secret, ", ".join(need.keys) or "(all)", used_by, need.provided_by or missing
