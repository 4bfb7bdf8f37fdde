"""`devenv scan` and `notify`: what a deployment's workflow calls beside `ci` and `deploy` (docs/CI_CD.md)."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from devenv.ci import scan
from devenv.ci.notify import VARIABLE, Message, Patience, Webhook
from devenv.cli.checks import exit_code, images_of_project, write_whole
from devenv.cli.console import format_table, tell, warn
from devenv.cli.options import read_settings
from devenv.control.deploy.images import uses_of
from devenv.core.errors import EXIT_OK, DevenvError, UsageError
from devenv.core.settings import Config, current_folder
from devenv.core.text import sanitize
from devenv.manifests.check import Outside, load
from devenv.manifests.schemas import known_versions
from devenv.manifests.targets import choose_targets


def run_scan(arguments: Namespace) -> int:
    """Scan, print what was found, and return the exit code of the verdict."""
    config = read_settings(arguments)
    root = config.root or current_folder()
    images, unchecked = _images(arguments, config, root)
    locks = () if arguments.images or arguments.overlays else config.scan.locks
    if not (images or locks or unchecked):
        raise UsageError(
            "There is nothing to scan: no image, no Compose project, no lock file",
            'Name an image, or write into devenv.toml: [scan] locks = ["requirements.lock"].',
        )
    report = scan.judge(scan.scan(images, locks, root), config.scan, datetime.now(UTC).date(), unchecked)
    if arguments.sarif:
        write_whole(Path(arguments.sarif), json.dumps(scan.to_sarif(report), indent=2) + "\n")
    if arguments.json:
        sys.stdout.write(json.dumps(scan.to_data(report), indent=2, ensure_ascii=False) + "\n")
    else:
        table = format_table(scan.HEAD, scan.rows(report)) if report.findings else []
        sys.stdout.write("\n".join([*table, *scan.remarks(report)]) + "\n")
    return exit_code(report.verdict)


def _images(arguments: Namespace, config: Config, root: Path) -> tuple[Sequence[str], Sequence[str]]:
    """Return the images that are named, those that overlays run, else the project's; and why some cannot be told."""
    if arguments.no_images:
        return (), ()
    if not (arguments.images or arguments.overlays):
        return images_of_project(arguments, config)
    images = list(arguments.images)
    if arguments.overlays:
        outside = Outside(root, config.manifests)
        for target in choose_targets((), arguments.overlays, config.manifests, current_folder()):
            rendered = load(target, known_versions()[-1:], outside).rendered
            if rendered.problems:
                raise UsageError(f"{target.name} cannot be rendered: {sanitize(rendered.problems[0].message)}")
            images += [use.image for use in uses_of([manifest.data for manifest in rendered.manifests])]
    return images, ()


def run_notify(arguments: Namespace) -> int:
    """Tell the webhook."""
    try:
        message, patience = _message(arguments, os.environ), Patience(timeout=arguments.timeout)
        webhook = Webhook(os.environ.get(VARIABLE, ""))
        webhook.send(message, patience)
    except DevenvError as error:
        if not arguments.ignore_errors:
            raise
        warn(f"Nobody was notified: {error.message}. {error.hint}", no_color=arguments.no_color)
        return EXIT_OK
    tell(f"{webhook.service} was told", no_color=arguments.no_color)
    return EXIT_OK


def _message(arguments: Namespace, environ: Mapping[str, str]) -> Message:
    for flag, value in (("--seconds", arguments.seconds), ("--timeout", arguments.timeout)):
        if value is not None and not (0 if flag == "--seconds" else 1e-3) <= value < float("inf"):
            raise UsageError(f"{flag} must be a number of seconds, not {value}")
    link = arguments.link or _run_of_github(environ)
    if link and urlsplit(link).scheme not in ("https", "http"):
        raise UsageError("--link must begin with https://", "For example the address of the run.")
    return Message(arguments.what, arguments.verdict, arguments.where, arguments.seconds, link)


def _run_of_github(environ: Mapping[str, str]) -> str:
    """Return the address of the run; https://docs.github.com/actions/reference/workflows-and-actions/variables."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environ.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
