"""A question before something is taken away: what it will hit, in whole sentences."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from devenv.control.protocol import Plan
from devenv.tui.shown import shown, shown_lines


def question(plan: Plan) -> tuple[str, tuple[str, ...], tuple[str, ...], str]:
    """Return what to ask about a plan: title, sentences, losses, and what yes means."""
    target = ", ".join(plan.targets) or "the whole project"
    return f"{plan.verb.capitalize()}: {target}?", plan.sentences, plan.losses, plan.verb


class ConfirmScreen(ModalScreen[bool]):
    """Answers True for yes; the focus stands on no."""

    CSS_PATH = "confirm.tcss"
    AUTO_FOCUS = "#no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="confirm.yes"),
        Binding("n,escape,q", "answer(False)", "no", id="confirm.no"),
        Binding("left,right,h,l", "app.focus_next", "other button", show=False, id="confirm.other"),
    ]

    def __init__(self, title: str, sentences: tuple[str, ...], losses: tuple[str, ...], yes: str) -> None:
        super().__init__()
        self._question = title
        self._sentences = sentences
        self._losses = losses
        self._yes = yes

    def compose(self) -> ComposeResult:
        """Put the question, what it hits and what it loses above the two answers."""
        parts: list[tuple[str, str]] = []
        for sentence in self._sentences:
            parts += [(f"{line}\n", "") for line in shown_lines(sentence)]
        if self._losses:
            parts.append(("\nThis cannot be had back:\n", "bold $error"))
            parts += [(f"  ✗ {shown(loss)}\n", "$error") for loss in self._losses]
        with Vertical(id="confirm"):
            yield Static(Content.styled(shown(self._question), "bold"), id="confirm-title", markup=False)
            with VerticalScroll(id="confirm-scroll", can_focus=False):
                yield Static(Content.assemble(*parts), id="confirm-text", markup=False)
            with Horizontal(id="confirm-buttons"):
                yield Button(Content(f"{shown(self._yes)} (y)"), variant="error", id="yes", compact=True)
                yield Button(Content("no (n)"), id="no", compact=True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Give the answer."""
        self.dismiss(yes)
