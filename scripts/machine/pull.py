"""Pull an image with a bound on silence: a slow line is waited for, a registry that says nothing is given up."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from dataclasses import dataclass

# A registry whose name cannot be resolved fails at once; one that drops packets would hold a build for minutes.
STALL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Pull:
    """The end of a pull; `reason` is docker's last line, or ours when it was given up."""

    ok: bool
    reason: str = ""


def pull_image(name: str, stall_seconds: float = STALL_SECONDS) -> Pull:
    """Pull an image, giving up after `stall_seconds` in which docker reported no progress.

    docker runs on a pseudo-terminal of ours: without a terminal it prints nothing while a layer is on its way.
    """
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            ["docker", "pull", name],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    try:
        output, stalled = _read_until_silent(ours, stall_seconds)
        if not stalled:
            process.wait()
    finally:
        os.close(ours)
        _end(process)
    if stalled:
        return Pull(False, f"no progress within {stall_seconds:g} s")
    if process.returncode != 0:
        lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
        return Pull(False, lines[-1] if lines else f"docker pull ended with {process.returncode}")
    return Pull(True)


def _read_until_silent(terminal: int, stall_seconds: float) -> tuple[bytes, bool]:
    output = b""
    deadline = time.monotonic() + stall_seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([terminal], [], [], left)
        if not ready:
            break
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux says EIO when the last writer has gone
            chunk = b""
        if not chunk:
            return output, False
        output = (output + chunk)[-8192:]
        deadline = time.monotonic() + stall_seconds
    return output, True


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
