"""A moment in a log that somebody wants to see: found as soon as the lines are there. Imported when first wanted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from textual.screen import Screen

from devenv.tui.widgets.log_view import LogView

if TYPE_CHECKING:
    from devenv.tui.screens.main import MainScreen

PATIENCE: Final = 10.0  # seconds in which lines may still come that are older than the moment


class Moment:
    """Puts the view on the newest line before `at`, again with each batch of lines until one is later."""

    def __init__(self, screen: Screen[None], view: LogView, key: str, at: float) -> None:
        self.key = key
        self._screen = screen
        self._view = view
        self._at = at
        self._until = time.monotonic() + PATIENCE
        self._told = False

    def look(self) -> bool:
        """Go there; False once there is nothing left to do."""
        lines = self._view.buffer.lines
        if lines and not self._view.seek(self._at):
            if not self._told:
                self._told = True
                text = "The log of that moment is not there any more; this is the oldest line that was read."
                self._screen.notify(text, severity="warning", markup=False)
            return False
        last = lines[-1].at if lines else None
        return time.monotonic() < self._until and (last is None or last <= self._at)


def service_row(screen: MainScreen, services: Sequence[str]) -> int | None:
    """Return the row of the last of these services that the table shows; of the selected one where none is named."""
    names = [row.identity.service for row in screen.table.rows]
    wanted = next((name for name in reversed(services) if name in names), "" if services else None)
    if wanted is None and screen.table.selected is not None:
        return names.index(screen.table.selected.identity.service)
    return names.index(wanted) if wanted else None


def show_log(screen: MainScreen, services: Sequence[str], at: float) -> bool:
    """Go to the service's log on that screen, at that time; False where the table has no such row."""
    index = service_row(screen, services)
    if index is None:
        return False
    screen.table.select(index)
    screen.action_logs()
    key = screen.table.rows[index].key
    screen.call_after_refresh(lambda: screen.await_moment(Moment(screen, screen.log_pane.view, key, at)))
    return True
