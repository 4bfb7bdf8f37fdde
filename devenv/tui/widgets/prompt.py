"""A line to type a filter or a search text into, in the order in which the keys were pressed."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input


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
