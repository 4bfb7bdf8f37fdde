"""Texts to scroll through: the details of what is selected, and those that take the screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from devenv.tui.safe_text import Part, safe
from devenv.tui.widgets.bars import Line


class DetailScroll(VerticalScroll, can_focus=True):
    """The scrolling part of the pane."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "down", show=False, id="detail.down"),
        Binding("k", "scroll_up", "up", show=False, id="detail.up"),
        Binding("g", "scroll_home", "first", show=False, id="detail.first"),
        Binding("G", "scroll_end", "last", show=False, id="detail.last"),
    ]


class DetailPane(Vertical):
    """Title, use and text. The use changes with every sample: a line of its own, so that the text stays as it is."""

    class Appeared(Message):
        """It came on screen or went from it, by a key or with the width of the terminal."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = Line(classes="pane-title")
        self.use = Line()
        self.scroll = DetailScroll(id="detail-scroll")
        self.body = Static(markup=False, id="detail-body")
        self._last: tuple[Part, ...] = ()
        self.updates = 0

    def compose(self) -> ComposeResult:
        """Put the title and the use above the text."""
        yield self.title
        yield self.use
        with self.scroll:
            yield self.body

    def on_show(self) -> None:
        """Ask for what it shows."""
        self.post_message(self.Appeared())

    def on_hide(self) -> None:
        """Nothing has to be kept fresh any more."""
        self.post_message(self.Appeared())

    def tell(self, name: str, use: list[Part], parts: list[Part], *, fresh: bool) -> None:
        """Show this text; `fresh` says that it is about another resource, to be read from its start."""
        self.use.say(*use)
        self.title.say((" DETAIL ", "bold"), (safe(name), "bold $primary"))
        if tuple(parts) != self._last:
            self._last = tuple(parts)
            self.updates += 1
            self.body.update(Content.assemble(*parts))
        if fresh:
            self.scroll.scroll_to(y=0, animate=False)


class ViewTitle(Line):
    """The line above the text."""

    DEFAULT_CSS = """
    ViewTitle { background: $bar; color: $primary; }
    """


class ViewScroll(VerticalScroll, can_focus=True):
    """The scrolling part, with the keys of the table."""

    DEFAULT_CSS = """
    ViewScroll { height: 1fr; padding: 1 2; scrollbar-size: 1 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "down", show=False, id="view.down"),
        Binding("k", "scroll_up", "up", show=False, id="view.up"),
        Binding("g", "scroll_home", "first", show=False, id="view.first"),
        Binding("G", "scroll_end", "last", show=False, id="view.last"),
    ]
