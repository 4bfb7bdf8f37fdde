"""One line of a form whose value is one of a few: ← and → change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from devenv.tui.shown import shown


class Choice(Widget, can_focus=True):
    """Shows the chosen value with what it means; values are outside text."""

    DEFAULT_CSS = """
    Choice { height: 1; text-wrap: nowrap; text-overflow: ellipsis; background: $row; }
    Choice:focus { color: $primary; text-style: bold; }
    Choice:ansi:focus { text-style: bold reverse; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "turn(-1)", "other value", key_display="←→", id="choice.left"),
        Binding("right,l,space", "turn(1)", "other value", show=False, id="choice.right"),
    ]

    class Changed(Message):
        """Another value was chosen."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

        @property
        def control(self) -> Choice:
            """The line that was changed."""
            return self.choice

    def __init__(self, values: Sequence[tuple[str, str]], index: int = 0, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._values = tuple(values)
        self.index = index

    @property
    def value(self) -> str:
        """The chosen value."""
        return self._values[self.index][0]

    def render(self) -> Content:
        """Return the value between the signs that it can be changed."""
        value, meaning = self._values[self.index]
        left, right = ("‹ ", " ›") if len(self._values) > 1 else ("", "")
        return Content.assemble(f"{left}{shown(value)}{right}", (f"  {shown(meaning)}", "$quiet"))

    def action_turn(self, step: int) -> None:
        """Choose the next value, or the one before; after the last comes the first."""
        self.index = (self.index + step) % len(self._values)
        self.refresh()
        self.post_message(self.Changed(self))

    def on_click(self, event: events.Click) -> None:
        """Choose the next value."""
        self.action_turn(1)
