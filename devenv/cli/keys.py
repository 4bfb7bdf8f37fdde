"""`devenv keys`: every key and command in one page, made from the table of actions and the command line itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence

from devenv.cli.parser import build_parser
from devenv.core.errors import EXIT_OK
from devenv.tui.action_table import ACTIONS, IN_VIEW, OF_CLUSTER, OF_PROJECT, SERVICE, UserAction

_ABOUT = """\
# Keys and commands

`devenv keys` prints this page. In the terminal `?` shows the keys, `ctrl+p` everything by its name, and the last line
what can be done now. Where an act takes something away, it first says what exactly, and the focus stands on no; keys
that were pressed before the question could be read do not count. `[confirm]` of `devenv.toml` says which acts ask
([YOUR_PROJECT.md](YOUR_PROJECT.md)).
"""


def run(arguments: argparse.Namespace) -> int:
    """Print the page."""
    sys.stdout.write(page())
    sys.stdout.flush()
    return EXIT_OK


def page() -> str:
    """Return the page as Markdown."""
    parts = [_ABOUT]
    for title in (OF_PROJECT, IN_VIEW, OF_CLUSTER):
        parts.append(f"## {title}\n")
        parts += _table(("key", "what it does", "with kubectl"), (_row(one) for one in ACTIONS if one.group == title))
    parts.append("## Commands\n")
    parts += _table(("command", "what it does"), _commands(build_parser(), "devenv"))
    return "\n".join(parts).rstrip() + "\n"


def _row(action: UserAction) -> Sequence[str]:
    word = " ".join(filter(None, (f":{action.words[0]}" if action.words else "", action.argument)))
    key = action.written or {"escape": "Esc", "space": "Space"}.get(action.key, action.key) or word
    name = action.label or action.palette.replace(SERVICE, "a service") or action.name
    about = "; ".join(filter(None, (action.note or action.meaning, "asks" if action.takes_away else "")))
    return (f"`{key}`" if key else "ctrl+p", f"{name}: {about}" if about else name, action.kubectl)


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
