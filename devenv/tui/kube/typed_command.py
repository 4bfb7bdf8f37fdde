"""What can be typed into the command line: `:pods`, `:ns NAME`, `:ctx NAME` and so on. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from devenv.tui.action_table import ACTIONS

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
SHOWN: Final = 12  # candidates


class TypedCommand(NamedTuple):
    """What was typed: a word and, where there is one, its argument."""

    word: str
    argument: str = ""


def parse(text: str) -> TypedCommand:
    """Read a line; a colon in front and spaces around do not matter."""
    word, _, argument = text.strip().removeprefix(":").strip().partition(" ")
    return TypedCommand(ALIASES.get(word.casefold(), word.casefold()), argument.strip())


def candidates(text: str, kinds: Iterable[Kind], namespaces: Iterable[str], contexts: Iterable[str]) -> tuple[str, ...]:
    """Return whole lines that begin as the text does, the shortest first."""
    begun = text.lstrip().removeprefix(":")
    word, space, argument = begun.partition(" ")
    if space:
        known = {"ns": (ALL, *namespaces), "ctx": tuple(contexts)}.get(word.casefold(), ())
        return tuple(f"{word} {name}" for name in known if name.startswith(argument.strip()))[:SHOWN]
    words = dict.fromkeys((*(word for action in ACTIONS for word in action.words), *ALIASES))
    for kind in kinds:
        words |= dict.fromkeys((*kind.short, kind.plural))
    found = [known for known in words if known.startswith(word.casefold())]
    return tuple(sorted(found, key=lambda known: (len(known), known)))[:SHOWN]
