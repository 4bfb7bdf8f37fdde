"""Hot reload for development: a supervisor that starts a new worker when a source file changes.

Polling, because it works on every kind of mount and a dozen files cost next to nothing. Built on uvicorn's supervisor,
which differs in two ways: its poller misses added and deleted files and older time stamps, and it goes on for ever
without a worker after that was killed.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from pathlib import Path
from socket import socket

from uvicorn.config import Config
from uvicorn.supervisors.basereload import BaseReload

log = logging.getLogger("docshared.reload")

Snapshot = dict[Path, tuple[int, int]]


def snapshot(folder: Path) -> Snapshot:
    """Return modification time and size of every Python file below `folder`."""
    found: Snapshot = {}
    for path in folder.rglob("*.py"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # Editors replace a file by renaming another one: the next look finds it.
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


class Reloader(BaseReload):
    """Starts a new worker when a source file changes; `exit_code` is for the process after `run` has returned.

    A worker that ended by itself (a syntax error) waits for the next change. One that a signal killed (SIGKILL, out of
    memory) did not ask for an edit: the reloader ends too, so that the container's restart policy acts.
    """

    def __init__(
        self, config: Config, target: Callable[[list[socket] | None], None], sockets: list[socket], folder: Path
    ) -> None:
        super().__init__(config, target, sockets)
        self.reloader_name = "polling"
        self.exit_code = 0
        self._folder = folder
        # Before the first worker imports anything, so that an edit during its start counts too.
        self._seen = snapshot(folder)
        self._told = False

    def should_restart(self) -> list[Path] | None:
        """Wait one interval; return the files that changed, or end the loop when the worker was killed."""
        self.pause()
        now = snapshot(self._folder)
        changed = sorted({path for path, _ in now.items() ^ self._seen.items()})
        self._seen = now
        if changed:
            self._told = False
            return changed
        self._look_at_worker()
        return None

    def _look_at_worker(self) -> None:
        code = self.process.exitcode
        if code is None or self._told or self.should_exit.is_set():
            return
        if code < 0:
            log.error("worker killed", extra={"signal": signal.Signals(-code).name})
            self.exit_code = 128 - code  # as shells report a death by signal
            self.should_exit.set()
            return
        log.error("worker ended, waiting for a source change", extra={"exitcode": code})
        self._told = True
