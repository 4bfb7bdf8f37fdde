"""A question that is answered with one line of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from devenv.tui.shown import shown


class AskScreen(ModalScreen[str | None]):
    """Answers with what was typed, None when it was left; `check` returns what is wrong with a text, "" for nothing."""

    CSS_PATH = "ask.tcss"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "cancel", priority=True, id="ask.cancel")]

    def __init__(self, question: str, value: str, check: Callable[[str], str]) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._check = check

    def compose(self) -> ComposeResult:
        """Put the question above the input, and what is wrong below it."""
        with Vertical(id="ask"):
            yield Static(Content(shown(self._question)), id="ask-question", markup=False)
            yield Input(self._value, compact=True, id="ask-input")
            yield Static("", id="ask-wrong", markup=False)

    @on(Input.Submitted)
    def _give(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        wrong = self._check(text)
        if wrong:
            self.query_one("#ask-wrong", Static).update(Content(f"✗ {wrong}"))
        else:
            self.dismiss(text)
