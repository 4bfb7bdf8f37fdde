"""`devenv build`: build the images of services."""

from __future__ import annotations

from argparse import Namespace

from devenv.cli.change import run_verb
from devenv.cli.console import tell
from devenv.cli.context import Context


def run(arguments: Namespace) -> int:
    """Build; a failure shows the step, its last lines and the line of the Dockerfile."""
    context = Context(arguments)
    flags = (("--no-cache", arguments.no_cache), ("--pull", arguments.pull))
    options = tuple(flag for flag, wanted in flags if wanted)
    if run_verb(context, "build", tuple(arguments.services), options) == 0:
        tell("Nothing to build: no service here has a build section", no_color=context.no_color)
    return 0
