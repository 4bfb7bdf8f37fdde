"""All keys, by where they are valid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widgets import Static

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

    CSS_PATH = "help.tcss"
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
