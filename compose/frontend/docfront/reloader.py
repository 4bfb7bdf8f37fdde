"""Hot reload for development, on uvicorn's supervisor; two things differ from its own poller.

It sees every difference (an older time stamp after a restore, an added or deleted file), and a worker that was killed
ends the service.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from pathlib import Path
from socket import socket

from uvicorn.config import Config
from uvicorn.supervisors.basereload import BaseReload

logger = logging.getLogger("docfront.reloader")

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

    def should_restart(self) -> list[Path] | None:
        """Wait one interval; return the files that changed, or end the loop when the worker was killed."""
        self.pause()
        now = snapshot(self._folder)
        changed = sorted(path for path, _ in now.items() ^ self._seen.items())
        self._seen = now
        if changed:
            return list(dict.fromkeys(changed))
        code = self.process.exitcode
        if code is not None and code < 0 and not self.should_exit.is_set():
            logger.error("The worker was killed by %s; stopping, to be started again.", signal.Signals(-code).name)
            self.exit_code = 128 - code  # as shells report a death by signal
            self.should_exit.set()
        return None
