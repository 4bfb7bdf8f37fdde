"""`devenv start`: start containers that exist."""

from __future__ import annotations

from argparse import Namespace

from devenv.cli.change import run_verb
from devenv.cli.context import Context


def run(arguments: Namespace) -> int:
    """Start; DevenvError when a service has no container."""
    run_verb(Context(arguments, by_labels=True), "start", tuple(arguments.services))
    return 0
