"""`devenv stop`: stop the containers of services, and keep them."""

from __future__ import annotations

from argparse import Namespace

from devenv.cli.change import run_verb
from devenv.cli.console import tell
from devenv.cli.context import Context


def run(arguments: Namespace) -> int:
    """Stop; it is no failure when nothing runs."""
    context = Context(arguments, by_labels=True)
    options = () if arguments.timeout is None else ("--timeout", str(arguments.timeout))
    if run_verb(context, "stop", tuple(arguments.services), options) == 0:
        tell("Nothing to stop: no container is running", no_color=context.no_color)
    return 0
