"""The keys that `[keys]` of devenv.toml chooses: whose they may be, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from string import ascii_letters
from typing import Final, NamedTuple

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys, format_key

from devenv.tui.action_table import BY_NAME, NO_KEYS, with_keys
from devenv.tui.logs.view import LogView
from devenv.tui.widgets.resource_table import FoldingTable, ResourceTable

_MODIFIERS: Final = frozenset({"ctrl", "alt", "shift", "super", "meta", "hyper"})
_NAMES: Final = frozenset(key.value for key in Keys)
# Of the program and of Textual's screens; whoever loses them cannot leave, or cannot go from pane to pane.
_RESERVED: Final = {
    "ctrl+c": "quit",
    "ctrl+q": "quit",
    "ctrl+p": "the palette",
    "ctrl+z": "suspend",
    "tab": "the next pane",
    "shift+tab": "the pane before",
}
_EVERYWHERE: Final = ("find", "command", "back", "leave", "help")  # a pane that takes one of these leaves no way out
_OF_CLUSTER: Final = frozenset({"view", "events", "forwards", "text"})
_OF_RUNS: Final = frozenset({"verify", "results", "load", "load_runs", "loads"})


class Pane(NamedTuple):
    """Whose keys hold at the same time. `above` says that it is a screen of its own, without the main screen's."""

    title: str
    owners: tuple[type[DOMNode], ...]
    above: bool = False

    @property
    def bindings(self) -> list[Binding]:
        """Its keys."""
        known = (one for owner in self.owners for one in owner.__dict__.get("BINDINGS", ()))
        return [one for one in known if isinstance(one, Binding) and one.id]


def panes(only: Collection[str] | None = None) -> Iterator[Pane]:
    """Yield what has keys beside the table of actions; where names are given, the screens that these are of alone.

    Each is found by the first word of its keys' names: a screen that nobody rebinds need not be imported.
    """
    from devenv.tui.widgets.data_tree import DataTree
    from devenv.tui.widgets.text_pane import DetailScroll, ViewScroll

    first = None if only is None else {name.partition(".")[0] for name in only if "." in name}
    yield Pane("Table", (ResourceTable, FoldingTable))
    yield Pane("Log", (LogView,))
    yield Pane("Details", (DetailScroll,))
    yield Pane("Details: tree of an object", (DataTree,))
    if first is None or first & _OF_CLUSTER:
        from devenv.tui.kube.object_texts import TextScreen
        from devenv.tui.kube.view import ClusterView, EventsScreen, ForwardsScreen

        yield Pane("Events of a cluster", (ClusterView, ViewScroll, EventsScreen), above=True)
        yield Pane("Port-forwards", (ClusterView, ViewScroll, ForwardsScreen), above=True)
        yield Pane("Text of an object", (ClusterView, ViewScroll, TextScreen), above=True)
    if first is None or first & _OF_RUNS:
        from devenv.tui.runs.load import LoadRunsScreen, LoadScreen
        from devenv.tui.runs.load_list import LoadList
        from devenv.tui.runs.results import ResultList
        from devenv.tui.runs.verify import VerifyScreen

        yield Pane("Smoke tests", (VerifyScreen, ResultList), above=True)
        yield Pane("Load test", (LoadScreen,), above=True)
        yield Pane("Earlier load tests", (LoadRunsScreen, LoadList), above=True)


def names() -> Iterator[str]:
    """Yield every name that `[keys]` may have."""
    pane_names = (str(binding.id) for pane in panes() for binding in pane.bindings)
    yield from dict.fromkeys(chain(BY_NAME, pane_names))


def problems(chosen: Mapping[str, str], own: Mapping[str, str] = NO_KEYS) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong: the name, a message, a hint; `own` are the keys of commands of the user's own."""
    actions = {action.name: action.key for action in with_keys(chosen)} | dict(own)
    known = list(panes(chosen))
    holding = []
    for pane in known:
        keys_of = {str(binding.id): chosen.get(str(binding.id), binding.key) for binding in pane.bindings}
        table = ResourceTable in pane.owners
        others = actions if table else {} if pane.above else {name: actions[name] for name in _EVERYWHERE}
        holding.append(keys_of | others)
    reported: set[tuple[str, str]] = set()
    for name, keys in (*chosen.items(), *own.items()):
        for key in _split(keys):
            if not _is_key(key):
                yield (
                    name,
                    f"{key!r} is no key",
                    "For example: r, R, /, f5, ctrl+r, alt+left; two with a comma between.",
                )
                continue
            for bound in (one for one in holding if name in one):
                owner = _owner(key, name, bound)
                if owner and (name, key) not in reported:
                    reported.add((name, key))
                    taken = {_plain(other) for one in bound.values() for other in _split(one)}
                    free = " ".join(letter for letter in ascii_letters if letter not in taken)
                    yield name, f"{key} is the key of {owner}", f"Give one of them another key. Free letters: {free}"


def _owner(key: str, name: str, bound: Mapping[str, str]) -> str:
    """Return who else has the key; "" where nobody has."""
    others: Iterable[str] = (
        other for other, keys in bound.items() if other != name and _plain(key) in map(_plain, _split(keys))
    )
    return next(iter(others), "") or _RESERVED.get(_plain(key), "")


def _split(keys: str) -> list[str]:
    return [key.strip() for key in keys.split(",") if key.strip()] or [key for key in keys if key == ","]


def _plain(key: str) -> str:
    """Return the key as Textual shows it, however it is written: "/" of "slash"."""
    return format_key(key)


def _is_key(key: str) -> bool:
    if len(key) == 1:
        return key.isprintable()
    *modifiers, last = key.split("+")
    return set(modifiers) <= _MODIFIERS and (
        len(last) == 1 or key in _NAMES or last in _NAMES or format_key(last) != last
    )
