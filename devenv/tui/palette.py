"""What the palettes have in common: commands by their names, which are outside text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Protocol, cast

from textual.actions import parse
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.screen import Screen

Command = tuple[str, str, Callable[[], None]]  # its name, what it would do, and the doing


class Commands(Provider):
    """Offers commands, all of them or those that match."""

    @abstractmethod
    def commands(self) -> Iterator[Command]:
        """Give what makes sense now."""

    async def discover(self) -> Hits:
        """Offer everything before something is typed."""
        for name, meaning, run in self.commands():
            yield DiscoveryHit(Content(name), run, text=name, help=meaning)

    async def search(self, query: str) -> Hits:
        """Offer what matches."""
        matcher = self.matcher(query)
        for name, meaning, run in self.commands():
            score = matcher.match(name)
            if score > 0:
                # The matcher would read the name as markup to highlight it: it is outside text.
                yield Hit(score, Content(name), run, text=name, help=meaning)


def act(screen: Screen[None], action: str) -> Callable[[], None]:
    """Return what does the screen's action, which is written as in a binding."""
    _, name, parameters = parse(action)

    def run() -> None:
        getattr(screen, f"action_{name}")(*parameters)

    return run


class HasCommands(Protocol):
    """A screen that has commands of its own."""

    def commands(self) -> Iterator[Command]:
        """Give what makes sense now."""
        ...


class ScreenCommands(Commands):
    """The commands that the screen gives."""

    def commands(self) -> Iterator[Command]:
        """Give them."""
        return cast(HasCommands, self.screen).commands()
