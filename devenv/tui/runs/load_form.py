"""What is asked about load tests: what the next one shall be, and whether one goes on when the program is left."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from devenv.load.runner import LoadOptions
from devenv.load.shapes import LENGTHS, NAMES
from devenv.tui.runs.load_rows import minutes
from devenv.tui.safe_text import safe
from devenv.tui.widgets.inputs import BurstInput, Choice

if TYPE_CHECKING:
    from devenv.backends.kube.kubeconfig import Target


MOST_USERS: Final = 100_000
_TIME: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_MEANINGS: Final = {
    "steady": "all users",
    "ramp": "from one user to all",
    "spike": "a fifth, all, a fifth",
    "soak": "all users, for long",
    "step": "up to where the target no longer follows",
    "hpa": "an autoscaler up and down again",
}


def seconds_of(text: str) -> int | None:
    """Read a duration as Locust takes it: 90, 90s, 2m, 1h30m; None for what is none of them."""
    match = _TIME.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, rest, last = (int(part or 0) for part in match.groups())
    return hours * 3600 + rest * 60 + last or None


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """A target, as `--target` names it."""

    name: str
    context: str = ""
    namespace: str = ""

    @property
    def words(self) -> str:
        """How it is called in a form."""
        return f"{self.name} {self.context}/{self.namespace}" if self.context else self.name

    def of(self, options: LoadOptions) -> LoadOptions:
        """Return the options for this target."""
        return replace(options, target=self.name, context=self.context, namespace=self.namespace)


def load_targets(place: tuple[Target, bool] | None) -> tuple[list[LoadTarget], int]:
    """Return where a load test can go, and which of them the selection means.

    `place` is the cluster that is shown, and whether the selection is there alone: of a service of both runtimes, the
    nearer one is meant.
    """
    if place is None:
        return [LoadTarget("compose")], 0
    target, is_meant = place
    return [LoadTarget("compose"), LoadTarget("kubernetes", target.context.name, target.namespace)], int(is_meant)


class LoadFormScreen(ModalScreen[LoadOptions | None]):
    """Answers with options, None when it was left."""

    CSS_PATH = "load_form.tcss"
    AUTO_FOCUS = "#load-shape"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "cancel", priority=True, id="load_form.cancel"),
        Binding("enter", "start", "start", key_display="⏎", priority=True, id="load_form.start"),
        Binding("up", "app.focus_previous", "up", show=False, id="load_form.up"),
        Binding("down", "app.focus_next", "down", show=False, id="load_form.down"),
    ]

    def __init__(
        self, options: LoadOptions, targets: Sequence[LoadTarget], target: int, thresholds: Sequence[str]
    ) -> None:
        super().__init__()
        self._targets = tuple(targets)
        self._thresholds = thresholds
        self.target = Choice([(item.words, "") for item in targets], target, id="load-target")
        self.shape = Choice([(name, _MEANINGS[name]) for name in NAMES], NAMES.index(options.shape), id="load-shape")
        self.users = BurstInput(str(options.users), compact=True, id="load-users")
        length = f"{options.seconds}s" if options.seconds else ""
        self.length = BurstInput(length, compact=True, id="load-length", placeholder=_default(options.shape))
        more = "--threshold 'rps>50' --documents 1000"
        self.more = BurstInput(shlex.join(options.more), compact=True, id="load-more", placeholder=more)
        self.wrong = Static("", id="load-wrong", markup=False)

    def compose(self) -> ComposeResult:
        """Put the fields below each other, and what is wrong below them."""
        with Vertical(id="load-form"):
            yield Static(Content.styled("New load test", "bold"), markup=False)
            for label, field in (
                ("target", self.target),
                ("shape", self.shape),
                ("users", self.users),
                ("duration", self.length),
                ("further options of locust", self.more),
            ):
                yield Static(label, classes="load-label", markup=False)
                yield field
            thresholds = ", ".join(self._thresholds) or "none"
            yield Static(Content(f"thresholds of devenv.toml: {safe(thresholds)}"), classes="load-label", markup=False)
            yield self.wrong
            yield Static("⏎ starts   ↑ ↓ next field   ← → other value   Esc cancels", classes="load-label")

    @on(Choice.Changed, "#load-shape")
    def _say_default(self) -> None:
        self.length.placeholder = _default(self.shape.value)

    def action_start(self) -> None:
        """Answer, or say what is wrong."""
        options, wrong = self._answer()
        if options is None:
            self.wrong.update(Content(f"✗ {safe(wrong)}"))
        else:
            self.dismiss(options)

    def _answer(self) -> tuple[LoadOptions | None, str]:
        users, length = self.users.value.strip(), self.length.value.strip()
        if not users.isdecimal() or not 1 <= int(users) <= MOST_USERS:
            return None, f"users: a whole number from 1 to {MOST_USERS}"
        if length and seconds_of(length) is None:
            return None, "duration: for example 90s, 5m, 1h30m; empty for the shape's own"
        try:
            more = tuple(shlex.split(self.more.value))
        except ValueError as error:
            return None, f"further options: {error}"
        target = self._targets[self.target.index]
        if self.shape.value == "hpa" and target.name != "kubernetes":
            return None, "shape hpa: Compose has no autoscaler; show a cluster, or choose another shape"
        seconds = seconds_of(length) if length else None
        return target.of(
            replace(LoadOptions(), shape=self.shape.value, users=int(users), seconds=seconds, more=more)
        ), ""

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()


def _default(shape: str) -> str:
    return f"{minutes(LENGTHS[shape])} min" if shape in LENGTHS else "as long as the autoscaler needs"


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
