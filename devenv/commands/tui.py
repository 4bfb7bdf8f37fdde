"""`devenv tui`: the terminal interface. Compose resolves the project while Textual loads."""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace

from devenv.commands.context import Context
from devenv.errors import UsageError


def run(arguments: Namespace) -> int:
    """Open it and return its exit code; raises UsageError without a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("The terminal interface needs a terminal", "For scripts there is: devenv status --json")
    gc.disable()  # a fifth of the time to the first paint; the terminal enables it again once it is painted
    context = Context(arguments)
    pending = context.begin_resolve()
    try:
        from devenv.backends.compose import ProjectScope
        from devenv.backends.docker.backend import DockerBackend

        scope = ProjectScope(context.options, pending)
        backend = DockerBackend(scope, context.environ)
        backend.prefetch()
        from devenv.control.actions import ComposeControl
        from devenv.control.audit import AuditLog, default_path
        from devenv.control.guard import Guard
        from devenv.tui.app import run as run_app

        guard = Guard(AuditLog(default_path()), read_only=context.config.read_only, source="tui")
        control = ComposeControl(context.options, lambda: scope.latest, guard)
        title = context.options.project_name or context.environ.get("COMPOSE_PROJECT_NAME") or context.start.name
        color = not arguments.no_color and not os.environ.get("NO_COLOR")
        return run_app(backend, control, title=title, color=color)
    finally:
        pending.close()
