"""`devenv logs`: what the containers print. A terminal gets it without control characters, and nobody its secrets."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections import deque
from contextlib import suppress

from devenv.backends.compose.failures import not_installed, warnings_in
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.heartbeat import Heartbeat
from devenv.cli.console import colors_wanted, paint, warn
from devenv.cli.context import Context
from devenv.control.failures import translate
from devenv.core.masking import mask_secrets
from devenv.core.signals import held
from devenv.core.text import sanitize

PATIENCE = 2.0  # seconds from SIGINT to SIGTERM to SIGKILL
_COMPLAINTS_KEPT = 200  # lines: what a failure is translated from
_CHUNK = 1 << 16  # bytes: a longer line is shown in pieces
_COLORS = ("cyan", "yellow", "green", "blue")


def run(arguments: Namespace) -> int:
    """Show logs until they end, or with --follow until ctrl-c."""
    context = Context(arguments, by_labels=True)
    targets = tuple(arguments.services)
    project = context.project_with(targets)
    options = ["--no-color", "--tail", arguments.tail]
    options += ["--follow"] if arguments.follow else []
    options += ["--timestamps"] if arguments.timestamps else []
    command = context.options.for_project(project).command("logs", *options, *targets)
    endpoint = resolve_endpoint(context.environ)
    sys.stdout.flush()
    is_terminal = sys.stdout.isatty()
    with held() as release:
        try:
            process = subprocess.Popen(
                command,
                cwd=context.options.directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            raise not_installed(error) from error
        complaints = _Complaints(process, context.no_color)
        pulse = Heartbeat(
            endpoint,
            lambda text: warn(text, no_color=context.no_color),
            lambda: _kill(process),
            project=project.name,
            logs=frozenset(targets or (service.name for service in project.services)),
        )
        try:
            release()
            with pulse:
                if is_terminal:
                    _copy_clean(process, colors_wanted(sys.stdout, no_color=context.no_color))
                else:
                    _copy_masked(process)
                process.wait()
                said = complaints.end()
        except BaseException:
            _end(process)
            raise
    if pulse.error is not None:
        raise pulse.error
    if process.returncode != 0 and _reader_has_left():
        raise BrokenPipeError  # docker exits with 255 then, and says nothing
    if process.returncode != 0:
        raise translate(said, project)
    return 0


class _Complaints:
    """Reads what Compose writes to stderr as it comes, so that it never waits for us, and passes warnings on at once.

    A container whose logging driver keeps nothing is named by such a warning alone: Compose still ends with 0.
    """

    def __init__(self, process: subprocess.Popen[bytes], no_color: bool | None) -> None:
        assert process.stderr is not None  # PIPE was asked for
        self._stderr = process.stderr
        self._no_color = no_color
        self._kept: deque[str] = deque(maxlen=_COMPLAINTS_KEPT)
        self._reader = threading.Thread(target=self._read, name="devenv-logs-stderr", daemon=True)
        self._reader.start()

    def end(self) -> str:
        """Wait for the end of stderr and return its last lines, warnings left out."""
        self._reader.join()
        self._stderr.close()
        return "".join(self._kept)

    def _read(self) -> None:
        while line := self._stderr.readline(_CHUNK):
            text = line.decode("utf-8", "replace")
            warnings = warnings_in(text)
            for warning in warnings:
                warn(warning, no_color=self._no_color)
            if not warnings:
                self._kept.append(text)


def _reader_has_left() -> bool:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))  # poll(2): the read end of a pipe was closed


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdout is not None:
        process.stdout.close()  # what waits for us to read could not end otherwise
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):  # it ended by itself in this moment
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):  # it does not listen, or something it started does not: harder
            process.wait(PATIENCE)
            return


def _copy_masked(process: subprocess.Popen[bytes]) -> None:
    """Pass on what comes, byte by byte as it is but for its secrets."""
    assert process.stdout is not None  # PIPE was asked for
    while line := process.stdout.readline(_CHUNK):
        text = mask_secrets(line.decode("utf-8", "surrogateescape"))
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()


def _copy_clean(process: subprocess.Popen[bytes], colored: bool) -> None:
    assert process.stdout is not None  # PIPE was asked for
    colors: dict[str, str] = {}
    while line := process.stdout.readline(_CHUNK):
        name, bar, text = line.decode("utf-8", "replace").rstrip("\n").partition(" | ")
        if bar and len(name) < 100:
            color = colors.setdefault(name.strip(), _COLORS[len(colors) % len(_COLORS)])
            sys.stdout.write(f"{paint(sanitize(name) + ' |', color, colored)} {mask_secrets(sanitize(text))}\n")
        else:
            sys.stdout.write(mask_secrets(sanitize(line)) + "\n")
        sys.stdout.flush()
