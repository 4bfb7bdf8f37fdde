"""The palette: what a screen's commands are called, which is outside text, and what they would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

Command = tuple[str, str, Callable[[], object]]  # its name, what it would do, and the doing


@runtime_checkable
class HasCommands(Protocol):
    """A screen that has commands."""

    def commands(self) -> Iterator[Command]:
        """Give what makes sense now."""
        ...


class ScreenCommands(Provider):
    """Offers the commands of the screen, all of them or those that match."""

    def _commands(self) -> Iterator[Command]:
        screen = self.screen
        return screen.commands() if isinstance(screen, HasCommands) else iter(())

    async def discover(self) -> Hits:
        """Offer everything before something is typed."""
        for name, meaning, run in self._commands():
            yield DiscoveryHit(Content(name), run, text=name, help=meaning)

    async def search(self, query: str) -> Hits:
        """Offer what matches."""
        matcher = self.matcher(query)
        for name, meaning, run in self._commands():
            score = matcher.match(name)
            if score > 0:
                # The matcher would read the name as markup to highlight it: it is outside text.
                yield Hit(score, Content(name), run, text=name, help=meaning)
