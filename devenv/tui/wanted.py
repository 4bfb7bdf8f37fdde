"""What the backend is asked to watch: what is on screen and nothing else, and each wish is told only once.

Before `begin` the wishes wait: a backend that follows logs connects, and the first paint would wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from devenv.backends.protocol import Backend


class Wanted:
    """Remembers what was asked for, so that asking for the same again costs nothing."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._begun = False
        self._stats: frozenset[str] = frozenset()
        self._logs: frozenset[str] = frozenset()
        self._detail: str | None = None

    def begin(self) -> None:
        """Tell what is wanted so far, and from now on at once; the backend runs."""
        self._begun = True
        if self._stats:
            self._backend.watch_stats(self._stats)
        if self._logs:
            self._backend.follow_logs(self._logs)
        if self._detail is not None:
            self._backend.watch_detail(self._detail)

    def stats(self, keys: Iterable[str]) -> None:
        """Sample these resources."""
        wanted = frozenset(keys)
        if wanted != self._stats:
            self._stats = wanted
            if self._begun:
                self._backend.watch_stats(wanted)

    def logs(self, keys: Iterable[str]) -> None:
        """Follow these logs."""
        wanted = frozenset(keys)
        if wanted != self._logs:
            self._logs = wanted
            if self._begun:
                self._backend.follow_logs(wanted)

    def detail(self, key: str | None) -> None:
        """Keep the details of this resource fresh."""
        if key != self._detail:
            self._detail = key
            if self._begun:
                self._backend.watch_detail(key)
