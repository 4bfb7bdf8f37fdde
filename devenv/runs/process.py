"""A run in the background: a program in a session of its own, which no key of this terminal reaches."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError
from devenv.core.stored import Unreadable, read_bytes
from devenv.core.text import sanitize
from devenv.runs.identity import is_alive

LAST_WORDS: Final = 4000  # characters of the program's own output that are told where it ended without a result
_children: list[subprocess.Popen[bytes]] = []  # a run may outlive whoever follows it: Python must not complain


class BackgroundRun:
    """One run. `output` is the file with what it prints; `owner` is the process where another one started it."""

    def __init__(self, output: Path, process: subprocess.Popen[bytes] | None = None, owner: str = "") -> None:
        self.owner = owner
        self._output = output
        self._process = process

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs, and where another process started it."""
        return self._process.poll() if self._process is not None else None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is none of this machine's."""
        return self._process.poll() is not None if self._process is not None else not is_alive(self.owner)

    def last_words(self) -> str:
        """Return the end of what it printed; "" where that went somewhere else."""
        try:
            return sanitize((read_bytes(self._output) or b"")[-LAST_WORDS:], newlines=True).strip()
        except Unreadable:
            return ""

    def _send(self, number: signal.Signals) -> None:
        """Signal its whole session; raises DevenvError where that is another user's."""
        if self.is_over:  # the number of a process that has ended may be another's by now
            return
        pid = int(self.owner.split("/")[2])
        try:
            if os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            return  # it has ended meanwhile, as was wanted
        except PermissionError as error:
            raise DevenvError(f"process {pid} cannot be stopped: it belongs to another user") from error


def start_process(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], output: Path, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a program that reads nothing and prints into a file; raises OSError where it cannot be started."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environ),
            pass_fds=tuple(pass_fds),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    _children[:] = [child for child in _children if child.poll() is None]  # one that ended is no process any more
    _children.append(process)
    return process
