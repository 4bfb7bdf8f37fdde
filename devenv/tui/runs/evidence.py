"""Evidence of a run, on a screen of its own: as a live session would look, read-only, at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from devenv.core.model import Change
from devenv.core.state import Delta
from devenv.runs.evidence import ReadOnlyControl, ReplayBackend
from devenv.tui.compose_controller import ComposeController
from devenv.tui.feed import Feed
from devenv.tui.main_screen import MainScreen


class EvidenceScreen(MainScreen):
    """The main screen on recorded facts; q and Esc lead back to where it was opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "do('leave')", "back to the results", id="evidence.leave"),
    ]

    def __init__(self, backend: ReplayBackend, service: str, at: float) -> None:
        control = ReadOnlyControl()
        super().__init__(backend, control, backend.title, lambda screen: ComposeController(screen, control))
        self.handlers["leave"] = self._leave
        self.handlers["back"] = self._go_back
        self._shall_show = (service, at)
        self._feed = Feed((backend, control), self._deliver)

    def on_mount(self) -> None:
        """Bring all panes at once: the program is painted already."""
        self.call_after_refresh(self._open)

    async def _open(self) -> None:
        await self.furnish()
        self._feed.start()

    def on_unmount(self) -> None:
        """Nothing more is to be shown."""
        self._feed.stop()

    def _deliver(self, changes: list[Change]) -> None:
        self.call_later(self.take, changes)

    def take(self, changes: Sequence[Change]) -> Delta:
        """Show the records, and once the resources are there the log at the moment."""
        delta = super().take(changes)
        service, at = self._shall_show
        if service and self.show_log((service,), at):
            self._shall_show = ("", 0.0)
        return delta

    def _leave(self) -> None:
        self.app.pop_screen()

    def _go_back(self) -> None:
        """Take one step back; at the table, leave."""
        if self.focused is self.table and not self.filter.value and not self.has_class("detail-open"):
            self._leave()
        else:
            self.go_back()
