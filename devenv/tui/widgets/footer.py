"""The last line: the keys that are valid now, for what has the focus and what is selected."""

from __future__ import annotations

from typing import NamedTuple, cast

from textual import events
from textual.screen import Screen

from devenv.tui.widgets.line import Line, Part


class KeyHint(NamedTuple):
    """A key, how it is written, and what it does."""

    key: str
    written: str
    meaning: str


def hints(screen: Screen[None]) -> tuple[list[KeyHint], list[KeyHint]]:
    """Return the valid keys of the screen: those of the focused widget, and the others, without what is not shown."""
    own: list[KeyHint] = []
    first: list[KeyHint] = []
    others: list[KeyHint] = []
    seen: set[str] = set()
    preferred: frozenset[str] = getattr(screen, "preferred_keys", frozenset())
    for node, binding, enabled, _ in screen.active_bindings.values():
        if binding.show and enabled and binding.action not in seen:
            seen.add(binding.action)
            hint = KeyHint(binding.key, binding.key_display or binding.key, binding.description)
            if node is screen.focused:
                own.append(hint)
            else:
                (first if binding.id in preferred else others).append(hint)
    return own, first + others


class FooterBar(Line):
    """Lists keys with their meaning; a click on one does what the key does."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._places: list[tuple[int, int, str]] = []

    def tell(self, screen: Screen[None], always: str = "question_mark") -> None:
        """Show the keys of the focused widget first; what does not fit is left out, the key named `always` last."""
        own, others = hints(screen)
        kept = [hint for hint in (*own, *others) if hint.key == always]
        room = self.size.width - 1 - sum(_cost(hint) for hint in kept)
        shown_hints = []
        for hint in (*own, *others):
            if hint.key != always and _cost(hint) <= room:
                room -= _cost(hint)
                shown_hints.append(hint)
        parts: list[Part] = [(" ", "")]
        self._places = []
        x = 1
        for hint in (*shown_hints, *kept):
            self._places.append((x, x + _cost(hint), hint.key))
            parts += [(hint.written, "bold $primary"), (f" {hint.meaning}  ", "$quiet")]
            x += _cost(hint)
        self.say(*parts)

    def on_resize(self) -> None:
        """Choose again what fits."""
        if self.is_attached:
            self.tell(cast(Screen[None], self.screen))

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        for start, end, key in self._places:
            if start <= event.x < end:
                self.app.simulate_key(key)


def _cost(hint: KeyHint) -> int:
    return len(hint.written) + len(hint.meaning) + 3
