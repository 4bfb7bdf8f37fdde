"""The way to a load test by keys, as a user goes it."""

from __future__ import annotations

from textual.widgets import Input

from devenv.tui.runs.load import LoadScreen
from devenv.tui.runs.load_form import LoadFormScreen
from tests.terminal.driving import Driver


async def on(terminal: Driver, screen: type[object]) -> None:
    await terminal.until(lambda: type(terminal.app.screen) is screen)


async def ask(terminal: Driver, more: str = "") -> None:
    """Open the form and fill its last field."""
    await terminal.press("L")
    await terminal.sees("n starts one")
    await terminal.press("n")
    await on(terminal, LoadFormScreen)
    await terminal.until(lambda: terminal.app.screen.is_current and terminal.app.screen.query(Input))
    terminal.app.screen.query_one("#load-more", Input).value = more


async def begin(terminal: Driver, more: str = "") -> LoadScreen:
    """Start a run and wait for its first figures."""
    await ask(terminal, more)
    await terminal.press("enter")
    await on(terminal, LoadScreen)
    await terminal.sees("REQUESTS /s", "steady on compose shop web", "20 users")
    screen = terminal.app.screen
    assert isinstance(screen, LoadScreen)
    return screen
