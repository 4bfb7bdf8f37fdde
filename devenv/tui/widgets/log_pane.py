"""The log with its title: whose it is, whether it follows, how much is not shown, and the search."""

from __future__ import annotations

from collections.abc import Iterator

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from devenv.tui.shown import shown
from devenv.tui.widgets.line import Line, Part
from devenv.tui.widgets.log_buffer import LogBuffer
from devenv.tui.widgets.log_view import LogView
from devenv.tui.widgets.prompt import Prompt


class LogPane(Vertical):
    """Title, log and, while somebody searches, a prompt."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = Line(classes="pane-title")
        self.view = LogView(id="logs")
        self.prompt = Prompt("search in the log, newest first", self.view, id="search")
        self._whose = ""
        self._keys_for = (True, False)

    def compose(self) -> ComposeResult:
        """Put the title above the log."""
        yield self.title
        yield self.view

    def on_mount(self) -> None:
        """Show the title before anything is selected."""
        self._tell()

    def show(self, name: str, buffer: LogBuffer, placeholder: str) -> None:
        """Show the log of another resource."""
        self._whose = name
        self.view.show(buffer, placeholder)
        self._tell()

    @on(LogView.Changed)
    def _tell(self) -> None:
        self.title.say(*self._parts())
        keys_for = (self.view.following, bool(self.view.search_text))
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.screen.refresh_bindings()

    def _parts(self) -> Iterator[Part]:
        view, buffer = self.view, self.view.buffer
        yield (" LOGS ", "bold")
        yield (f"{shown(self._whose)}  ", "bold $primary")
        if not view.following:
            yield ("‖ paused", "$warning")
            yield (f", {view.unseen:,} new (G follows)  " if view.unseen else " (G follows)  ", "$warning")
        elif buffer.lines:
            yield ("↓ following  ", "$quiet")
        if buffer.dropped:
            yield (f"▲ {buffer.dropped:,} dropped  ", "$warning")
        if buffer.first:
            yield (f"{buffer.first:,} older not kept  ", "$quiet")
        if view.search_text:
            where = f"line {view.current - buffer.first + 1:,}, " if view.current is not None else ""
            count = buffer.count(view.search_text)
            yield (f"/{shown(view.search_text)}: {where}{count:,} lines match  ", "$accent")
        if not view.wrapping:
            yield ("no wrap, ← → scroll  ", "$quiet")

    async def furnish(self) -> None:
        """Bring the prompt, hidden."""
        await self.mount(self.prompt)

    def stop_search(self) -> None:
        """End the search and forget its text."""
        self.prompt.value = ""
        self.prompt.display = False
        self.view.search("")

    @on(Input.Changed, "#search")
    def _search(self, event: Input.Changed) -> None:
        event.stop()
        self.view.search(event.value)
