"""The command line: what can be typed, and the input with the rest of the likeliest command and the others below."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import Input

from devenv.tui.action_table import ACTIONS, UserAction
from devenv.tui.safe_text import Part, safe
from devenv.tui.widgets.bars import Line
from devenv.tui.widgets.inputs import BurstInput

if TYPE_CHECKING:
    from devenv.backends.kube.kinds import Kind

ALL: Final = "all"  # the namespace argument that means every one
# Short names that the API does not have and that k9s taught people (its internal/config/alias.go).
ALIASES: Final = {
    "dp": "deployments",
    "sec": "secrets",
    "jo": "jobs",
    "np": "networkpolicies",
    "ro": "roles",
    "rb": "rolebindings",
    "cr": "clusterroles",
    "crb": "clusterrolebindings",
}
CANDIDATES_SHOWN: Final = 12  # candidates


class TypedCommand(NamedTuple):
    """What was typed: a word and, where there is one, its argument."""

    word: str
    argument: str = ""


def parse(text: str) -> TypedCommand:
    """Read a line; a colon in front and spaces around do not matter."""
    word, _, argument = text.strip().removeprefix(":").strip().partition(" ")
    return TypedCommand(ALIASES.get(word.casefold(), word.casefold()), argument.strip())


class Places(NamedTuple):
    """What of a cluster can be typed."""

    kinds: Sequence[Kind] = ()
    namespaces: Sequence[str] = ()
    contexts: Sequence[str] = ()


NO_CLUSTER: Final = Places()
Arguments = Mapping[str, Callable[[], Sequence[str]]]
NO_ARGUMENTS: Final[Arguments] = {}


def candidates(
    text: str,
    handled: Container[str],
    services: Iterable[str],
    places: Places = NO_CLUSTER,
    own: Iterable[UserAction] = (),
    arguments: Arguments = NO_ARGUMENTS,
) -> tuple[str, ...]:
    """Return whole lines that begin as the text does, the shortest first.

    `handled` are the names of actions there; `own` are commands beside those of the table; `arguments` tell by the name
    of an action what can follow its word.
    """
    actions = (*ACTIONS, *own)
    begun = text.lstrip().removeprefix(":")
    word, space, argument = begun.partition(" ")
    if space:
        action = next((one for one in actions if word.casefold() in (*one.typed, *one.synonyms)), None)
        known: Iterable[str] = {"ns": (ALL, *places.namespaces), "ctx": places.contexts}.get(word.casefold(), ())
        if action is not None:
            known = services if action.of_service else known or action.choices
            known = arguments[action.name]() if action.name in arguments else known
        return tuple(f"{word} {name}" for name in known if name.startswith(argument.strip()))[:CANDIDATES_SHOWN]
    words = dict.fromkeys(word for action in actions if action.name in handled for word in action.typed)
    if places.kinds:
        words |= dict.fromkeys(ALIASES)
    for kind in places.kinds:
        words |= dict.fromkeys((*kind.short, kind.plural))
    matching = [known for known in words if known.startswith(word.casefold())]
    return tuple(sorted(matching, key=lambda known: (len(known), known)))[:CANDIDATES_SHOWN]


Candidates = Callable[[str], tuple[str, ...]]


class _First(Suggester):
    def __init__(self, candidates: Candidates) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._candidates = candidates

    async def get_suggestion(self, value: str) -> str | None:
        """Return the first candidate."""
        return next(iter(self._candidates(value)), None) if value else None


class CommandInput(BurstInput):
    """The input itself; `given` is called with what was typed, with "" for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "give", "go", key_display="⏎", priority=True, id="command.give"),
        Binding("escape", "close", "close", key_display="esc", priority=True, id="command.close"),
        Binding("tab", "complete", "complete", key_display="tab", priority=True, id="command.complete"),
    ]

    given: Callable[[str], None]

    def action_give(self) -> None:
        """Give the command, when the letters before the key are in it."""
        self.call_later(self._give)

    def _give(self) -> None:
        self.given(self.value)

    def action_close(self) -> None:
        """Go back without one."""
        self.given("")

    async def action_complete(self) -> None:
        """Take the likeliest, also where it was typed too fast for that to be shown."""
        likeliest = await self.suggester.get_suggestion(self.value) if self.suggester is not None else None
        if likeliest:
            self.value = likeliest
            self.cursor_position = len(likeliest)


class CommandLine(Vertical):
    """An input and the candidates for what was begun."""

    DEFAULT_CSS = """
    CommandLine { height: 2; background: $row; padding: 0 1; }
    CommandLine #command-input { background: $row; }
    """

    def __init__(
        self, candidates: Candidates, given: Callable[[str], None], placeholder: str, *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.display = False
        self._candidates = candidates
        self.input = CommandInput(
            placeholder=placeholder,
            compact=True,
            suggester=_First(candidates),
            id="command-input",
        )
        self.input.given = given
        self.offered = Line()

    def compose(self) -> ComposeResult:
        """Put the candidates below the input."""
        yield self.input
        yield self.offered

    def ask(self) -> None:
        """Take the focus, empty."""
        self.display = True
        self.input.value = ""
        self.tell()
        self.screen.set_focus(self.input)

    def close(self) -> None:
        """Go from the screen."""
        self.display = False

    @on(Input.Changed)
    def tell(self) -> None:
        """Show what may be meant."""
        matching = self._candidates(self.input.value)
        parts: list[Part] = [(" ", "")]
        for index, text in enumerate(matching):
            parts += [(safe(text), "bold $primary" if index == 0 else "$quiet"), ("  ", "")]
        self.offered.say(*(parts if matching else [(" no such command is known", "$warning")]))
