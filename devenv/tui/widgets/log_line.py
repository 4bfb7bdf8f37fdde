"""How one row of a log is drawn: gutter, time, text with levels and search hits, cut to the visible part."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Final

from msgspec import Struct
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from devenv.core.model import LogLine
from devenv.tui.widgets.log_rows import Piece

TIME_WIDTH: Final = 13  # 12:34:56.789 and a space
GUTTER_WIDTH: Final = 2

# Words by which most log formats name a level. In "uvicorn.error: started" it is a logger's name, not a level.
_BAD: Final = (
    r"(?<![\w.-])(?:ERROR|FATAL|CRITICAL|PANIC|Traceback|[A-Za-z]+(?:Error|Exception)"
    r"|(?:error|fatal|panic)(?=[\s:\]\"]))\b"
)
_WARN: Final = r"(?<![\w.-])(?:WARN|WARNING|warn|warning)\b"


class LogStyles(Struct, frozen=True):
    """The styles of a log view in the current theme."""

    base: Style
    time: Style
    stderr: Style
    marker: Style
    bad: Style
    warn: Style
    match: Style
    current: Style


class View(Struct, frozen=True):
    """What of the lines is looked at: the first cell, how many, and what is searched."""

    left: int
    width: int
    times: bool
    needle: re.Pattern[str] | None
    current: int | None  # the number of the line that the search stands on


def prefix_width(times: bool) -> int:
    """Return how many cells stand before the text."""
    return GUTTER_WIDTH + (TIME_WIDTH if times else 0)


def draw(line: LogLine, piece: Piece, view: View, styles: LogStyles) -> Strip:
    """Return exactly `view.width` cells."""
    if line.stream == "devenv":
        return _marker(line, piece, view, styles)
    stderr = line.stream == "stderr"
    segments = [Segment("▎ " if stderr else "  ", styles.stderr)]
    if view.needle is None and piece.number == view.current:
        segments = [Segment("▶ ", styles.current)]  # the moment that somebody asked for
    if view.times:
        stamp = _clock(line.at) if piece.start == 0 else " " * TIME_WIDTH
        segments.append(Segment(stamp, styles.time))
    prefix = Strip(segments, prefix_width(view.times))
    text = Text(piece.text, style=styles.base, no_wrap=True, end="")
    text.highlight_regex(_compiled(_WARN), style=styles.warn)
    text.highlight_regex(_compiled(_BAD), style=styles.bad)
    if view.needle is not None:
        text.highlight_regex(view.needle, style=styles.current if piece.number == view.current else styles.match)
    room = max(0, view.width - prefix.cell_length)
    body = Strip(_segments(text), cell_len(piece.text)).crop_extend(view.left, view.left + room, styles.base)
    return Strip.join([prefix, body]).crop_extend(0, view.width, styles.base)


@cache  # with the first line, not with the import: that is before the first paint
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _segments(text: Text) -> list[Segment]:
    # Text.render wants a console for nothing but looking up style names: all styles here are objects.
    plain = text.plain
    edges = sorted({0, len(plain), *(span.start for span in text.spans), *(span.end for span in text.spans)})
    base = text.style if isinstance(text.style, Style) else Style.null()
    segments = []
    for start, end in pairwise(edges):
        style = base
        for span in text.spans:
            if span.start <= start and end <= span.end and isinstance(span.style, Style):
                style += span.style
        segments.append(Segment(plain[start:end], style))
    return segments


def _marker(line: LogLine, piece: Piece, view: View, styles: LogStyles) -> Strip:
    text = f" {piece.text} " if piece.start == 0 else f"{piece.text} "
    cells = cell_len(text)
    rule = "─" * max(0, view.width - cells - 3)
    return Strip([Segment(f"──{text}{rule}─", styles.marker)]).crop_extend(0, view.width, styles.marker)


def _clock(at: float | None) -> str:
    if at is None:
        return " " * TIME_WIDTH
    try:
        moment = datetime.fromtimestamp(at)
    except (OverflowError, OSError, ValueError):
        return "--:--:--.--- "
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} "
