"""Screens above others that ask or tell something, and the palette with all commands by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from devenv.control.audit import AuditLog
from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError
from devenv.tui.action_table import NO_KEYS
from devenv.tui.diagnostics import WINDOW, Meter, lines
from devenv.tui.safe_text import safe, safe_lines
from devenv.tui.table.columns import Column

Group = tuple[str, type[DOMNode] | Sequence[BindingType]]  # a title, and whose keys or which
_WRITTEN = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "exclamation_mark": "!",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
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


def chosen_keys(app: App[Any]) -> Mapping[str, str]:
    """Return the keys that devenv.toml chooses, by the ids of bindings."""
    chosen: Mapping[str, str] = getattr(app, "chosen_keys", NO_KEYS)
    return chosen


def key_lines(groups: Iterable[Group], chosen: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return the styled text of all bindings of these groups; `chosen` are the user's keys by the bindings' ids."""

    def written(binding: Binding) -> str:
        return " ".join(_WRITTEN.get(key, key) for key in chosen.get(binding.id or "", binding.key).split(","))

    for title, owner in groups:
        yield f"{title}\n", "bold $primary"
        known = owner.__dict__.get("BINDINGS", ()) if isinstance(owner, type) else owner
        bindings = [binding for binding in known if isinstance(binding, Binding)]
        for binding in bindings:
            if binding.show or binding.tooltip:
                yield f"  {written(binding):<16}", "bold"
                yield f"{binding.description}{f': {binding.tooltip}' if binding.tooltip else ''}\n", "$foreground"
        moves = [binding for binding in bindings if not (binding.show or binding.tooltip)]
        if moves:
            yield "  move            ", "bold"
            yield f"{' · '.join(f'{binding.description} {written(binding)}' for binding in moves)}\n", "$foreground"
        yield "\n", ""
    yield "Everywhere\n", "bold $primary"
    for keys, meaning in _OTHERS:
        yield f"  {keys:<16}", "bold"
        yield f"{meaning}\n", "$foreground"
    yield "\nSigns\n", "bold $primary"
    yield "  ● running  ■ ended  ✗ failed  ↻ restarting  ◌ not yet  ○ absent  ▲ running, but…\n", "$foreground"
    yield "  ▎ a log line on stderr   … [9.9 MiB more, cut] an overlong line\n", "$foreground"


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
            yield Static(Content.assemble(*key_lines(self._groups, chosen_keys(self.app))), markup=False)


class AuditScreen(ModalScreen[None]):
    """The audit log, the newest first; any of its own keys closes it."""

    CSS_PATH = "dialogs.tcss"
    KEPT: ClassVar[int] = 300  # entries
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,A,enter", "dismiss", "close", id="audit.close")]

    def compose(self) -> ComposeResult:
        """Put all entries into one text to scroll through."""
        with VerticalScroll(id="audit") as scroll:
            scroll.border_title = Content("audit log")
            scroll.border_subtitle = Content("Esc closes; more of it: devenv audit-log")
            yield Static(Content.assemble(*self._parts()), markup=False)

    def _parts(self) -> Iterator[tuple[str, str]]:
        entries = AuditLog().entries()[-self.KEPT :]
        if not entries:
            yield "nothing was changed yet", "$quiet"
        for entry in reversed(entries):
            when, who, verdict, took, what, command = map(safe, entry.cells)
            tone = {"done": "$success", "running": "$accent"}.get(entry.verdict, "$error")
            yield f"{when}  ", "$quiet"
            yield f"{verdict:<11} ", tone
            yield f"{took:>8}  ", "$quiet"
            yield what, "bold"
            yield f"  {who}\n", "$quiet"
            yield f"  {command}\n", "$foreground"
            if entry.reason:
                yield f"  {safe(entry.reason)}\n", tone


class DiagnosticsScreen(ModalScreen[None]):
    """What this terminal itself uses, read anew each second while it is open; any of its own keys closes it."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "close", id="diagnostics.close")]

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def compose(self) -> ComposeResult:
        """Put all figures into one text to scroll through."""
        with VerticalScroll(id="help") as scroll:
            scroll.border_title = Content("diagnostics")
            scroll.border_subtitle = Content("Esc closes; for scripts: devenv doctor --self")
            yield Static(markup=False, id="diagnostics-text")

    def on_mount(self) -> None:
        """Begin to measure."""
        self._read()
        self.set_interval(WINDOW, self._read)

    def _read(self) -> None:
        parts: list[tuple[str, str]] = []
        for name, value in lines(self._meter.read()):
            parts += [(f"{safe(name):<24}", "bold" if not name.startswith(" ") else "$quiet"), (f"{safe(value)}\n", "")]
        self.query_one("#diagnostics-text", Static).update(Content.assemble(*parts))


class Question(NamedTuple):
    """What is asked before something is done: `yes` is what yes means, `typed` what is to be typed instead of a yes."""

    title: str
    sentences: tuple[str, ...]
    losses: tuple[str, ...] = ()
    yes: str = "yes"
    typed: str = ""


def question(plan: Plan) -> Question:
    """Return what to ask about a plan."""
    target = ", ".join(plan.targets) or "the whole project"
    return Question(f"{plan.verb.capitalize()}: {target}?", plan.sentences, plan.losses, plan.verb, plan.typed)


class ConfirmScreen(ModalScreen[bool]):
    """Answers True for yes; the focus stands on no, or on the input where a name is to be typed.

    A key that was pressed before the question could be read does not count: not one before all of it was drawn, nor
    within READ after that or after another such key. Only what means no leaves at once; where a name is to be typed,
    its letters are no answer either, and what follows them goes to no other screen.
    """

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = "#no"
    READ: ClassVar[float] = 0.5  # seconds; who types on without looking is seldom slower (200 ms between two keys)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="confirm.yes"),
        Binding("n,q", "no", "no", id="confirm.no"),
        Binding("escape", "dismiss(False)", "no", show=False, id="confirm.leave"),
        Binding("left,right,h,l,tab,shift+tab", "other", "other button", show=False, id="confirm.other"),
    ]

    def __init__(self, asked: Question, reach: Callable[[], Plan] | None = None) -> None:
        """`reach` finds out in a thread what exactly the plan takes; until then nothing is answered."""
        super().__init__()
        self._asked = asked
        self._reach = reach
        self._reading: Timer | None = None
        self._is_drawn = False
        self.ready = False

    def compose(self) -> ComposeResult:
        """Put the question, what it hits and what it loses above the two answers."""
        with Vertical(id="confirm"):
            yield Static(Content.styled(safe(self._asked.title), "bold"), id="confirm-title", markup=False)
            with VerticalScroll(id="confirm-scroll", can_focus=False):
                yield Static(self._text(), id="confirm-text", markup=False)
            if self._asked.typed:
                yield Static(Content(f"Type {safe(self._asked.typed)} to confirm:"), id="confirm-typed", markup=False)
                yield Input(compact=True, id="confirm-input", disabled=True)
            with Horizontal(id="confirm-buttons"):
                yield Button(Content(safe(self._asked.yes)), variant="error", id="yes", compact=True)
                yield Button(Content("no"), id="no", compact=True)

    def on_mount(self) -> None:
        """Find out what it takes, then begin to count keys."""
        if self._reach is None:
            self.call_after_refresh(self._drawn)
        else:
            self.run_worker(partial(self._find_reach, self._reach), thread=True)

    def _text(self) -> Content:
        parts: list[tuple[str, str]] = []
        for sentence in self._asked.sentences:
            parts += [(f"{line}\n", "") for line in safe_lines(sentence)]
        if self._asked.losses:
            parts.append(("\nThis cannot be had back:\n", "bold $error"))
            parts += [(f"  ✗ {safe(loss)}\n", "$error") for loss in self._asked.losses]
        if self._reach is not None:
            parts.append(("\nlooking what exactly it takes…\n", "$quiet"))
        return Content.assemble(*parts)

    def _find_reach(self, reach: Callable[[], Plan]) -> None:
        try:
            plan = reach()
        except DevenvError as error:
            unknown = f"What exactly it takes is not known: {error.message}"
            asked = self._asked._replace(sentences=(*self._asked.sentences, unknown))
            self.app.call_from_thread(self._reached, asked, True)
        else:
            self.app.call_from_thread(self._reached, question(plan), plan.needs_confirmation)

    def _reached(self, asked: Question, is_asked: bool) -> None:
        if not is_asked:
            self.dismiss(True)
            return
        self._asked, self._reach = asked, None
        self.query_one("#confirm-text", Static).update(self._text())
        self.call_after_refresh(self._drawn)

    def _drawn(self) -> None:
        self._is_drawn = True
        self._read_on()

    def _read_on(self) -> None:
        """Count keys from a while after now on."""
        if self._reading is not None:
            self._reading.stop()
        if self._is_drawn:
            self._reading = self.set_timer(self.READ, self._be_ready)

    def _be_ready(self) -> None:
        self.ready = True
        if self._asked.typed:
            self.query_one("#no", Button).label = Content("no (Esc)")  # n is a letter of what is typed
            field = self.query_one("#confirm-input", Input)
            field.disabled = False
            self.set_focus(field)
        else:
            self.query_one("#no", Button).label = Content("no (n)")
            self.query_one("#yes", Button).label = Content(f"{safe(self._asked.yes)} (y)")

    def on_key(self) -> None:
        """Begin anew to wait where somebody types on without looking."""
        if not self.ready:
            self._read_on()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id == "yes")

    @on(Input.Submitted)
    def _typed(self) -> None:
        self.action_answer(True)

    def action_answer(self, yes: bool) -> None:
        """Give the answer, once it counts; where a name is to be typed, yes is that name."""
        if not self.ready:
            self._read_on()
        elif not yes or not self._asked.typed or self.query_one("#confirm-input", Input).value == self._asked.typed:
            self.dismiss(yes)
        else:
            wrong = f"Type {safe(self._asked.typed)} to confirm, exactly as it stands here:"
            self.query_one("#confirm-typed", Static).update(Content.styled(wrong, "$error"))

    def action_no(self) -> None:
        """Answer no at once, unless the key may be a letter of the name that is to be typed."""
        if self.ready or not self._asked.typed:
            self.dismiss(False)

    def action_other(self) -> None:
        """Go to the other button, once that counts."""
        if self.ready:
            self.focus_next()
        else:
            self._read_on()


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


class ColumnsScreen(ModalScreen[None]):
    """Lets the user choose columns; what is chosen is shown at once, in the order in which they are offered."""

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "close", key_display="esc", id="columns.close"),
        Binding("space", "switch", "show or hide", id="columns.switch"),
    ]

    def __init__(
        self, offered: Sequence[Column], shown: Iterable[str], choose: Callable[[tuple[str, ...]], None]
    ) -> None:
        super().__init__()
        self._offered = tuple(offered)
        self._shown = set(shown)
        self._choose = choose

    def compose(self) -> ComposeResult:
        """Put the columns below the question; one that is shown has a mark, which needs no colour."""
        with Vertical(id="picker"):
            yield Static(Content.styled("Which columns?", "bold"), markup=False)
            yield Static(Content.styled("space shows one or hides it, Esc closes\n", "$quiet"), markup=False)
            yield OptionList(*map(self._prompt, self._offered), id="picker-list", markup=False)

    def _prompt(self, column: Column) -> Content:
        return Content(f"{'✓' if column.name in self._shown else ' '} {column.title.lower()}")

    @on(OptionList.OptionSelected)
    def action_switch(self) -> None:
        """Show the highlighted one, or hide it."""
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            column = self._offered[options.highlighted]
            self._shown ^= {column.name}
            options.replace_option_prompt_at_index(options.highlighted, self._prompt(column))
            self._choose(tuple(one.name for one in self._offered if one.name in self._shown))


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
