"""What the backend is asked to watch: what is on screen and nothing else, and each wish is told only once."""

from __future__ import annotations

from collections.abc import Iterable

from devenv.backends.protocol import Backend


class Wanted:
    """Remembers what was asked for, so that asking for the same again costs nothing."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._stats: frozenset[str] = frozenset()
        self._logs: frozenset[str] = frozenset()
        self._detail: str | None = None

    def stats(self, keys: Iterable[str]) -> None:
        """Sample these resources."""
        wanted = frozenset(keys)
        if wanted != self._stats:
            self._stats = wanted
            self._backend.watch_stats(wanted)

    def logs(self, keys: Iterable[str]) -> None:
        """Follow these logs."""
        wanted = frozenset(keys)
        if wanted != self._logs:
            self._logs = wanted
            self._backend.follow_logs(wanted)

    def detail(self, key: str | None) -> None:
        """Keep the details of this resource fresh."""
        if key != self._detail:
            self._detail = key
            self._backend.watch_detail(key)
