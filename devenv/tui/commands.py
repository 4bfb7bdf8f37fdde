"""The palette: every command by its name, with what it would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from devenv.tui.palette import Command, Commands, act
from devenv.tui.screens.main import MainScreen
from devenv.tui.shown import shown


class MainCommands(Commands):
    """The commands of the main screen for what is selected, for the whole project, and for the view."""

    def commands(self) -> Iterator[Command]:
        """Give the commands of the selected service first."""
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
            yield f"view: {name}", "", act(screen, action)
        for theme in ("dark", "light", "ansi"):
            yield f"theme: {theme}", "the terminal's sixteen colours" if theme == "ansi" else "", _theme(screen, theme)
        if screen.verifies:
            yield "verify: smoke tests", "run them, see how they go", act(screen, "verify")
        if screen.loads:
            yield "load: load tests", "run one, see how it goes, earlier ones", act(screen, "load")
        yield "help: all keys", "", act(screen, "help")
        yield "quit", "", lambda: screen.changes.quit()


def _change(screen: MainScreen, verb: str, targets: tuple[str, ...], volumes: bool = False) -> Callable[[], None]:
    return lambda: screen.changes.ask(verb, targets, volumes=volumes)


def _theme(screen: MainScreen, choice: str) -> Callable[[], None]:
    def run() -> None:
        from devenv.tui.theme import NAMES

        screen.app.theme = NAMES[choice]

    return run
