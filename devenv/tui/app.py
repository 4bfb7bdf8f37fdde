"""The terminal: wires a backend and a control to the screen. It paints first and imports the rest afterwards."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType

from devenv.backends.protocol import Backend
from devenv.control.protocol import Control
from devenv.model import Change
from devenv.tui import theme as themes
from devenv.tui.feed import Feed
from devenv.tui.marks import Marks
from devenv.tui.screens.main import MainScreen
from devenv.tui.theme import ThemeChoice

if TYPE_CHECKING:
    from textual.command import Provider

    from devenv.tui.kube.session import Connector
    from devenv.tui.verifying import Verifying
    from devenv.verify.live import Launch


def _palette() -> type[Provider]:
    from devenv.tui.commands import MainCommands

    return MainCommands


class DevenvApp(App[int]):
    """The program in the terminal. Its return value is the exit code."""

    TITLE = "devenv"
    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "widgets/resource_table.tcss",
        "widgets/log_view.tcss",
        "screens/main.tcss",
    ]
    COMMANDS: ClassVar = {_palette}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend_process", "suspend", show=False, system=True, id="suspend"),
    ]

    def __init__(
        self,
        backend: Backend,
        control: Control,
        *,
        title: str = "",
        theme: ThemeChoice = "auto",
        verify: Launch | None = None,
        verify_at_once: tuple[str, ...] | None = None,
        cluster: Connector | None = None,
    ) -> None:
        super().__init__()
        self._launch = verify
        self._verify_at_once = verify_at_once
        self._verifying: Verifying | None = None
        self.animation_level = "none"
        self.register_theme(themes.DARK)
        self.register_theme(themes.LIGHT)
        self.theme = themes.choose(theme, os.environ)
        if cluster is None:
            self.main: MainScreen = MainScreen(backend, control, title)
        else:
            from devenv.tui.kube.joining import cluster_screen

            self.main, backend, control = cluster_screen(backend, control, title, cluster)
        self.feed = Feed((backend, control), self._deliver)
        self.marks = Marks(os.environ.get("DEVENV_BENCH_MARKS"))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give themes that are not ours a value for our variables."""
        return dict(themes.DEFAULTS)

    def get_default_screen(self) -> MainScreen:
        """Open with the main screen."""
        return self.main

    def on_resize(self) -> None:
        """Paint everything: a terminal that changed its size and back in a moment has lost what was on it."""
        self.screen.refresh()

    def on_ready(self) -> None:
        """Begin to read once the empty frame is on the terminal."""
        self.main.call_after_refresh(self._begin)

    async def _begin(self) -> None:
        self.marks.write_once("first_paint")
        self.feed.start()
        await self.main.furnish()
        self.main.verifies = self._launch is not None
        self.main.refresh_bindings()
        if self._verify_at_once is not None:
            self.open_verify()
        gc.freeze()  # what was loaded stays; the collector need not walk it again
        gc.enable()

    def _deliver(self, changes: list[Change]) -> None:
        # Through the app's own queue: an error in it ends the program with a traceback instead of a silent loop.
        self.call_later(self._take, changes)

    def _take(self, changes: Sequence[Change]) -> None:
        delta = self.main.take(changes)
        if self.marks.wanted and delta.updated:
            states = [f"resource:{resource.key}:{resource.state}" for resource in delta.updated]
            self.main.call_after_refresh(self._mark, states)

    def _mark(self, states: Sequence[str]) -> None:
        self.marks.write_once("populated")
        for state in states:
            self.marks.write(state)

    @on(MainScreen.VerifyAsked)
    def open_verify(self) -> None:
        """Show the smoke tests; start them where the command line asked for it."""
        if self._launch is None:
            return
        if self._verifying is None:
            from devenv.tui.verifying import Verifying

            self._verifying = Verifying(self.main, self._launch, self._verify_at_once or ())
            if self._verify_at_once is not None:
                self._verifying.start()
        self.push_screen(self._verifying.screen())

    def action_help_quit(self) -> None:
        """Leave with ctrl-c, as with q."""
        self.main.changes.quit()

    async def action_quit(self) -> None:
        """Leave; a change that runs is asked about first."""
        self.main.changes.quit()


def run(
    backend: Backend,
    control: Control,
    *,
    title: str = "",
    theme: ThemeChoice = "auto",
    color: bool = True,
    verify: Launch | None = None,
    verify_at_once: tuple[str, ...] | None = None,
    cluster: Connector | None = None,
) -> int:
    """Open the terminal and return the exit code when it is left; stops the backend and the control.

    `title` names the project until the backend knows it. Without `color` nothing but weight and reversal is used.
    `verify` starts the smoke tests; they begin `verify_at_once` where that holds their options.
    `cluster` connects to a cluster after the first paint, where there may be one.
    """
    if not color:
        os.environ["NO_COLOR"] = "1"
    app = DevenvApp(
        backend, control, title=title, theme=theme, verify=verify, verify_at_once=verify_at_once, cluster=cluster
    )
    try:
        answer = app.run()
    finally:
        app.feed.stop()
        for source in reversed(app.feed.sources):
            source.stop()
    if app.return_code:
        return app.return_code
    return answer or 0
