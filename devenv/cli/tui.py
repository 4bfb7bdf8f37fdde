"""`devenv tui`: the terminal interface. Compose resolves the project while Textual loads."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from devenv.backends.compose import NoComposeFile
from devenv.cli.context import Context
from devenv.core.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from devenv.load.live.rig import LoadRig
    from devenv.tui.kube.session import Connector
    from devenv.verify.live import LiveRun, RunWish


def run(arguments: Namespace, verify_at_once: tuple[str, ...] | None = None, *, load_at_once: bool = False) -> int:
    """Open it and return its exit code; raises UsageError without a terminal.

    With options of pytest in `verify_at_once` the smoke tests begin with it; `load_at_once` begins on the load tests'
    screen. Without a Compose project it opens on the
    cluster alone, where one is chosen.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("The terminal interface needs a terminal", "For scripts there is: devenv status --json")
    gc.disable()  # a fifth of the time to the first paint; the terminal enables it again once it is painted
    try:
        context = Context(arguments)
    except NoComposeFile as error:
        if load_at_once or (verify_at_once is not None and arguments.target != "kubernetes"):
            raise
        from devenv.cli.tui_cluster import run_alone

        return run_alone(arguments, error, verify_at_once)
    pending = context.begin_resolve()
    try:
        from devenv.backends.compose import ProjectScope
        from devenv.backends.docker.backend import DockerBackend

        scope = ProjectScope(context.options, pending)
        backend = DockerBackend(scope, context.environ)
        backend.prefetch()
        from devenv.control.actions import ComposeControl
        from devenv.control.guard import Guard
        from devenv.tui.app import run as run_app

        guard = Guard(read_only=context.config.read_only, source="tui")
        control = ComposeControl(context.options, lambda: scope.latest, guard)
        title = context.options.project_name or context.environ.get("COMPOSE_PROJECT_NAME") or context.start.name
        color = not arguments.no_color and not os.environ.get("NO_COLOR")

        def launch(wish: RunWish) -> LiveRun:
            from devenv.cli.verify import start_live

            return start_live(arguments, wish)

        def rig() -> LoadRig:
            from devenv.cli.load import make_rig

            return make_rig(arguments)

        cluster = _connector(context)
        return run_app(
            backend,
            control,
            title=title,
            color=color,
            verify=launch,
            verify_at_once=verify_at_once,
            load=rig,
            load_at_once=load_at_once,
            cluster=cluster,
            find_cluster=lambda: _connector(context),
        )
    finally:
        pending.close()


def _connector(context: Context) -> Connector | None:
    """Return what connects to a cluster; None, and nothing is imported, where nothing tells of one."""
    settings, environ = context.config.kubernetes, context.environ
    files = [path for path in environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    files = files or [f"{environ.get('HOME', '')}/.kube/config"]
    in_cluster = bool(environ.get("KUBERNETES_SERVICE_HOST"))
    if not (settings.context or in_cluster or any(Path(path).is_file() for path in files)):
        return None
    from devenv.tui.kube.connect import KubeConnector

    return KubeConnector(settings, environ, context.options, read_only=context.config.read_only)
