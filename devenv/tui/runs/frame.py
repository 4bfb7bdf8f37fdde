"""What smoke tests, load tests and deployments have in common in the terminal: one run is followed, in three places.

Its screen, a line on the main screen until it was looked at, and the question before the program is left while it
goes on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from devenv.tui.safe_text import Part, safe, safe_lines
from devenv.tui.widgets.bars import FooterBar, Line
from devenv.tui.widgets.text_pane import ViewScroll, ViewTitle, show_text

if TYPE_CHECKING:
    from devenv.tui.main_screen import MainScreen

MOST: Final = 200_000  # bytes of a file that are shown, the newest


class Runs(ABC):
    """Follows runs, one at a time; subclasses say how one is started, read and ended."""

    LOOK: ClassVar[float]  # seconds between two looks at what the run wrote; only while one goes on
    KEY: ClassVar[str]  # that opens the screen from the main screen

    def __init__(self, app: App[int], main: Callable[[], MainScreen]) -> None:
        self.app = app
        self._main = main
        self._timer: Timer | None = None
        self._bar: RunBar | None = None
        self._leaving = False

    @property
    def main(self) -> MainScreen:
        """The main screen; another one takes its place when a cluster comes."""
        return self._main()

    @property
    @abstractmethod
    def goes_on(self) -> bool:
        """Whether a run has not ended yet, its clean-up included."""

    def seen(self) -> None:
        """Note that the screen was opened or left: what has ended needs no line on the main screen any more."""
        if self._bar is not None:
            self._bar.display = self.goes_on

    @abstractmethod
    def cancel(self) -> None:
        """End the run."""

    @abstractmethod
    def _look(self) -> None:
        """Read what is new, and tell it."""

    @abstractmethod
    def _bar_parts(self) -> Sequence[Part]:
        """Return the line on the main screen."""

    @abstractmethod
    def _ask_before_leaving(self) -> None:
        """Ask whether the run shall end."""

    def _begin_looking(self) -> None:
        self._timer = self._timer or self.app.set_interval(self.LOOK, self._look)
        self._timer.resume()

    def _end_looking(self) -> None:
        if self._timer is not None:
            self._timer.pause()

    def _tell(self) -> None:
        """Show how the run stands on its screen, where that is open, and on the main screen."""
        top = self.app.screen
        on_screen = isinstance(top, RunScreen) and top.shows(self)
        if isinstance(top, RunScreen) and on_screen:
            top.tell()
        if self._bar is not None and self._bar.is_attached:
            # What has ended is on the main screen until it was looked at.
            self._bar.display = self.goes_on or (self._bar.display and not on_screen)
        elif self.main.is_attached:
            self._bar = RunBar(self.KEY)
            self.main.mount(self._bar, before=self.main.action_bar)
        if self._bar is not None:
            self._bar.say(*self._bar_parts())

    def _asks(self) -> bool:
        """Ask before the program is left while a run goes on; False where there is nothing to ask."""
        if not self.goes_on:
            return False
        if self._leaving:
            self.app.exit(0)  # it ends by itself: whoever insists need not wait for it
        else:
            self._ask_before_leaving()
        return True

    def _leave(self, *, at_once: bool) -> None:
        """Leave the program, when the run has ended unless at once."""
        if at_once or not self.goes_on:
            self.app.exit(0)
            return
        self._leaving = True
        self.cancel()


class RunBar(Line):
    """How the run stands, on the main screen, until it was looked at: one line; a click opens the screen."""

    DEFAULT_CSS = "RunBar { background: $bar; padding: 0 1; }"

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def on_click(self) -> None:
        """Do what the key does."""
        self.app.simulate_key(self._key)


class RunScreen(Screen[None]):
    """A screen about runs; leaving it changes nothing about them."""

    KEYS_TITLE: ClassVar[str]  # of its own keys in the help
    KEY_GROUPS: ClassVar[tuple[tuple[str, type[DOMNode]], ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.footer = FooterBar()
        self._drawn: dict[Static, tuple[Part, ...]] = {}
        self._keys_for: object = None
        self.drawn = 0  # texts drawn since it was opened: a budget of the tests

    def on_mount(self) -> None:
        """Keep the footer up to date."""
        self.bindings_updated_signal.subscribe(self, lambda _: self.footer.tell(self))

    def shows(self, runs: Runs) -> bool:
        """Whether it shows the run that is followed."""
        return False

    def tell(self) -> None:
        """Show how the run stands; only what changed is drawn."""

    def draw(self, static: Static, parts: Sequence[Part]) -> None:
        """Draw a text, where it changed."""
        if tuple(parts) != self._drawn.get(static, ()):
            self._drawn[static] = tuple(parts)
            self.drawn += 1
            show_text(static, parts)

    def offer_keys(self, keys_for: object) -> None:
        """Look again at which keys make sense, where what they depend on has changed."""
        if keys_for != self._keys_for:
            self._keys_for = keys_for
            self.refresh_bindings()

    def action_help(self) -> None:
        """Show all keys."""
        from devenv.tui.dialogs import HelpScreen

        self.app.push_screen(HelpScreen(((self.KEYS_TITLE, type(self)), *self.KEY_GROUPS)))


class TextScreen(Screen[None]):
    """Shows a file of a run as it is now, to scroll through: a report, or what a program printed."""

    AUTO_FOCUS = "ViewScroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", key_display="esc", id="load_text.back"),
    ]

    def __init__(self, title: str, path: Path, *, at_end: bool = False) -> None:
        super().__init__()
        self._path = path
        self._at_end = at_end
        self.head = ViewTitle()
        self.head.say((f" {safe(title)} ", "bold"), (safe(str(path)), "$quiet"))
        self.scroll = ViewScroll()
        self.footer = FooterBar()

    def compose(self) -> ComposeResult:
        """Put the title above the text."""
        yield self.head
        with self.scroll:
            yield Static(Content("\n".join(self._lines())), markup=False)
        yield self.footer

    def on_mount(self) -> None:
        """Go to the end where that is what counts."""
        self.bindings_updated_signal.subscribe(self, lambda _: self.footer.tell(self, always="escape"))
        if self._at_end:
            self.call_after_refresh(lambda: self.scroll.scroll_end(animate=False))

    def _lines(self) -> list[str]:
        try:
            text = self._path.read_bytes()[-MOST:]
        except OSError as error:
            return [f"✗ {self._path} cannot be read: {error.strerror}"]
        return safe_lines(text.decode("utf-8", "replace"))
