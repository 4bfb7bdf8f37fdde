"""The palette: every command by its name, with what it would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from devenv.tui.screens.main import MainScreen
from devenv.tui.shown import shown

Command = tuple[str, str, Callable[[], None]]


class MainCommands(Provider):
    """The commands of the main screen for what is selected, for the whole project, and for the view."""

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

    def _commands(self) -> Iterator[Command]:
        screen = cast(MainScreen, self.screen)
        selected = screen.selected
        if selected is not None and selected.service:
            service = selected.service
            for verb in ("restart", "start", "stop", "up", "build"):
                yield f"{verb} {shown(service)}", "the selected service", _change(screen, verb, (service,))
        for verb in ("up", "down", "restart", "stop", "build"):
            yield f"{verb} project", "all services", _change(screen, verb, ())
        yield "down project and delete its volumes", "all data in them are lost", _change(screen, "down", (), True)
        for name, action in (("logs", "logs"), ("detail", "detail"), ("zoom", "zoom"), ("back to the table", "back")):
            yield f"view: {name}", "", _view(screen, action)
        for theme in ("dark", "light", "ansi"):
            yield f"theme: {theme}", "the terminal's sixteen colours" if theme == "ansi" else "", _theme(screen, theme)
        yield "help: all keys", "", _view(screen, "help")
        yield "quit", "", lambda: screen.changes.quit()


def _change(screen: MainScreen, verb: str, targets: tuple[str, ...], volumes: bool = False) -> Callable[[], None]:
    return lambda: screen.changes.ask(verb, targets, volumes=volumes)


def _view(screen: MainScreen, action: str) -> Callable[[], None]:
    def run() -> None:
        getattr(screen, f"action_{action}")()

    return run


def _theme(screen: MainScreen, choice: str) -> Callable[[], None]:
    def run() -> None:
        from devenv.tui.theme import NAMES

        screen.app.theme = NAMES[choice]

    return run
