"""A list to choose one name from: contexts, namespaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from devenv.tui.shown import shown


class PickerScreen(ModalScreen[str | None]):
    """Answers with the chosen name; typing narrows the list."""

    CSS_PATH = "picker.tcss"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "cancel", priority=True, id="picker.cancel"),
        Binding("up", "step(-1)", "up", show=False, priority=True, id="picker.up"),
        Binding("down", "step(1)", "down", show=False, priority=True, id="picker.down"),
    ]

    def __init__(self, what: str, choices: Sequence[tuple[str, str, str]], here: str) -> None:
        super().__init__()
        self._what = what
        self._choices = tuple(choices)
        self._here = here
        self._found: list[str] = []

    def compose(self) -> ComposeResult:
        """Put the input above the list."""
        with Vertical(id="picker"):
            yield Static(Content.styled(f"Which {self._what}?", "bold"), markup=False)
            yield Input(placeholder="part of the name", compact=True, id="picker-input")
            yield OptionList(id="picker-list", markup=False)

    def on_mount(self) -> None:
        """Show all of them."""
        self._show("")

    @on(Input.Changed)
    def _narrow(self, event: Input.Changed) -> None:
        self._show(event.value)

    def _show(self, needle: str) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        found = [choice for choice in self._choices if needle.casefold() in choice[0].casefold()]
        self._found = [answer for answer, _, _ in found]
        for answer, name, remark in found:
            mark = "● " if answer == self._here else "  "
            options.add_option(Option(Content.assemble(f"{mark}{shown(name)}", (f"  {shown(remark)}", "$quiet"))))
        if found:
            options.highlighted = self._found.index(self._here) if self._here in self._found else 0

    def action_step(self, step: int) -> None:
        """Move the highlight while the focus stays on the input."""
        options = self.query_one(OptionList)
        (options.action_cursor_up if step < 0 else options.action_cursor_down)()

    @on(Input.Submitted)
    def _submit(self) -> None:
        index = self.query_one(OptionList).highlighted
        self.dismiss(self._found[index] if index is not None and index < len(self._found) else None)

    @on(OptionList.OptionSelected)
    def _select(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._found[event.option_index])
