"""`devenv logs`: what the containers print. A terminal gets it without control characters, a pipe gets it as it is."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from argparse import Namespace
from contextlib import suppress

from devenv.backends.compose.failures import not_installed
from devenv.cli.console import colors_wanted, paint
from devenv.cli.context import Context
from devenv.control.failures import translate
from devenv.core.text import sanitize

PATIENCE = 2.0  # seconds from SIGINT to SIGTERM to SIGKILL
_CHUNK = 1 << 16  # bytes: a longer line is shown in pieces
_COLORS = ("cyan", "yellow", "green", "blue")


def run(arguments: Namespace) -> int:
    """Show logs until they end, or with --follow until ctrl-c."""
    context = Context(arguments)
    targets = tuple(arguments.services)
    project = context.project_with(targets)
    options = ["--no-color", "--tail", arguments.tail]
    options += ["--follow"] if arguments.follow else []
    options += ["--timestamps"] if arguments.timestamps else []
    command = context.options.command("logs", *options, *targets)
    sys.stdout.flush()
    is_terminal = sys.stdout.isatty()
    try:
        process = subprocess.Popen(
            command,
            cwd=context.options.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_terminal else None,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except OSError as error:
        raise not_installed(error) from error
    try:
        if process.stdout is not None:
            _copy_clean(process, colors_wanted(sys.stdout, no_color=context.no_color))
        _, complaint = process.communicate()
    except BaseException:
        _end(process)
        raise
    if process.returncode != 0 and _reader_has_left():
        raise BrokenPipeError  # docker exits with 255 then, and says nothing
    if process.returncode != 0:
        raise translate(complaint.decode("utf-8", "replace"), project)
    return 0


def _reader_has_left() -> bool:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))  # poll(2): the read end of a pipe was closed


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):  # it ended by itself in this moment
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):  # it does not listen, or something it started does not: harder
            process.communicate(timeout=PATIENCE)
            return


def _copy_clean(process: subprocess.Popen[bytes], colored: bool) -> None:
    assert process.stdout is not None  # PIPE was asked for
    colors: dict[str, str] = {}
    while line := process.stdout.readline(_CHUNK):
        name, bar, text = line.decode("utf-8", "replace").rstrip("\n").partition(" | ")
        if bar and len(name) < 100:
            color = colors.setdefault(name.strip(), _COLORS[len(colors) % len(_COLORS)])
            sys.stdout.write(f"{paint(sanitize(name) + ' |', color, colored)} {sanitize(text)}\n")
        else:
            sys.stdout.write(sanitize(line) + "\n")
        sys.stdout.flush()
