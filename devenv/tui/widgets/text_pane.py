"""Texts to scroll through: the details of what is selected, and those that take the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from devenv.tui.safe_text import Part, safe
from devenv.tui.widgets.bars import Line

if TYPE_CHECKING:
    from devenv.tui.widgets.data_tree import DataTree


def show_text(static: Static, parts: Sequence[Part]) -> None:
    """Show a text; one that takes as many rows as the text before is painted without laying the screen out anew."""
    content, room = Content.assemble(*parts), static.size
    as_high = bool(room) and content.get_height(static.styles.get_rules(), room.width) == room.height
    static.update(content, layout=not as_high)


class DetailScroll(VerticalScroll, can_focus=True):
    """The scrolling part of the pane."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "down", show=False, id="detail.down"),
        Binding("k", "scroll_up", "up", show=False, id="detail.up"),
        Binding("g", "scroll_home", "first", show=False, id="detail.first"),
        Binding("G", "scroll_end", "last", show=False, id="detail.last"),
        Binding("V", "reveal", "reveal 10 s", id="detail.reveal"),
        Binding("o", "browse", "open in browser", id="detail.browse"),
    ]

    class Reveal(Message):
        """Somebody wants to see the masked values for a moment."""

    class Browse(Message):
        """Somebody wants to see a port in the browser."""

    offered = ""  # which of the two makes sense now: "reveal", "browse"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what the open tab has."""
        return action == self.offered if action in ("reveal", "browse") else True

    def action_reveal(self) -> None:
        """Ask to reveal."""
        self.post_message(self.Reveal())

    def action_browse(self) -> None:
        """Ask for the browser."""
        self.post_message(self.Browse())


class DetailPane(Vertical):
    """Title, tabs, use and text. The use changes with every sample: its own line, so that the text stays as it is.

    A tree of data takes the place of the text where the open tab has one; it is made when it is needed first.
    """

    class Appeared(Message):
        """It came on screen or went from it, by a key or with the width of the terminal."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = Line(classes="pane-title")
        self.tabs = Line()
        self.use = Line()
        self.scroll = DetailScroll(id="detail-scroll")
        self.body = Static(markup=False, id="detail-body")
        self._last: tuple[Part, ...] = ()
        self.updates = 0
        self.data_tree: DataTree | None = None

    def compose(self) -> ComposeResult:
        """Put the title and the use above the text."""
        yield self.title
        yield self.tabs
        yield self.use
        with self.scroll:
            yield self.body

    def on_show(self) -> None:
        """Ask for what it shows."""
        self.post_message(self.Appeared())

    def on_hide(self) -> None:
        """Nothing has to be kept fresh any more."""
        self.post_message(self.Appeared())

    @property
    def content(self) -> Widget:
        """What takes the keys: the text, or the tree in its place."""
        return self.data_tree if self.data_tree is not None and self.data_tree.display else self.scroll

    @property
    def room(self) -> int:
        """How many cells a line of the text has."""
        return max(20, self.size.width - 4)

    def tell_tabs(self, tabs: list[Part], offered: str) -> None:
        """Show which tab is open, and offer its keys."""
        self.tabs.say(*tabs)
        if self.scroll.offered != offered:
            self.scroll.offered = offered
            self.refresh_bindings()

    def show_tree(self, data: object) -> None:
        """Put a tree of the data in the place of the text."""
        from devenv.tui.widgets.data_tree import DataTree, TreePrompt

        if self.data_tree is None:
            self.data_tree = DataTree(id="detail-tree")
            self.mount(self.data_tree, TreePrompt(self.data_tree, id="detail-search"), after=self.scroll)
        self.data_tree.show(data)
        self._swap(self.scroll, self.data_tree)

    def hide_tree(self) -> None:
        """Put the text back."""
        if self.data_tree is not None and self.data_tree.display:
            self._swap(self.data_tree, self.scroll)

    def _swap(self, gone: Widget, shown: Widget) -> None:
        focused = gone.has_focus_within
        gone.display, shown.display = False, True
        if focused:
            self.screen.set_focus(shown)

    def tell(self, name: str, use: list[Part], parts: list[Part], *, fresh: bool) -> None:
        """Show this text; `fresh` says that it is about another resource, to be read from its start."""
        self.hide_tree()
        self.use.say(*use)
        self.title.say((" DETAIL ", "bold"), (safe(name), "bold $primary"))
        if tuple(parts) != self._last:
            self._last = tuple(parts)
            self.updates += 1
            show_text(self.body, parts)
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
