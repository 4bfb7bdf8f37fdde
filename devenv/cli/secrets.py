"""`devenv secrets`: check finds committed ones and never shows them; list says which an overlay needs."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from devenv.backends.compose import ComposeOptions, find_project, resolve
from devenv.cli.console import format_table
from devenv.cli.manifests import exit_code
from devenv.cli.options import read_settings
from devenv.core.errors import EXIT_OK, DevenvError, ProjectError
from devenv.core.settings import Config, current_folder
from devenv.core.text import sanitize
from devenv.manifests.check import Outside, load
from devenv.manifests.schemas import known_versions
from devenv.manifests.targets import choose_targets
from devenv.secrets import Need, SecretsReport, needed_secrets, search

SCHEMA = 1  # grows when a field changes its meaning or goes away; new fields do not count


def run(arguments: Namespace) -> int:
    """Run the command below `secrets`."""
    config = read_settings(arguments)
    return _check(arguments, config) if arguments.subcommand == "check" else _list(arguments, config)


def _check(arguments: Namespace, config: Config) -> int:
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
        return (), ()  # files were named, so files are meant
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
    found = f"{len(report.leaks)} found in {report.files} files and {report.images} images"
    return [*lines, f"{report.verdict}: {found}"]


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
