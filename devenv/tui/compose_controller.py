"""The main screen's controller for a Compose project: what its rows show, and what the keys do to its services."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.widget import Widget

from devenv.core.model import ConnectionState, Happening, Resource, Sample, State
from devenv.core.state import Delta
from devenv.tui.action_table import UserAction, makes_sense
from devenv.tui.board import Board
from devenv.tui.logs.buffers import LogShelf
from devenv.tui.main_screen import Handlers, MainScreen
from devenv.tui.rows import Row
from devenv.tui.shown import Part

if TYPE_CHECKING:
    from devenv.tui.dialogs import Command

OF_SERVICE = ("restart", "start", "stop", "up", "build")


class ComposeController:
    """`devenv.tui.main_screen.Controller` of one project."""

    bars: Sequence[Widget] = ()
    help_on: Sequence[tuple[str, type[Widget]]] = ()

    def __init__(self, screen: MainScreen) -> None:
        self._screen = screen
        self.board = Board(screen.store)
        self.shelf = LogShelf()
        ask = screen.changes.ask
        self.handlers: Handlers = {
            **{verb: partial(self.change, verb) for verb in OF_SERVICE},
            **{f"{verb}_all": partial(ask, verb) for verb in ("up", "restart", "stop", "build")},
            "down": partial(ask, "down"),
            "down_volumes": partial(ask, "down", volumes=True),
        }

    async def begin(self) -> None:
        """There is nothing more to bring."""

    def close(self) -> None:
        """There is nothing that would outlive the screen."""

    def change(self, verb: str) -> None:
        """Change the selected service."""
        resource = self._screen.selected
        if resource is not None and resource.service:
            self._screen.changes.ask(verb, (resource.service,))

    def offers(self, action: UserAction) -> bool:
        """Whether an action makes sense for the selection now."""
        if action.name in OF_SERVICE:
            resource = self._screen.selected
            return bool(resource and resource.service and makes_sense(action.name, resource))
        return action.name != "drop"

    def offers_depend_on(self) -> object:
        """Return what `offers` looks at."""
        resource = self._screen.selected
        return resource and (resource.service, resource.state)

    def commands(self) -> Iterator[Command]:
        """Everything is in the table of actions."""
        return iter(())

    def counted(self) -> Collection[Resource]:
        """Return what the header counts."""
        return self._screen.store.resources.values()

    def tell_bars(self, now: float) -> None:
        """There are none."""

    def took(self, delta: Delta) -> None:
        """There is nothing more to do."""

    def placeholder(self) -> str:
        """Return what an empty table says."""
        connection = self._screen.store.connection(self._screen.backend_name)
        if connection is None or connection.state is ConnectionState.CONNECTING:
            return "connecting…"
        if connection.state is ConnectionState.LIVE:
            return "nothing is declared or running here"
        return "nothing to show until the connection is back"

    def why_no_log(self, row: Row) -> str:
        """Return what an empty log says."""
        return "nothing was created yet, so there is no log" if row.absent else "no output yet"

    def measured(self, row: Row) -> Iterable[str]:
        """Return whose samples a row shows."""
        return (row.key,)

    def followed(self) -> Iterable[str]:
        """Return those that exist of the selected resource and of those that were selected before it."""
        return [key for key in self.shelf.keys if self.was_created(key)]

    def was_created(self, key: str) -> bool:
        """Whether there is something that may have written a log."""
        resource = self._screen.store.resource(key)
        return resource is not None and resource.state not in (State.ABSENT, State.PROVIDED)

    def changes_followed(self, delta: Delta) -> bool:
        """Whether something that is followed came or changed."""
        return any(resource.key in self.shelf.keys for resource in delta.updated)

    def cluster_place(self) -> None:
        """There is no cluster."""

    def describe(self, row: Row, delta: Delta | None) -> tuple[list[Part], list[Part]] | None:
        """Return its use and the text about it."""
        from devenv.tui.widgets.detail_text import describe, describe_use

        screen = self._screen
        resource = screen.store.resource(row.key)
        if resource is None or (delta is not None and not _touches(delta, row.key)):
            return None
        use = describe_use(resource, screen.store.sample(row.key), screen.board.history(row.key))
        text = describe(resource, screen.store.happenings(row.key), time.time()) + screen.verdicts.detail(resource)
        return use, text


def _touches(delta: Delta, key: str) -> bool:
    groups: tuple[Sequence[Resource | Sample | Happening], ...] = (delta.updated, delta.samples, delta.happenings)
    return any(item.key == key for group in groups for item in group)
