"""The main screen's controller for a Compose project: what its rows show, and what the keys do to its services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.widget import Widget

from devenv.core.model import ConnectionState
from devenv.core.state import Delta
from devenv.tui.action_table import UserAction, makes_sense
from devenv.tui.main_screen import Handlers, MainScreen
from devenv.tui.table.lines import GroupKey, Row

if TYPE_CHECKING:
    from devenv.tui.dialogs import Command

OF_SERVICE = ("restart", "start", "stop", "up", "build")


class ComposeController:
    """`devenv.tui.main_screen.Controller` of one project."""

    bars: Sequence[Widget] = ()

    def __init__(self, screen: MainScreen) -> None:
        self._screen = screen
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

    def tell(self, delta: Delta | None, now: float) -> None:
        """There is nothing of its own to show."""

    def empty_text(self, row: Row | None) -> str:
        """Return what an empty table says, or the empty log of that row."""
        if row is not None:
            return "nothing was created yet, so there is no log" if row.absent else "no output yet"
        connection = self._screen.store.connection(self._screen.backend_name)
        if connection is None or connection.state is ConnectionState.CONNECTING:
            return "connecting…"
        if connection.state is ConnectionState.LIVE:
            return "nothing is declared or running here"
        return "nothing to show until the connection is back"

    def cluster_place(self) -> None:
        """There is no cluster."""

    def describe(self, group: GroupKey) -> None:
        """There is no service in both runtimes."""
