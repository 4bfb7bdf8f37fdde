"""The keys that `[keys]` of devenv.toml chooses: what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import ascii_letters
from typing import Final

from textual.binding import Binding
from textual.keys import Keys, format_key

from devenv.tui.action_table import BY_NAME, with_keys
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


def problems(chosen: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong: the name in `[keys]`, a message, a hint."""
    actions = with_keys(chosen)
    free = [
        letter for letter in ascii_letters if letter not in {_plain(key) for one in actions for key in _split(one.key)}
    ]
    fixed = _RESERVED | {
        _plain(key): f"{binding.description} in the table"
        for table in (ResourceTable, FoldingTable)
        for binding in table.BINDINGS
        if isinstance(binding, Binding)
        for key in _split(binding.key)
    }
    for name, keys in chosen.items():
        if name not in BY_NAME:
            continue  # reported with what is near to it, as other names are
        others = {_plain(key): one.name for one in actions if one.name != name for key in _split(one.key)}
        for key in _split(keys):
            owner = others.get(_plain(key)) or fixed.get(_plain(key))
            if not _is_key(key):
                yield (
                    name,
                    f"{key!r} is no key",
                    "For example: r, R, /, f5, ctrl+r, alt+left; two with a comma between.",
                )
            elif owner:
                open_ = " ".join(letter for letter in free if letter not in fixed)
                yield name, f"{key} is the key of {owner}", f"Give one of them another key. Free letters: {open_}"


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
