"""`devenv scan`, `release`, `notify`: what a deployment's workflow calls beside `ci` and `deploy` (docs/CI_CD.md)."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kubeconfig import find_target
from devenv.ci import release, scan
from devenv.ci.notify import VARIABLE, Message, Patience, Webhook
from devenv.cli.checks import exit_code, images_of_project, write_whole
from devenv.cli.console import format_table, tell, warn
from devenv.cli.deploy import find_overlay
from devenv.cli.options import read_settings
from devenv.cli.task_project import require_changes
from devenv.control.deploy.images import uses_of
from devenv.control.deploy.pipeline import REVISIONS
from devenv.control.deploy.record import DeploymentRecord, Revision, kept_revisions
from devenv.control.guard import Guard
from devenv.core.errors import EXIT_OK, DevenvError, UsageError
from devenv.core.settings import Config, current_folder
from devenv.core.stored import state_folder
from devenv.core.text import sanitize
from devenv.manifests.check import Outside, load
from devenv.manifests.kustomization import FILE_NAMES
from devenv.manifests.schemas import known_versions
from devenv.manifests.targets import Target, choose_targets
from devenv.verify.service_verdicts import ServiceVerdicts


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
    """Return the images that are named, those that overlays run, else the project's; and why some are not known."""
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


def run_release(arguments: Namespace) -> int:
    """Write digests that were verified into an overlay, or print it."""
    config = read_settings(arguments)
    if not (arguments.stdout or arguments.dry_run):
        require_changes(config, "release")
    asked = dict(release.parse_release(text) for text in arguments.images or ())
    target = find_overlay(arguments.overlay, config)
    file = next((target.folder / name for name in FILE_NAMES if (target.folder / name).is_file()), None)
    if file is None:
        raise UsageError(f"{target.folder} has no kustomization.yaml")
    kustomization = release.Kustomization(file)
    proofs = _proofs(arguments, config)
    chosen = release.choose(kustomization.images(), proofs, asked)
    text, released = kustomization.release(chosen)
    if not (arguments.stdout or arguments.dry_run):
        write_whole(file, text)
        Guard.of(config).note("release", overlay=target.name, digests={item.image: item.digest for item in released})
    if arguments.stdout:
        sys.stdout.write(text)
    elif arguments.json:
        images = [asdict(item) for item in released]
        data = {"schema": 1, "overlay": target.name, "written": not arguments.dry_run, "images": images}
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(format_table(release.HEAD, release.rows(released, time.time(), proofs))) + "\n")
    return EXIT_OK


def _proofs(arguments: Namespace, config: Config) -> list[release.Proof]:
    """Return what verified runs know: all of this machine; with --from, the last proven revision of that overlay."""
    state = state_folder()
    kept = [revision for revision in kept_revisions(state / REVISIONS) if revision.proven]
    if not arguments.source:
        return [*release.proofs_of(kept), *release.proofs_of_tests(ServiceVerdicts())]
    source = find_overlay(arguments.source, config)
    kept = [revision for revision in kept if revision.overlay == source.name]
    try:
        kept += filter(None, [_in_cluster(source, config, arguments)])
    except DevenvError as error:
        if not kept:
            raise
        warn(f"The cluster's record was not read: {error.message}", no_color=arguments.no_color)
    newest = max((one for one in kept if one.proven), key=lambda one: one.at, default=None)
    return list(release.proofs_of([newest] if newest else []))


def _in_cluster(source: Target, config: Config, arguments: Namespace) -> Revision | None:
    """Return what the cluster has recorded of an overlay; raises KubeError, and BadKubeconfig without a kubeconfig."""
    client = KubeClient(find_target(config.kubernetes, os.environ), os.environ)
    try:
        file = next((source.folder / name for name in FILE_NAMES if (source.folder / name).is_file()), None)
        namespace = arguments.namespace or (release.Kustomization(file).namespace if file else "")
        record = DeploymentRecord(client, namespace or client.target.namespace, source.name)
        revision = record.last()
        for note in record.notes:
            warn(note, no_color=arguments.no_color)
        return revision
    finally:
        client.close()


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
    tell(f"{webhook.service} has been notified", no_color=arguments.no_color)
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
