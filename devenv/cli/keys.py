"""`devenv keys`: every key and command in one page, made from the table of actions and the command line itself."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from textual.binding import Binding
from textual.keys import format_key

from devenv.cli.options import read_settings
from devenv.cli.parser import build_parser
from devenv.core.command_settings import CommandSettings
from devenv.core.errors import EXIT_OK, UsageError
from devenv.core.settings import FILE_NAME, Config
from devenv.tui.action_table import (
    BY_NAME,
    BY_WORD,
    IN_VIEW,
    NO_KEYS,
    OF_CLUSTER,
    OF_PROJECT,
    SERVICE,
    UserAction,
    with_keys,
)
from devenv.tui.keymap import names, panes, problems

NO_COMMANDS: Final[Mapping[str, CommandSettings]] = {}
_ABOUT = """\
# Keys and commands

`devenv keys` prints this page. In the terminal `?` shows the keys, `ctrl+p` everything by its name, and the last line
what can be done now. Where an act takes something away, it first says what exactly, and the focus stands on no; keys
that were pressed before the question could be read do not count. `[confirm]` of `devenv.toml` says which acts ask
([YOUR_PROJECT.md](YOUR_PROJECT.md)).
"""

_ABOUT_COMMANDS = """\
## Commands of your own

`[commands.NAME]` of `devenv.toml` adds acts: in the palette, as `:NAME`, in the last line and in help, offered on the
lines that they fit ([YOUR_PROJECT.md](YOUR_PROJECT.md#commands-of-your-own)). They pass the guard and are in the audit
log.
"""
_ABOUT_PANES = """\
## Keys of one pane or screen

They hold where the focus is, before those above. `[keys]` of `devenv.toml` chooses others, the name in quotes:
`"logs.wrap" = "W"`.
"""


def run(arguments: argparse.Namespace) -> int:
    """Print the page, with the keys that devenv.toml chooses; raises UsageError where those are wrong."""
    config = read_settings(arguments)
    sys.stdout.write(page(chosen_keys(arguments, config), config.commands))
    sys.stdout.flush()
    return EXIT_OK


def chosen_keys(arguments: argparse.Namespace, config: Config) -> dict[str, str]:
    """Return what `[keys]` of devenv.toml chooses, once that and `[commands]` are right.

    Raises UsageError for unknown names and keys, for conflicts, and for commands that cannot be run.
    """
    if config.keys or config.commands:
        from devenv.control.commands import problems as command_problems
        from devenv.core.toml import near, place_of

        file = Path(arguments.config or os.environ.get("DEVENV_CONFIG") or (config.root or Path()) / FILE_NAME)
        for name in config.keys:
            if name not in BY_NAME and name not in (known := dict.fromkeys(names())):
                raise UsageError(f"{place_of(file, f'keys.{name}')}: unknown key keys.{name}", near(name, known))
        own = {f"commands.{name}.key": one.key for name, one in config.commands.items() if one.key}
        for name, problem, hint in problems(config.keys, own):
            key = name if name in own else f"keys.{name}"
            raise UsageError(f"{place_of(file, key)}: {key}: {problem}", hint)
        for name, problem, hint in command_problems(config.commands, BY_WORD):
            raise UsageError(f"{place_of(file, f'commands.{name}')}: commands.{name}: {problem}", hint)
    return config.keys


def page(chosen: Mapping[str, str] = NO_KEYS, commands: Mapping[str, CommandSettings] = NO_COMMANDS) -> str:
    """Return the page as Markdown; `chosen` are keys by the names of actions, `commands` those of the user's own."""
    actions = with_keys(chosen)
    parts = [_ABOUT]
    for title in (OF_PROJECT, IN_VIEW, OF_CLUSTER):
        parts.append(f"## {title}\n")
        head = ("key", "what it does", "with kubectl", "name in `[keys]`")
        parts += _table(head, (_row(one) for one in actions if one.group == title))
    parts.append(_ABOUT_COMMANDS)
    if commands:
        own = ((f"`{one.key or f':{name}'}`", one.help or name, one.on) for name, one in commands.items())
        parts += _table(("key", "what it does", "of which lines"), own)
    parts.append(_ABOUT_PANES)
    for pane in panes():
        parts.append(f"### {pane.title}\n")
        parts += _table(("key", "what it does", "name in `[keys]`"), (_bound(one, chosen) for one in pane.bindings))
    parts.append("## Commands\n")
    parts += _table(("command", "what it does"), _commands(build_parser(), "devenv"))
    return "\n".join(parts).rstrip() + "\n"


def _row(action: UserAction) -> Sequence[str]:
    word = " ".join(filter(None, (f":{action.words[0]}" if action.words else "", action.argument)))
    key = action.written or {"escape": "Esc", "space": "Space"}.get(action.key, action.key) or word
    name = action.label or action.palette.replace(SERVICE, "a service") or action.name
    about = "; ".join(filter(None, (action.note or action.meaning, "asks" if action.takes_away else "")))
    return (f"`{key}`" if key else "ctrl+p", f"{name}: {about}" if about else name, action.kubectl, f"`{action.name}`")


def _bound(binding: Binding, chosen: Mapping[str, str]) -> Sequence[str]:
    keys = chosen.get(str(binding.id), binding.key).split(",")
    written = " ".join(f"`{one if one == 'space' else format_key(one)}`" for one in keys)
    about = f": {binding.tooltip}" if binding.tooltip else ""
    return written, f"{binding.description}{about}", f"`{binding.id}`"


def _commands(parser: argparse.ArgumentParser, before: str) -> Iterator[Sequence[str]]:
    for group in parser._actions:
        if isinstance(group, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in group._choices_actions}
            for name, command in group.choices.items():
                below = list(_commands(command, f"{before} {name}"))
                yield from below or [(f"`{before} {name}`", helps.get(name, ""))]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""
