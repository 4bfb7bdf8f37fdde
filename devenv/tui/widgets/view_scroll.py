"""A text that takes the screen: its title, and the part to scroll through."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from devenv.tui.widgets.bars import Line


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
