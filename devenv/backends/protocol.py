"""What the terminal and the commands may ask of any backend, whatever runtime it reads."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from devenv.core.model import Change


class Backend(Protocol):
    """A reader of one runtime: its threads put records into a bounded buffer, the owner drains it.

    No method blocks on the network: what is asked for arrives as records. All may be called from one thread only.
    """

    @property
    def name(self) -> str:
        """Which backend it is: "docker", later "kubernetes/<context>"."""
        ...

    def start(self, wake: Callable[[], None]) -> None:
        """Start the streams. `wake` is called from a backend's thread when an empty buffer gets its first record."""
        ...

    def stop(self) -> None:
        """Close all streams from outside and wait a short while (at most 1 s) for their threads."""
        ...

    def drain(self) -> list[Change]:
        """Take everything that arrived since the last call, in order."""
        ...

    def watch_stats(self, keys: Collection[str]) -> None:
        """Sample resource use of exactly these resources from now on (those that are on screen)."""
        ...

    def follow_logs(self, keys: Collection[str], tail: int = 500) -> None:
        """Follow the logs of exactly these resources from now on; one that is followed already goes on.

        A newly followed one begins with its last `tail` lines.
        """
        ...

    def watch_detail(self, key: str | None) -> None:
        """Keep the costly fields of this resource fresh (health checks with their output), of no other."""
        ...
