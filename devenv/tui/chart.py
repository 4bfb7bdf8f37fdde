"""Charts of characters: values over time, the newest at the right. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

BARS: Final = "▁▂▃▄▅▆▇█"
BLOCKS: Final = f" {BARS}"


def chart(
    values: Sequence[float | None], width: int, height: int, *, mark: float | None = None, label: int = 1
) -> list[str]:
    """Draw the newest `width` values as columns of `height` lines; `mark` is drawn as a line across.

    Unknown values stay empty. The first line begins with the greatest value, the last one with 0; these labels take at
    least `label` cells, so that several charts stand below each other.
    """
    known = [value for value in values if value is not None]
    top = max((*known, mark or 0.0), default=0.0) or 1.0
    label = max(len(_number(top)), label)
    room = max(1, width - label - 2)
    shown = list(values)[-room:]
    at = None if mark is None else min(height - 1, int(mark / top * height - 1e-9))
    lines = []
    for row in range(height - 1, -1, -1):
        cells = []
        for value in shown:
            filled = 0 if value is None else round(value / top * height * 8) - row * 8
            block = BLOCKS[max(0, min(8, filled))]
            cells.append("┄" if row == at and block == " " else block)
        name = _number(top) if row == height - 1 else "0" if row == 0 else ""
        line = "".join(cells)
        if row == at:
            line = line.ljust(room, "┄")
        lines.append(f"{name:>{label}} ┤{line}".rstrip())
    return lines


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def sparkline(values: Iterable[float], *, floor: float = 0.1) -> str:
    """Draw values as bars on one line, the highest of them (but at least `floor`) as a full one."""
    known = list(values)
    top = max((*known, floor))
    return "".join(BARS[min(len(BARS) - 1, int(value / top * len(BARS)))] for value in known)


def bars(counts: Sequence[int], *, label: int) -> str:
    """Draw counts as bars on one line, behind the greatest of them; one that is not 0 is seen beside any other."""
    top = max(counts, default=0)
    if not top:
        return f"{0:>{label}} ┤"
    seen = [max(count, top / len(BARS)) if count else 0 for count in counts]
    return chart(seen, len(seen) + label + 2, 1, label=label)[0]
