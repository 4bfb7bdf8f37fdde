"""The question before the program is left while a load test goes on: stop it, let it go on, or stay."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

STOP: Final = "stop"
DETACH: Final = "detach"
_SENTENCES: Final = (
    "Stopped, it writes its reports and removes its collections, and devenv waits for that.\n"
    "Otherwise it goes on without a terminal, and the next devenv in this project finds it."
)


class LoadLeaveScreen(ModalScreen[str | None]):
    """Answers STOP or DETACH, None for staying; the focus stands on staying."""

    CSS_PATH = "../dialogs.tcss"
    DEFAULT_CSS = "LoadLeaveScreen { align: center middle; background: $background 60%; }"
    AUTO_FOCUS = "#stay"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "dismiss('stop')", "stop it", id="load_leave.stop"),
        Binding("d", "dismiss('detach')", "let it go on", id="load_leave.detach"),
        Binding("n,escape,q", "dismiss", "stay", id="load_leave.stay"),
        Binding("left,h", "app.focus_previous", "other button", show=False, id="load_leave.left"),
        Binding("right,l", "app.focus_next", "other button", show=False, id="load_leave.right"),
    ]

    def compose(self) -> ComposeResult:
        """Put the question above the three answers."""
        with Vertical(id="confirm"):
            yield Static(Content.styled("The load test is still running", "bold"), id="confirm-title", markup=False)
            yield Static(f"\n{_SENTENCES}\n", id="confirm-text", markup=False)
            with Horizontal(id="confirm-buttons"):
                yield Button("stop it and quit (s)", id=STOP, compact=True)
                yield Button("let it go on (d)", id=DETACH, compact=True)
                yield Button("stay (Esc)", id="stay", compact=True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id if event.button.id in (STOP, DETACH) else None)
