"""Lines to type a text into or to choose a value on, in the order in which the keys were pressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from devenv.tui.safe_text import safe


class BurstInput(Input):
    """Takes keys that arrive in one burst, as a slow line delivers them, in their order.

    As a binding, backspace would go round by the app and be overtaken by the letters after it.
    """

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "backspace":
            event.stop()
            event.prevent_default()
            self.action_delete_left()
        else:
            await super()._on_key(event)


class Prompt(BurstInput):
    """An input of one line. It gives the focus back at once: the next key must not be typed into it any more."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "keep", "keep", key_display="⏎", priority=True, id="prompt.keep"),
        Binding("escape", "clear", "clear", key_display="esc", priority=True, id="prompt.clear"),
    ]

    def __init__(self, placeholder: str, back: Widget, *, id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, id=id, compact=True, select_on_focus=False)
        self.display = False
        self._back = back

    def ask(self) -> None:
        """Take the focus, at once."""
        self.display = True
        self.screen.set_focus(self)

    def action_keep(self) -> None:
        """Keep the text; the line stays as a reminder where there is one."""
        self.screen.set_focus(self._back)
        self.display = bool(self.value)

    def action_clear(self) -> None:
        """Throw the text away."""
        self.screen.set_focus(self._back)
        self.value = ""
        self.display = False


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
        return Content.assemble(f"{left}{safe(value)}{right}", (f"  {safe(meaning)}", "$quiet"))

    def action_turn(self, step: int) -> None:
        """Choose the next value, or the one before; after the last comes the first."""
        self.index = (self.index + step) % len(self._values)
        self.refresh()
        self.post_message(self.Changed(self))

    def on_click(self, event: events.Click) -> None:
        """Choose the next value."""
        self.action_turn(1)
