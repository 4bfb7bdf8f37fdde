"""One process at a time on this machine: one deployment of an overlay, whatever the cluster allows; one watch."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devenv.core.errors import DevenvError, Refused


@contextmanager
def only_one(file: Path, what: str, doing: str = "deployed") -> Iterator[None]:
    """Hold the lock for the block; the system lets go of it when the process dies.

    Raises Refused while another process has it, and DevenvError where no such file can be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DevenvError(f"{file} cannot be written: {error.strerror}", "It keeps two processes apart.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.read(handle, 40).decode("ascii", "replace").strip()
            by = f" by process {other}" if other.isdecimal() else ""
            raise Refused(f"{what} is being {doing} already{by}", "Wait for it, or end it.") from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:  # no file, but a pipe
            raise DevenvError(f"{file} cannot be written: {error.strerror}", "Move it away.") from error
        try:
            yield
        finally:
            # Closing would not do: a child that another thread is just starting holds the file until it is replaced.
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)
