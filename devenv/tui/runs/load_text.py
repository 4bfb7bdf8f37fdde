"""A file of a load test, to scroll through: its Markdown report, or what Locust printed."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from devenv.tui.shown import shown, shown_lines
from devenv.tui.widgets.bars import FooterBar
from devenv.tui.widgets.text_pane import ViewScroll, ViewTitle

MOST: Final = 200_000  # bytes that are shown, the newest


class LoadTextScreen(Screen[None]):
    """Shows the file as it is now."""

    AUTO_FOCUS = "ViewScroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", key_display="esc", id="load_text.back"),
    ]

    def __init__(self, title: str, path: Path, *, at_end: bool = False) -> None:
        super().__init__()
        self._path = path
        self._at_end = at_end
        self.head = ViewTitle()
        self.head.say((f" {shown(title)} ", "bold"), (shown(str(path)), "$quiet"))
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
        return shown_lines(text.decode("utf-8", "replace"))
