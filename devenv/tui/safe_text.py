"""The last gate before the screen: outside text as the cells of one line, whatever a record holds."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap
from typing import Final

from rich.cells import cell_len, set_cell_size

from devenv.core.text import sanitize

Part = tuple[str, str]  # a harmless text and its style

CUT_MARK: Final = "…"

# Characters without a width of their own that join or restyle their neighbours: terminals disagree about the width of
# what they make, and one wrong width shifts the rest of a line. Left out, each character keeps the width that
# every terminal gives it. (Unicode: zero-width space and joiners, marks of direction, variation selectors, tags.)
_JOINERS: Final = dict.fromkeys(
    [*range(0x200B, 0x2010), *range(0x2060, 0x2066), 0x061C, 0x180E, *range(0xFE00, 0xFE10), *range(0xE0000, 0xE01F0)]
)


def safe(text: str) -> str:
    """Return the text as one harmless line whose width every terminal agrees on."""
    if text.isascii() and text.isprintable():
        return text
    return sanitize(text).translate(_JOINERS)


def safe_lines(text: str) -> list[str]:
    """Return the text as harmless lines, without empty ones at its end."""
    return sanitize(text, newlines=True).translate(_JOINERS).rstrip("\n").split("\n") if text else []


def safe_rows(mark: str, text: str, width: int, most: int) -> list[str]:
    """Return the text in rows of the screen, as many as it may have: what takes more is cut.

    `mark` stands before the first.
    """
    rows = [row for line in safe_lines(text) for row in wrap(line, width - 2, break_on_hyphens=False)]
    if len(rows) > most:
        rows[most - 1 :] = [rows[most - 1][: width - 3] + CUT_MARK]
    return [f"{mark if index == 0 else '  '}{row}" for index, row in enumerate(rows)]


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return the harmless text in exactly `width` cells: padded, or cut with a mark."""
    if width <= 0:
        return ""
    cells = len(text) if text.isascii() else cell_len(text)
    if cells > width:
        return set_cell_size(text, width - 1) + CUT_MARK
    padding = " " * (width - cells)
    return padding + text if right else text + padding


def fit_ends(text: str, width: int) -> str:
    """Return the harmless text in exactly `width` cells; of a longer one the beginning and the end are kept.

    Names that one maker gave differ at their ends: frontend-6f6b9b6d5c-x7k2p, payments-api-worker.
    """
    if width <= 2 or (len(text) if text.isascii() else cell_len(text)) <= width:
        return fit(text, width)
    tail, room = "", (width - 1) // 2
    for character in reversed(text):
        if cell_len(character + tail) > room:
            break
        tail = character + tail
    return set_cell_size(text, width - 1 - cell_len(tail)) + CUT_MARK + tail


def parts_width(parts: Iterable[Part]) -> int:
    """Return how many cells the parts take on one line."""
    return sum(cell_len(text) for text, _ in parts)
