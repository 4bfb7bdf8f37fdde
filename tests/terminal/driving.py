"""A terminal under test: keys in, what is on screen out; it waits for conditions, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual._context import visible_screen_stack
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from devenv.core.model import Resource
from devenv.tui.app import DevenvApp
from devenv.tui.main_screen import MainScreen
from devenv.tui.verdict_watch import VerdictWatch
from devenv.tui.widgets.line_table import LineTable
from tests.terminal.scripted import ScriptedBackend, ScriptedControl

LIMIT = 30.0  # seconds; a deadline for busy machines, not a budget


@dataclass
class Driver:
    app: DevenvApp
    pilot: Pilot[int]
    backend: ScriptedBackend
    control: ScriptedControl

    @property
    def main(self) -> MainScreen:
        return self.app.main

    @property
    def verdicts(self) -> VerdictWatch:
        """What keeps the table's verdicts; there after the first frame."""
        assert self.main.verdicts is not None
        return self.main.verdicts

    def knows_verdicts(self) -> bool:
        """Whether they were read once."""
        return self.main.verdicts is not None and self.main.verdicts.known is not None

    def lines(self) -> list[str]:
        """What is on screen now, one text a line."""
        # As the app itself draws: with the screens below, which show through a dialog.
        visible_screen_stack.set(list(self.app._background_screens))
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    def text(self) -> str:
        return "\n".join(self.lines())

    def row(self, service: str) -> str:
        """The line of the table that begins with that name."""
        return next((line for line in self.lines() if line[2:].startswith(f"{service} ")), "")

    def shows(self, *texts: str) -> bool:
        screen = self.text()
        return all(text in screen for text in texts)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, condition: Callable[[], object], limit: float = LIMIT) -> None:
        """Let the program run until the condition holds."""
        start = time.monotonic()
        while True:
            began = time.monotonic()
            if condition():
                return
            now = time.monotonic()
            if now > start + limit:
                raise AssertionError(f"not within {limit} s:\n{self.text()}")
            # A look at the screen draws it: half of the time at least is the app's, and the more the longer it takes.
            await asyncio.sleep(max(0.005, now - began, min(0.1, (now - start) / 8)))

    async def sees(self, *texts: str) -> None:
        await self.until(lambda: self.shows(*texts))

    async def confirm(self, *keys: str) -> None:
        """Answer a question once its keys count: until then they are taken for typing on without looking."""
        await self.sees("no (")
        await self.press(*keys)

    async def settle(self, table: LineTable[Any] | None = None) -> None:
        """Let the program run until it has drawn all that it wants to draw, in the main table unless told another."""
        quiet = 0
        drawn = -1
        while quiet < 5:
            await self.pilot.pause(0.02)
            lines = (table or self.main.table).lines_drawn
            quiet = quiet + 1 if lines == drawn else 0
            drawn = lines

    async def live(self, *resources: Resource) -> None:
        self.backend.live(*resources)
        table = self.main.table
        await self.until(lambda: len(table.rows) == len(resources))
        room = min(len(resources) + 1, int(self.app.size.height * 0.4))
        await self.until(lambda: table.size.height >= room and all(self.row(row.title) for row in table.visible_rows))
        await self.sees("● live")

    async def select(self, service: str) -> None:
        """Move the cursor to that row."""
        table = self.main.table
        index = next(index for index, row in enumerate(table.rows) if row.title == service)
        table.select(index)
        await self.until(lambda: self.main.log_pane.title.text.startswith(f" LOGS {service}"))

    async def type(self, *keys: str) -> None:
        """Let keys come in one burst, as somebody types who knows them; they wait for nothing."""
        for key in keys:
            name = key if len(key) > 1 or key.isalnum() else _character_to_key(key)
            self.app.post_message(Key(name, key if len(key) == 1 else None))
        await self.pilot.pause()
