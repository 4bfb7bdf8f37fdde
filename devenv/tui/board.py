"""What the table shows: rows kept from one change to the next, so that a change rebuilds only what it touched."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from devenv.core.model import Resource
from devenv.core.state import Delta, Store
from devenv.tui import rows
from devenv.tui.rows import Identity, Row, Verdict

HISTORY_KEPT: Final = 30  # samples of one resource, for its sparkline


class Showing(Protocol):
    """What the main screen asks of a board."""

    filter_text: str
    verdict: Verdict

    def take(self, delta: Delta, now: float) -> None:
        """Bring the rows up to date."""
        ...

    def refresh(self, keys: Iterable[str], now: float) -> None:
        """Build the rows of these resources again."""
        ...

    @property
    def shown(self) -> Sequence[Row]:
        """The rows that pass the filter, in order."""
        ...

    def history(self, key: str) -> tuple[float, ...]:
        """The newest processor uses of that resource, oldest first."""
        ...


class Board:
    """The rows of the store's resources in the project's order, filtered by a text."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.filter_text = ""
        self._placed: list[tuple[Identity, Resource]] = []
        self._titles: dict[str, str] = {}
        self._rows: dict[str, Row] = {}
        self._history: dict[str, deque[float]] = {}
        self.rows_built = 0
        self.verdict: Verdict = lambda resource, now, running=(): rows.NO_VERDICT

    def take(self, delta: Delta, now: float) -> None:
        """Bring the rows up to date."""
        for sample in delta.samples:
            if sample.cpu is not None:
                self._history.setdefault(sample.key, deque(maxlen=HISTORY_KEPT)).append(sample.cpu)
        touched = {sample.key for sample in delta.samples} | {happening.key for happening in delta.happenings}
        if delta.updated or delta.removed:
            touched |= self._arrange()
            touched |= {resource.key for resource in delta.updated}
            for key in delta.removed:
                self._rows.pop(key, None)
                self._history.pop(key, None)
        self.refresh(touched, now)

    def _arrange(self) -> set[str]:
        self._placed = rows.arrange(self.store.resources.values())
        replicas = rows.count_replicas(self.store.resources.values())
        before = self._titles
        self._titles = {resource.key: rows.title(identity, resource, replicas) for identity, resource in self._placed}
        renamed = {key for key, title in self._titles.items() if before.get(key) != title}
        moved = {
            resource.key
            for identity, resource in self._placed
            if resource.key in self._rows and self._rows[resource.key].identity != identity
        }
        return renamed | moved

    def refresh(self, keys: Iterable[str], now: float) -> None:
        """Build the rows of these resources again; time alone may have changed them."""
        wanted = set(keys)
        for identity, resource in self._placed:
            key = resource.key
            if key in wanted:
                self.rows_built += 1
                known = (self._titles[key], self.store.sample(key), self.store.happenings(key), now)
                row = rows.build(identity, resource, *known, self.verdict(resource, now))
                if self._rows.get(key) != row:
                    self._rows[key] = row

    @property
    def shown(self) -> list[Row]:
        """The rows that pass the filter, in order."""
        return [
            self._rows[resource.key]
            for _, resource in self._placed
            if rows.matches(resource, self._rows[resource.key], self.filter_text)
        ]

    def history(self, key: str) -> tuple[float, ...]:
        """The newest processor uses of that resource, oldest first."""
        return tuple(self._history.get(key, ()))
