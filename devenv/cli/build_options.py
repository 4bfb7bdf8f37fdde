"""The options of `devenv build` (docs/MONOREPO.md)."""

from __future__ import annotations

import argparse


def add_build_options(build: argparse.ArgumentParser) -> None:
    """Add them to the command."""
    build.add_argument("--no-cache", action="store_true", help="build all that is named, without the build cache")
    build.add_argument("--pull", action="store_true", help="build all that is named, with newer base images if any")
    build.add_argument(
        "--affected", action="store_true", help="only what changed since this branch left the main one, in Git"
    )
    build.add_argument("--since", metavar="REV", help="only what changed since a revision of Git")
    looking = build.add_mutually_exclusive_group()
    looking.add_argument("--dry-run", action="store_true", help="print the graph, what would be built, and why")
    looking.add_argument("--graph", choices=("text", "mermaid", "json"), help="print the graph of the services")
    looking.add_argument("--why", metavar="SERVICE", help="print what changed since the service was last built")
    build.add_argument("--json", action="store_true", help="print what was or would be done as JSON")
    build.add_argument("--summarize", metavar="FILE", help="write what was done as JSON to a file")
