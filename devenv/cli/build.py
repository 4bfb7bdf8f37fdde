"""`devenv build`: build the images whose content changed, and say why (docs/MONOREPO.md)."""

from __future__ import annotations

import time
from argparse import Namespace

from devenv.cli.context import Context


def run(arguments: Namespace) -> int:
    """Build; a failure shows the step, its last lines and the line of the Dockerfile."""
    began = time.monotonic()
    context = Context(arguments)
    pending = context.begin_resolve()
    from devenv.cli.build_call import carry_out  # deferred: imported while Compose resolves the project

    return carry_out(context, arguments, pending, began)
