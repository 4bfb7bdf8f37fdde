"""`devenv restart`: stop and start the containers of services."""

from __future__ import annotations

from argparse import Namespace

from devenv.cli.change import run_verb
from devenv.cli.context import Context
from devenv.core.errors import DevenvError


def run(arguments: Namespace) -> int:
    """Restart; DevenvError when there is no container to restart, which Compose does not say."""
    context = Context(arguments, by_labels=True)
    options = () if arguments.timeout is None else ("--timeout", str(arguments.timeout))
    if run_verb(context, "restart", tuple(arguments.services), options) == 0:
        raise DevenvError("Nothing to restart: there are no containers", "Create them: devenv up")
    return 0
