"""Screens above others that ask or tell something, and the palette with all commands by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar, Protocol, runtime_checkable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from devenv.control.protocol import Plan
from devenv.tui.safe_text import safe, safe_lines

Group = tuple[str, type[DOMNode] | Sequence[BindingType]]  # a title, and whose keys or which
_WRITTEN = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "right": "→",
    "left": "←",
    "escape": "Esc",
    "enter": "⏎",
    "up": "↑",
    "down": "↓",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "space": "Space",
}
_OTHERS = (
    ("Tab  shift+Tab", "next and previous pane"),
    ("← →", "scroll a long log line sideways"),
    ("ctrl+p", "palette: every command by name"),
    ("ctrl+c  ctrl+q", "quit"),
    ("mouse", "click a row, a key in the last line, a pane; wheel scrolls"),
)


def key_lines(groups: Iterable[Group]) -> Iterator[tuple[str, str]]:
    """Return the styled text of all bindings of these groups."""
    for title, owner in groups:
        yield f"{title}\n", "bold $primary"
        known = owner.__dict__.get("BINDINGS", ()) if isinstance(owner, type) else owner
        bindings = [binding for binding in known if isinstance(binding, Binding)]
        for binding in bindings:
            if binding.show or binding.tooltip:
                yield f"  {_keys(binding):<16}", "bold"
                yield f"{binding.description}{f': {binding.tooltip}' if binding.tooltip else ''}\n", "$foreground"
        moves = [binding for binding in bindings if not (binding.show or binding.tooltip)]
        if moves:
            yield "  move            ", "bold"
            yield f"{' · '.join(f'{binding.description} {_keys(binding)}' for binding in moves)}\n", "$foreground"
        yield "\n", ""
    yield "Everywhere\n", "bold $primary"
    for keys, meaning in _OTHERS:
        yield f"  {keys:<16}", "bold"
        yield f"{meaning}\n", "$foreground"
    yield "\nSigns\n", "bold $primary"
    yield "  ● running  ■ ended  ✗ failed  ↻ restarting  ◌ not yet  ○ absent  ▲ running, but…\n", "$foreground"
    yield "  ▎ a log line on stderr   … [9.9 MiB more, cut] an overlong line\n", "$foreground"


def _keys(binding: Binding) -> str:
    return " ".join(_WRITTEN.get(key, key) for key in binding.key.split(","))


class HelpScreen(ModalScreen[None]):
    """Lists the keys; any of its own keys closes it."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "close", id="help.close"),
    ]

    def __init__(self, groups: Iterable[Group]) -> None:
        super().__init__()
        self._groups = tuple(groups)

    def compose(self) -> ComposeResult:
        """Put all keys into one text to scroll through."""
        with VerticalScroll(id="help") as scroll:
            scroll.border_title = Content("keys")
            scroll.border_subtitle = Content("Esc closes")
            yield Static(Content.assemble(*key_lines(self._groups)), markup=False)


def question(plan: Plan) -> tuple[str, tuple[str, ...], tuple[str, ...], str]:
    """Return what to ask about a plan: title, sentences, losses, and what yes means."""
    target = ", ".join(plan.targets) or "the whole project"
    return f"{plan.verb.capitalize()}: {target}?", plan.sentences, plan.losses, plan.verb


class ConfirmScreen(ModalScreen[bool]):
    """Answers True for yes; the focus stands on no."""

    CSS_PATH = "dialogs.tcss"
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
            parts += [(f"{line}\n", "") for line in safe_lines(sentence)]
        if self._losses:
            parts.append(("\nThis cannot be had back:\n", "bold $error"))
            parts += [(f"  ✗ {safe(loss)}\n", "$error") for loss in self._losses]
        with Vertical(id="confirm"):
            yield Static(Content.styled(safe(self._question), "bold"), id="confirm-title", markup=False)
            with VerticalScroll(id="confirm-scroll", can_focus=False):
                yield Static(Content.assemble(*parts), id="confirm-text", markup=False)
            with Horizontal(id="confirm-buttons"):
                yield Button(Content(f"{safe(self._yes)} (y)"), variant="error", id="yes", compact=True)
                yield Button(Content("no (n)"), id="no", compact=True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Give the answer."""
        self.dismiss(yes)


class AskScreen(ModalScreen[str | None]):
    """Answers with what was typed, None when it was left; `check` returns what is wrong with a text, "" for nothing."""

    CSS_PATH = "dialogs.tcss"
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
            yield Static(Content(safe(self._question)), id="ask-question", markup=False)
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


class PickerScreen(ModalScreen[str | None]):
    """Answers with the chosen name; typing narrows the list."""

    CSS_PATH = "dialogs.tcss"
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
        self._answers: list[str] = []

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
        matching = [choice for choice in self._choices if needle.casefold() in choice[0].casefold()]
        self._answers = [answer for answer, _, _ in matching]
        for answer, name, remark in matching:
            mark = "● " if answer == self._here else "  "
            options.add_option(Option(Content.assemble(f"{mark}{safe(name)}", (f"  {safe(remark)}", "$quiet"))))
        if matching:
            options.highlighted = self._answers.index(self._here) if self._here in self._answers else 0

    def action_step(self, step: int) -> None:
        """Move the highlight while the focus stays on the input."""
        options = self.query_one(OptionList)
        (options.action_cursor_up if step < 0 else options.action_cursor_down)()

    @on(Input.Submitted)
    def _submit(self) -> None:
        index = self.query_one(OptionList).highlighted
        self.dismiss(self._answers[index] if index is not None and index < len(self._answers) else None)

    @on(OptionList.OptionSelected)
    def _select(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._answers[event.option_index])


Command = tuple[str, str, Callable[[], object]]  # its name, what it would do, and the doing


@runtime_checkable
class HasCommands(Protocol):
    """A screen that has commands."""

    def commands(self) -> Iterator[Command]:
        """Give what makes sense now."""
        ...


class ScreenCommands(Provider):
    """Offers the commands of the screen, all of them or those that match."""

    def _commands(self) -> Iterator[Command]:
        screen = self.screen
        return screen.commands() if isinstance(screen, HasCommands) else iter(())

    async def discover(self) -> Hits:
        """Offer everything before something is typed."""
        for name, meaning, run in self._commands():
            yield DiscoveryHit(Content(name), run, text=name, help=meaning)

    async def search(self, query: str) -> Hits:
        """Offer what matches."""
        matcher = self.matcher(query)
        for name, meaning, run in self._commands():
            score = matcher.match(name)
            if score > 0:
                # The matcher would read the name as markup to highlight it: it is outside text.
                yield Hit(score, Content(name), run, text=name, help=meaning)
