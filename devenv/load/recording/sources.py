"""What a recorder reads beside a backend, and the backend of a target that is only a URL."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from devenv.core.model import Change
from devenv.load.recording.told import Told


class Extra(Protocol):
    """A reader of facts that no backend tells; like a backend it never makes the recorder wait."""

    def start(self) -> None:
        """Begin to read."""
        ...

    def drain(self) -> list[Told]:
        """Take what was read."""
        ...

    def stop(self) -> None:
        """End within a second."""
        ...


class Nothing:
    """A backend that has nothing to tell."""

    name = "url"

    def start(self, wake: Callable[[], None]) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def drain(self) -> list[Change]:
        """Return nothing."""
        return []

    def watch_stats(self, keys: Collection[str]) -> None:
        """Do nothing."""

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None:
        """Do nothing."""

    def watch_detail(self, key: str | None) -> None:
        """Do nothing."""
