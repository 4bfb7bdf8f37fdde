"""One line of text that is drawn again only when it says something else."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

Part = tuple[str, str]  # text and style


class Line(Widget):
    """Shows parts of text on one line; a harmless text is the caller's care, markup has no meaning here."""

    DEFAULT_CSS = """
    Line { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._parts: tuple[Part, ...] = ()
        self._content = Content("")
        self.updates = 0  # how often it said something else: a budget of the tests

    def say(self, *parts: Part) -> None:
        """Show these parts; nothing is drawn when they are what is shown."""
        if parts == self._parts:
            return
        self._parts = parts
        self._content = Content.assemble(*parts)
        self.updates += 1
        self.refresh()

    @property
    def text(self) -> str:
        """What it says, without styles."""
        return self._content.plain

    def render(self) -> Content:
        """Return what is shown."""
        return self._content


def cells(parts: tuple[Part, ...] | list[Part]) -> int:
    """Return how many cells the parts take."""
    return sum(cell_len(text) for text, _ in parts)
