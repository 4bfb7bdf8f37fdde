"""What may be typed after `devenv build`, `run`, `cache` (docs/MONOREPO.md) and what workflows call (docs/CI_CD.md)."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_build_options(build: argparse.ArgumentParser) -> None:
    """Add them to the command."""
    build.add_argument("--no-cache", action="store_true", help="build all named services, without the build cache")
    build.add_argument("--pull", action="store_true", help="build all named services, with the newest base images")
    build.add_argument(
        "--affected", action="store_true", help="only what changed since this branch left the main branch"
    )
    build.add_argument("--since", metavar="REV", help="only what changed since this Git revision")
    looking = build.add_mutually_exclusive_group()
    looking.add_argument("--dry-run", action="store_true", help="print the graph, what would be built, and why")
    looking.add_argument("--graph", choices=("text", "mermaid", "json"), help="print the graph of the services")
    looking.add_argument("--why", metavar="SERVICE", help="print what changed since the service was last built")
    build.add_argument("--load", action="store_true", help="load the images into the cluster's nodes that lack them")
    build.add_argument("--json", action="store_true", help="print as JSON what was or would be done")
    build.add_argument("--summarize", metavar="FILE", help="write what was done to a file, as JSON")


def add_run_options(run: argparse.ArgumentParser) -> None:
    """Add them to `devenv run`."""
    run.add_argument("tasks", nargs="*", metavar="TASK", help="lint (in every package) or backend#lint (in one)")
    run.add_argument("--affected", action="store_true", help="only what changed since this branch left the main branch")
    run.add_argument("--since", metavar="REV", help="only what changed since this Git revision")
    run.add_argument("--parallel", type=_count, metavar="N", help="tasks at a time (default: number of processors)")
    run.add_argument(
        "--keep-going", "-k", action="store_true", help="after a failure, go on with tasks that do not depend on it"
    )
    how = run.add_mutually_exclusive_group()
    how.add_argument("--force", action="store_true", help="also run tasks whose result is stored")
    how.add_argument("--no-cache", action="store_true", help="use no stored results, and store none")
    run.add_argument("--dry-run", action="store_true", help="print what would be run, and why")
    run.add_argument(
        "--json", action="store_true", help="print as JSON what was or would be done; output goes to stderr"
    )


def add_cache_commands(cache: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the commands of `devenv cache`; `cache` makes one of a name and a text."""
    info = cache("info", "show where the stored results are, and how much space they take")
    info.add_argument("--json", action="store_true", help="as JSON")
    cache("clean", "remove all stored results")
    for name, what in (
        ("export", "copy the stored results to a folder"),
        ("import", "copy stored results from a folder"),
    ):
        cache(name, what).add_argument("folder", metavar="DIR", help="the folder, for example one that machines share")


def add_ci_commands(ci: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the commands of `devenv ci`; `ci` makes one of a name and a text."""
    for name, what in (
        ("list", "show the jobs and the graph of their tasks"),
        ("pr", "run all gates and print one table"),
    ):
        command = ci(name, what)
        command.add_argument(
            "--job", action="append", dest="jobs", metavar="NAME", help="only this one; may be repeated"
        )
        command.add_argument("--json", action="store_true", help="as JSON (docs/CI_CD.md)")
        if name == "pr":
            command.add_argument(
                "--parallel", type=_count, metavar="N", help="tasks at a time (default: number of processors)"
            )
            command.add_argument("--no-cache", action="store_true", help="use no stored results, and store none")
            command.add_argument("--junit", metavar="FILE", help="also write the results as JUnit XML")
            command.add_argument("--sarif", metavar="FILE", help="also write the lines that failed as SARIF 2.1.0")


def add_scan_options(scan: argparse.ArgumentParser) -> None:
    """Add them to `devenv scan`."""
    scan.add_argument(
        "images", nargs="*", metavar="IMAGE", help="only these (default: the project's images, and the lock files)"
    )
    scan.add_argument(
        "--overlay", action="append", dest="overlays", metavar="X", help="only the images that this overlay runs"
    )
    scan.add_argument("--no-images", action="store_true", help="only the lock files of devenv.toml")
    scan.add_argument("--json", action="store_true", help="as JSON (docs/SECURITY.md)")
    scan.add_argument("--sarif", metavar="FILE", help="also write the findings as SARIF 2.1.0")


def add_release_options(release: argparse.ArgumentParser) -> None:
    """Add them to `devenv release`."""
    release.add_argument("overlay", metavar="OVERLAY", help="the overlay to write: its name, or its folder")
    which = release.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--from", dest="source", metavar="OVERLAY", help="take the digests of this overlay's last verified deployment"
    )
    which.add_argument(
        "--image", action="append", dest="images", metavar="NAME=DIGEST", help="write this digest; may be repeated"
    )
    how = release.add_mutually_exclusive_group()
    how.add_argument("--stdout", action="store_true", help="print the kustomization instead of writing it")
    how.add_argument("--json", action="store_true", help="print as JSON what was released (docs/CI_CD.md)")
    release.add_argument("--dry-run", action="store_true", help="write nothing")


def add_notify_options(notify: argparse.ArgumentParser) -> None:
    """Add them to `devenv notify`."""
    notify.add_argument("what", metavar="WHAT", help='what ended, for example "deploy staging"')
    notify.add_argument(
        "--verdict", required=True, metavar="WORD", help="how it ended: passed, failed, or a job's result"
    )
    notify.add_argument("--where", default="", metavar="PLACE", help="where it ran, for example the cluster")
    notify.add_argument("--seconds", type=float, metavar="S", help="how long it took")
    notify.add_argument("--link", default="", metavar="URL", help="where to read more (default: the GitHub run)")
    notify.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds for one try (default 10)")
    notify.add_argument("--ignore-errors", action="store_true", help="only warn when it cannot be delivered")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return int(text)
