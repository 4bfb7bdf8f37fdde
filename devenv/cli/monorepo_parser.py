"""What may be typed after `devenv build`, `run`, `cache` (docs/MONOREPO.md) and what workflows call (docs/CI_CD.md)."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from devenv.cli.options import flag, repeated, whole


def add_build_options(build: argparse.ArgumentParser) -> None:
    """Add them to the command."""
    flag(build, "--no-cache", help="build all named services, without the build cache")
    flag(build, "--pull", help="build all named services, with the newest base images")
    flag(build, "--affected", help="only what changed since this branch left the main branch")
    build.add_argument("--since", metavar="REV", help="only what changed since this Git revision")
    looking = build.add_mutually_exclusive_group()
    flag(looking, "--dry-run", help="print the graph, what would be built, and why")
    looking.add_argument("--graph", choices=("text", "mermaid", "json"), help="print the graph of the services")
    looking.add_argument("--why", metavar="SERVICE", help="print what changed since the service was last built")
    flag(build, "--load", help="load the images into the cluster's nodes that lack them")
    flag(build, "--json", help="print as JSON what was or would be done")
    build.add_argument("--summarize", metavar="FILE", help="write what was done to a file, as JSON")


def add_run_options(run: argparse.ArgumentParser) -> None:
    """Add them to `devenv run`."""
    run.add_argument("tasks", nargs="*", metavar="TASK", help="lint (in every package) or backend#lint (in one)")
    flag(run, "--affected", help="only what changed since this branch left the main branch")
    run.add_argument("--since", metavar="REV", help="only what changed since this Git revision")
    run.add_argument("--parallel", type=whole, metavar="N", help="tasks at a time (default: number of processors)")
    flag(run, "--keep-going", "-k", help="after a failure, go on with tasks that do not depend on it")
    how = run.add_mutually_exclusive_group()
    flag(how, "--force", help="also run tasks whose result is stored")
    flag(how, "--no-cache", help="use no stored results, and store none")
    flag(run, "--dry-run", help="print what would be run, and why")
    flag(run, "--json", help="print as JSON what was or would be done; output goes to stderr")


def add_cache_commands(cache: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the commands of `devenv cache`; `cache` makes one of a name and a text."""
    info = cache("info", "show where the stored results are, and how much space they take")
    flag(info, "--json", help="as JSON")
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
        repeated(command, "--job", "jobs", "NAME", "only this one; may be repeated")
        flag(command, "--json", help="as JSON (docs/CI_CD.md)")
        if name == "pr":
            command.add_argument(
                "--parallel", type=whole, metavar="N", help="tasks at a time (default: number of processors)"
            )
            flag(command, "--no-cache", help="use no stored results, and store none")
            command.add_argument("--junit", metavar="FILE", help="also write the results as JUnit XML")
            command.add_argument("--sarif", metavar="FILE", help="also write the lines that failed as SARIF 2.1.0")


def add_scan_options(scan: argparse.ArgumentParser) -> None:
    """Add them to `devenv scan`."""
    scan.add_argument(
        "images", nargs="*", metavar="IMAGE", help="only these (default: the project's images, and the lock files)"
    )
    repeated(scan, "--overlay", "overlays", "X", "only the images that this overlay runs")
    flag(scan, "--no-images", help="only the lock files of devenv.toml")
    flag(scan, "--json", help="as JSON (docs/SECURITY.md)")
    scan.add_argument("--sarif", metavar="FILE", help="also write the findings as SARIF 2.1.0")


def add_release_options(release: argparse.ArgumentParser) -> None:
    """Add them to `devenv release`."""
    release.add_argument("overlay", metavar="OVERLAY", help="the overlay to write: its name, or its folder")
    which = release.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--from", dest="source", metavar="OVERLAY", help="take the digests of this overlay's last verified deployment"
    )
    repeated(which, "--image", "images", "NAME=DIGEST", "write this digest; may be repeated")
    how = release.add_mutually_exclusive_group()
    flag(how, "--stdout", help="print the kustomization instead of writing it")
    flag(how, "--json", help="print as JSON what was released (docs/CI_CD.md)")
    flag(release, "--dry-run", help="write nothing")


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
    flag(notify, "--ignore-errors", help="only warn when it cannot be delivered")
