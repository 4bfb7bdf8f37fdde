"""Hot reload for development: a supervisor that starts a new worker when a source file changes.

Polling, because it works on every kind of mount and a dozen files cost next to nothing. Built on uvicorn's supervisor,
which differs in two ways: its poller misses added and deleted files, and it goes on for ever without a worker after
that was killed. A worker that ended by itself is left alone: its source is broken and the next change may mend it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from pathlib import Path

from uvicorn.config import Config
from uvicorn.supervisors.basereload import BaseReload

log = logging.getLogger("docindexer.reload")

Snapshot = dict[Path, tuple[int, int]]


def bind(config: Config) -> socket.socket:
    """Return the listening socket; ends the process with 3 when the port is taken.

    Its connections send at once (TCP_NODELAY). asyncio sets that only where a socket names its protocol, and uvicorn's
    does not: the body of an answer, written after its head, waits for that to be acknowledged (40 ms, measured).
    """
    listener = config.bind_socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class Reloader(BaseReload):
    """Watches the .py files under `folder`; raises SystemExit(128 + signal) when a signal ended the worker."""

    def __init__(
        self,
        config: Config,
        target: Callable[[list[socket.socket] | None], None],
        sockets: list[socket.socket],
        folder: Path,
    ) -> None:
        super().__init__(config, target, sockets)
        self.reloader_name = "polling"
        self._folder = folder
        # Taken before the worker imports anything: a change made while it starts is a difference too.
        self._seen = self._snapshot()
        self._told = False

    def should_restart(self) -> list[Path] | None:
        """Wait one interval, then return what changed (called in a loop by BaseReload.run)."""
        self.pause()
        now = self._snapshot()
        changed = [path for path in now.keys() | self._seen.keys() if now.get(path) != self._seen.get(path)]
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
            # The container's restart policy brings everything back, as it would without reload.
            log.error("worker killed", extra={"signal": -code})
            raise SystemExit(128 - code)
        log.error("worker ended, waiting for a source change", extra={"exitcode": code})
        self._told = True

    def _snapshot(self) -> Snapshot:
        found: Snapshot = {}
        for path in self._folder.rglob("*.py"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # an editor replaces files by renaming
            found[path] = (status.st_mtime_ns, status.st_size)
        return found
