"""The backend of a runtime that is not in use: it is there at once, and has nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from devenv.core.model import Change, Connection, ConnectionState


class NoBackend:
    """`Backend` that reads nothing."""

    def __init__(self) -> None:
        self._told: list[Change] = []

    @property
    def name(self) -> str:
        """A name that no runtime has."""
        return "nothing"

    def start(self, wake: Callable[[], None]) -> None:
        """Tell that there is nothing to wait for."""
        self._told = [Connection(self.name, ConnectionState.LIVE, since=time.time())]
        wake()

    def stop(self) -> None:
        """Do nothing."""

    def drain(self) -> list[Change]:
        """Return what was told by `start`, once."""
        told, self._told = self._told, []
        return told

    def watch_stats(self, keys: Collection[str]) -> None:
        """Do nothing."""

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None:
        """Do nothing."""

    def watch_detail(self, key: str | None) -> None:
        """Do nothing."""
