"""`devenv tui`: the terminal interface. Compose resolves the project while Textual loads."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import termios
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from devenv.backends.compose import ComposeOptions, NoComposeFile, ProjectScope
from devenv.cli.context import Context, project_environment, smoketests_of
from devenv.cli.options import read_settings
from devenv.core.errors import DevenvError, ProjectError, UsageError
from devenv.core.masking import mask_by
from devenv.core.settings import FILE_NAME, Config, LogSettings, current_folder

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

    from devenv.backends.kube.kubeconfig import Target
    from devenv.control.commands import CommandControl
    from devenv.control.guard import Guard
    from devenv.control.kube.minikube import MinikubeControl
    from devenv.control.protocol import Place
    from devenv.load.runner import LoadRunner
    from devenv.runs.deployment import Deploys
    from devenv.tui.kube.session import Connector
    from devenv.verify.runner import LiveRun, RunOptions
    from devenv.watch.background import BackgroundWatch
    from devenv.watch.session import Session


class SettingsFile:
    """devenv.toml while the terminal is open: what is changed in it holds, and a mistake in it changes nothing."""

    def __init__(self, arguments: Namespace, config: Config, guard: Guard) -> None:
        self._arguments = arguments
        self._config = config
        self._guard = guard
        chosen = arguments.config or os.environ.get("DEVENV_CONFIG")
        self._path = Path(chosen) if chosen else (config.root or current_folder(arguments.files)) / FILE_NAME
        self._stamp = self._look()
        self._was_missing = self._stamp is None

    def changed(self) -> bool:
        """Whether the file is another one than at the last look; costs one stat."""
        stamp = self._look()
        just_gone, self._was_missing = stamp is None and not self._was_missing, stamp is None
        if just_gone or stamp == self._stamp:  # an editor may move the old one away before it writes the new one
            return False
        self._stamp = stamp
        return True

    def read(self) -> Config:
        """Read it again, and let the guard hold what it says; raises DevenvError, and then all stays as it was."""
        try:
            config = read_settings(self._arguments)
            _keys(self._arguments, config)
        except DevenvError:
            mask_by(self._config.mask)
            raise
        self._guard.take(config)
        self._config = config
        return config

    def _look(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def run(arguments: Namespace, verify_at_once: tuple[str, ...] | None = None, *, load_at_once: bool = False) -> int:
    """Open it and return its exit code; raises UsageError without a terminal.

    With options of pytest in `verify_at_once` the smoke tests begin with it; `load_at_once` begins on the load tests'
    screen. Without a Compose project it opens on the cluster alone, where one is chosen.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("The terminal interface needs a terminal", "For scripts there is: devenv status --json")
    code, place = _open(arguments, verify_at_once, load_at_once=load_at_once)
    while place is not None:
        arguments = _go_to(place, arguments)
        termios.tcflush(sys.stdin, termios.TCIFLUSH)  # keys that were typed until now were not for that project
        code, place = _open(arguments)
    return code


_OF_PROJECT = ("COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_ENV_FILES", "COMPOSE_PROJECT_NAME", "DEVENV_CONFIG")


def _go_to(place: Place, arguments: Namespace) -> Namespace:
    """Make this process one that was started there, and return its arguments."""
    if place.project is None:
        os.environ.pop("DOCKER_HOST", None)  # it comes before any context
        os.environ["DOCKER_CONTEXT"] = place.name
        return arguments
    for name in _OF_PROJECT:  # they are the other project's
        os.environ.pop(name, None)
    folder, files = Path(place.project.directory), place.project.files
    if not (files and folder.is_dir() and all(Path(file).is_file() for file in files)):
        folder, files = Path("/"), ()  # its labels tell of it, and no other project's file is found from there
    os.chdir(folder)
    there: dict[str, object] = {"files": files, "project_name": place.name, "profiles": (), "env_files": ()}
    beside = str(folder) if files and Path(files[0]).parent != folder else None
    there |= {"config": None, "project_directory": beside}
    return cast("Namespace", SimpleNamespace(**vars(arguments) | there))


def _open(
    arguments: Namespace, verify_at_once: tuple[str, ...] | None = None, *, load_at_once: bool = False
) -> tuple[int, Place | None]:
    """Open it once; return its exit code, and where it is to be opened next."""
    gc.disable()  # a fifth of the time to the first paint; the terminal enables it again once it is painted
    try:
        context = Context(arguments, by_labels=True)
    except NoComposeFile as error:
        if load_at_once or (verify_at_once is not None and arguments.target != "kubernetes"):
            raise
        return _run_alone(arguments, error, verify_at_once), None
    scope = ProjectScope(context.options, context.begin_resolve(), instead=context.by_labels, find=context.find_again)
    with ExitStack() as left:
        left.callback(scope.close)
        from devenv.backends.docker.backend import DockerBackend

        size_logs(context.config.logs)
        backend = DockerBackend(scope, context.environ, scope.inactive, scope.changed)
        backend.prefetch()
        from devenv.tui.first_paint import EarlyScreen

        folder = str(Path(context.options.directory, context.options.project_name))
        chosen = (*context.options.files, *context.options.profiles, *context.options.env_files)
        early = EarlyScreen(folder, (context.config.terminal.theme, *chosen), lambda: scope.latest)
        left.callback(early.close)
        if not arguments.no_color:
            in_cluster = _may_have_cluster(context)
            early.show(backend.glance, in_cluster=in_cluster, columns=context.config.terminal.columns)
        from devenv.control.actions import ComposeControl
        from devenv.control.guard import Guard
        from devenv.tui.app import run as run_app

        guard = Guard.of(context.config, "tui")
        control = ComposeControl(
            lambda: scope.options, lambda: scope.latest, guard, root=context.config.root, scope=scope
        )
        title = context.options.project_name or context.environ.get("COMPOSE_PROJECT_NAME") or context.start.name
        color = not arguments.no_color and not os.environ.get("NO_COLOR")
        cluster = _connector(context, guard)
        code = run_app(
            backend,
            control,
            title=title,
            color=color,
            verify=lambda chosen: _start_verify(arguments, chosen),
            verify_at_once=verify_at_once,
            load=lambda: _load_runner(context, guard),
            load_at_once=load_at_once,
            deploy=lambda: _deploys(arguments, context.config),
            watch=lambda: _watch(context, scope, guard),
            cluster=cluster,
            find_cluster=lambda: _connector(context, guard),
            find_minikube=lambda: _minikube(context.config, context.environ, guard),
            probe_paths=lambda: {one.service: one.path for one in context.config.verify.endpoints if one.path},
            settings=context.config.terminal,
            keys=_keys(arguments, context.config),
            settings_file=SettingsFile(arguments, context.config, guard),
            commands=context.config.commands,
            command_control=lambda: _command_control(guard, context.environ, context.options.directory),
            project=folder,
            early=early,
        )
        return code, control.next_place


def _keys(arguments: Namespace, config: Config) -> dict[str, str]:
    if config.keys or config.commands:
        from devenv.cli.keys import chosen_keys

        return chosen_keys(arguments, config)
    return {}


def _command_control(guard: Guard, environ: Mapping[str, str], folder: str) -> CommandControl:
    from devenv.control.commands import CommandControl

    return CommandControl(guard, environ, folder)


def _watch(context: Context, scope: ProjectScope, guard: Guard) -> BackgroundWatch:
    """Return the watch that a key begins; what it needs is imported then."""
    from devenv.watch.background import BackgroundWatch

    def open_session() -> AbstractContextManager[Session]:
        from devenv.cli.watch import watch_of_terminal

        return watch_of_terminal(context, scope.options, guard)

    def open_pods(target: Target) -> AbstractContextManager[Session]:
        from devenv.cli.watch import pod_watch_of_terminal

        return pod_watch_of_terminal(context, scope.options, guard, target)

    return BackgroundWatch(open_session, open_pods)


def _connector(context: Context, guard: Guard) -> Connector | None:
    """Return what connects to a cluster; None, and nothing is imported, where nothing tells of one."""
    if not _may_have_cluster(context):
        return None
    from devenv.tui.kube.connect import KubeConnector

    return KubeConnector(context.config.kubernetes, context.environ, context.options, guard)


def _minikube(config: Config, environ: Mapping[str, str], guard: Guard) -> MinikubeControl | None:
    """Return what acts on minikube's cluster; None, and nothing is imported, where it is not installed."""
    if shutil.which("minikube", path=environ.get("PATH", "")) is None:
        return None
    from devenv.control.kube.minikube import MinikubeControl

    return MinikubeControl(guard, environ, config.kubernetes)


def _may_have_cluster(context: Context) -> bool:
    settings, environ = context.config.kubernetes, context.environ
    files = [path for path in environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    files = files or [f"{environ.get('HOME', '')}/.kube/config"]
    in_cluster = bool(environ.get("KUBERNETES_SERVICE_HOST"))
    return bool(settings.context or in_cluster or any(Path(path).is_file() for path in files))


def size_logs(settings: LogSettings) -> None:
    """Let what `[logs]` says hold for the logs of this process."""
    if settings != LogSettings():
        from devenv.backends.docker.lines import LineAssembler
        from devenv.logs.buffer import LogBuffer

        LogBuffer.kept, LineAssembler.kept = settings.lines, settings.width


def _run_alone(arguments: Namespace, missing: NoComposeFile, verify_at_once: tuple[str, ...] | None = None) -> int:
    """Open it on a cluster alone and return its exit code; `verify_at_once` as for `run`.

    Where none is chosen and the current one is not on the allow-list, the contexts are offered. Raises ProjectError
    where there is none; BadKubeconfig.
    """
    from devenv.backends.kube.kubeconfig import find_target
    from devenv.backends.protocol import NoBackend
    from devenv.control.guard import Guard
    from devenv.control.protocol import NoControl
    from devenv.tui.app import run as run_app
    from devenv.tui.kube.connect import KubeConnector

    environ = dict(os.environ)
    config = read_settings(arguments)
    size_logs(config.logs)
    options = ComposeOptions(directory=str(current_folder()))
    guard = Guard.of(config, "tui")
    connector = KubeConnector(config.kubernetes, environ, options, guard, alone=True)
    if connector.wants():
        find_target(config.kubernetes, environ)  # a context that does not exist is reported before the screen opens
    elif verify_at_once is not None or not connector.contexts().all:
        hint = f"{missing.hint} A cluster without a project is shown with: devenv --context NAME"
        raise ProjectError(missing.message, hint) from missing
    color = not arguments.no_color and not os.environ.get("NO_COLOR")
    hint = "Go to the folder of its Compose file, or name the file with -f."
    control = NoControl("There is no Compose project here", hint)
    return run_app(
        NoBackend(),
        control,
        title="no Compose project",
        color=color,
        verify=(lambda chosen: _start_verify(arguments, chosen)) if verify_at_once is not None else None,
        verify_at_once=verify_at_once,
        deploy=lambda: _deploys(arguments, config),
        cluster=connector,
        find_minikube=lambda: _minikube(config, environ, guard),
        settings=config.terminal,
        keys=_keys(arguments, config),
        settings_file=SettingsFile(arguments, config, guard),
        commands=config.commands,
        command_control=lambda: _command_control(guard, environ, options.directory),
        project=options.directory,
    )


def _start_verify(arguments: Namespace, chosen: RunOptions) -> LiveRun:
    """Start pytest beside this process, for the terminal to follow; raises DevenvError where nothing can be run."""
    from devenv.verify.runner import LiveRun

    root, folder = smoketests_of(arguments)
    return LiveRun(folder, root, chosen, project_environment(arguments))


def _deploys(arguments: Namespace, config: Config) -> Deploys:
    """Return what deploys the project's overlays, each by `devenv deploy` in a process of its own."""
    from devenv.runs.deployment import Deploys
    from devenv.runs.identity import StreamedRun

    root = config.root or current_folder()
    environ = project_environment(arguments) | ({"DEVENV_READ_ONLY": "true"} if config.read_only else {})

    def start(words: Sequence[str]) -> StreamedRun:
        command = [sys.executable, "-m", "devenv", "deploy", *words, "--no-color"]
        return StreamedRun(command, root, environ, "the deployment")

    proof = "--verify" if config.verify.endpoints else "--wait"
    return Deploys(tuple(config.manifests.overlays), (proof, "--rollback-on-failure"), start)


def _load_runner(context: Context, guard: Guard) -> LoadRunner:
    """Return what starts load tests of the project."""
    from devenv.load.runner import LoadRunner

    config = context.config
    root = config.root or Path(context.options.directory)
    return LoadRunner(root, config.load, config.kubernetes, guard, project_environment(context.arguments))
