"""How log lines become rows of the screen: wrapped, with gutter, time, source, levels and search hits."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct
from rich.cells import cell_len, chop_cells, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from devenv.core.model import LogLine
from devenv.core.text import counted, human_age, human_bytes
from devenv.logs.buffer import LogBuffer
from devenv.logs.scan import Scan
from devenv.tui.safe_text import CUT_MARK, safe

if TYPE_CHECKING:
    from textual.geometry import Offset

    from devenv.logs.filter import LineFilter, Pattern
    from devenv.logs.fold import Folds
    from devenv.logs.histogram import Histogram

CHARACTERS_SHOWN: Final = 8192  # of one line; more than a screen full, little enough to draw it at once
_BAR: Final = " │ "


class Piece(NamedTuple):
    """A row of the screen: a part of the line with that number; `start` is 0 for its first row."""

    number: int
    start: int
    text: str


class Look(Struct, frozen=True):
    """How lines are looked at: where they wrap (None: nowhere), which of them, and whether written for people."""

    wrap_at: int | None = None
    only: LineFilter | None = None
    readable: bool = False


class LogRows:
    """The rows of a buffer as it is looked at; follows the buffer without walking through it again."""

    def __init__(
        self, buffer: LogBuffer, look: Look, folds: Folds | None = None, histogram: Histogram | None = None
    ) -> None:
        """With `folds` the lines that it hides take no row, as long as all lines are looked at.

        The `histogram` counts what takes rows.
        """
        self.buffer = buffer
        self.folds = folds if look.only is None else None
        self.look = look
        self.widest = 0
        self._names = dict(buffer.names)
        self._wrapped: tuple[LogLine, list[Piece]] | None = None
        self.scan = Scan(buffer, self._measure, histogram)

    def __len__(self) -> int:
        return len(self.scan)

    @property
    def renamed(self) -> bool:
        """Whether a source is called something else than when its rows were counted: then all are made anew."""
        names = self.buffer.names
        return any(names.get(key) != name for key, name in self._names.items())

    def sync(self) -> int:
        """Take in what the buffer got and let go of; return how many rows went at the front."""
        self._names |= self.buffer.names
        return self.scan.sync()

    def row(self, y: int) -> tuple[LogLine, Piece] | None:
        """Return the row at `y` with its line, or None below the end."""
        found = self.scan.at_row(y)
        line = self.buffer.line(found[0]) if found is not None else None
        if found is None or line is None:
            return None
        number, part = found
        if not self.look.wrap_at:
            return line, Piece(number, 0, self.text(line))
        if self._wrapped is None or self._wrapped[0] is not line:
            self._wrapped = line, _wrap(number, self.text(line), self.look.wrap_at)
        pieces = self._wrapped[1]
        return line, pieces[part]._replace(number=number) if part < len(pieces) else Piece(number, 1, "")

    def text(self, line: LogLine) -> str:
        """Return the harmless text of a line, with its source; what is not shown of a very long one is said."""
        text, hidden = line.text, line.cut
        if self.look.readable:
            from devenv.logs.record import readable  # when somebody asks for it

            text = readable(text)
        if len(text) > CHARACTERS_SHOWN:
            hidden += len(text[CHARACTERS_SHOWN:].encode("utf-8", "replace"))
            text = text[:CHARACTERS_SHOWN]
        text = f"{self.source(line)}{safe(text)}"
        return f"{text}{CUT_MARK} [{human_bytes(hidden)} more, cut]" if hidden else text

    def folded(self, number: int) -> int:
        """Return how many lines stand behind that one."""
        return self.scan.behind(number) if self.folds is not None else 0

    def fold_label(self, line: LogLine, piece: Piece) -> str:
        """Return what is said of the lines behind that one; "" where there are none, and but on its first row."""
        count = self.folded(piece.number) if piece.start == 0 and self.folds is not None else 0
        if not count:
            return ""
        last = self.buffer.line(piece.number + count)
        if self.folds is not None and self.folds.kind == "repeats" and last is not None and last.text == line.text:
            return f" ×{count + 1:,} "
        # The last line of a trace of Python says what happened; of all others the first one does.
        said = last.text if last is not None and line.text.startswith("Traceback") and last.text[:1] != " " else ""
        return f" +{counted(count, 'line')}{f': {safe(said)}' if said else ''} "

    def source(self, line: LogLine) -> str:
        """Return what stands before the text of a line: the name of its source, where there are several."""
        name = self.buffer.names.get(line.key)
        return f"{name}{_BAR}" if name else ""

    def _measure(self, line: LogLine, number: int) -> int:
        if self.folds is not None and self.folds.hides(line, number):
            return 0
        if self.look.only is not None and not self.look.only.passes(line):
            return 0
        # All but few lines are of this kind, and each line of a flood comes by here.
        text = line.text if self._is_plain(line) else self.text(line)
        cells = len(text) if text.isascii() else cell_len(text)
        if not self.look.wrap_at:
            self.widest = max(self.widest, cells)
            return 1
        if cells == len(text):
            return max(1, -(-cells // self.look.wrap_at))
        return len(_wrap(0, text, self.look.wrap_at))

    def selected(self, start: Offset | None, end: Offset | None, prefix: int) -> str:
        """Return the text between two places, whose `y` are steady numbers; their `x` count the prefix as well."""
        first = self.scan.row_steady(start.y) if start is not None else 0
        last = self.scan.row_steady(end.y) if end is not None else len(self) - 1
        text = ""
        for y in range(max(0, first), min(last, len(self) - 1) + 1):
            row = self.row(y)
            if row is not None:
                left = max(0, start.x - prefix) if start is not None and y == first else 0
                right = max(0, end.x - prefix) if end is not None and y == last else None
                wrapped = row[1].start > 0 or not text  # the rows of one line make one
                text += f"{'' if wrapped else chr(10)}{row[1].text[left:right]}"
        return text

    def lines(self) -> Iterator[str]:
        """Yield all lines that are looked at as texts with their times, oldest first, what is folded as well."""
        while not self.scan.complete:
            self.scan.look_back(1.0)
        every = range(self.buffer.first, self.buffer.total)
        for number in every if self.look.only is None else self.scan.numbers:
            line = self.buffer.line(number)
            if line is not None:
                at = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="milliseconds") + " " if line.at else ""
                yield f"{at}{self.source(line)}{f'-- {line.text} --' if line.stream == 'devenv' else line.text}"

    def _is_plain(self, line: LogLine) -> bool:
        """Whether `text` returns the line's own."""
        text, named = line.text, self.buffer.names.get(line.key)
        shown_as_it_is = not (named or line.cut or self.look.readable) and len(text) <= CHARACTERS_SHOWN
        return shown_as_it_is and text.isascii() and text.isprintable()


def _wrap(number: int, text: str, width: int) -> list[Piece]:
    if text.isascii():
        if len(text) <= width:
            return [Piece(number, 0, text)]
        return [Piece(number, at, text[at : at + width]) for at in range(0, len(text), width)]
    pieces = []
    start = 0
    for part in chop_cells(text, width) or [""]:
        pieces.append(Piece(number, start, part))
        start += len(part)
    return pieces


TIME_WIDTHS: Final = {"": 0, "clock": 13, "age": 6}  # 12:34:56.789 and a space; 3m ago is written 3m
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
    sources: tuple[Style, ...]


class View(Struct, frozen=True):
    """What of the lines is looked at: the first cell, how many, the times, and what is searched."""

    left: int
    width: int
    times: str
    needle: Pattern | None
    current: int | None  # the number of the line that the search stands on
    rows: LogRows


def prefix_width(times: str) -> int:
    """Return how many cells stand before the text."""
    return GUTTER_WIDTH + TIME_WIDTHS[times]


def draw(line: LogLine, piece: Piece, view: View, styles: LogStyles) -> Strip:
    """Return exactly `view.width` cells."""
    if line.stream == "devenv":
        return _marker(line, piece, view, styles)
    stderr = line.stream == "stderr"
    segments = [Segment("▎ " if stderr else "  ", styles.stderr)]
    if view.needle is None and piece.number == view.current:
        segments = [Segment("▶ ", styles.current)]  # the moment that somebody asked for
    if view.times:
        width = TIME_WIDTHS[view.times]
        stamp = (_clock(line.at) if view.times == "clock" else _age(line.at)) if piece.start == 0 else " " * width
        segments.append(Segment(stamp, styles.time))
    prefix = Strip(segments, prefix_width(view.times))
    text = Text(piece.text, style=styles.base, no_wrap=True, end="")
    source = view.rows.source(line)
    if line.styles and not view.rows.look.readable:
        moved = len(source) - piece.start
        for start, end, codes in line.styles:
            text.stylize(_style_of(codes), max(0, start + moved), max(0, end + moved))
    text.highlight_regex(_compiled(_WARN), style=styles.warn)
    text.highlight_regex(_compiled(_BAD), style=styles.bad)
    if source and piece.start < len(source):
        # The same in every log and every run: the name itself says which one.
        text.stylize(styles.sources[sum(map(ord, source)) % len(styles.sources)], 0, len(source) - piece.start)
    if view.needle is not None:
        for start, end in view.needle.spans(piece.text):
            text.stylize(styles.current if piece.number == view.current else styles.match, start, end)
    room = max(0, view.width - prefix.cell_length)
    body = Strip(_segments(text), cell_len(piece.text)).crop_extend(view.left, view.left + room, styles.base)
    strip = Strip.join([prefix, body]).crop_extend(0, view.width, styles.base)
    if label := view.rows.fold_label(line, piece):
        label = set_cell_size(label, min(cell_len(label), view.width // 2))
        end = min(prefix.cell_length + cell_len(piece.text), view.width - cell_len(label))
        strip = Strip.join([strip.crop(0, end), Strip([Segment(label, styles.marker)])])
    return strip.crop_extend(0, view.width, styles.base)


@cache  # with the first line, not with the import: that is before the first paint
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@lru_cache(1_000)  # a program may write a colour of its own with every line
def _style_of(codes: str) -> Style:
    """Return the style of a sequence of SGR parameters (ECMA-48, 8.3.117), as `sanitize_styled` lets them pass."""
    from rich.ansi import SGR_STYLE_MAP  # with the first coloured line

    style, numbers = Style.null(), [int(code) for code in codes.split(";")]
    while numbers:
        code = numbers.pop(0)
        if code in (38, 48) and len(numbers) >= 2 and numbers[0] == 5:
            color = f"color({numbers[1]})"
            del numbers[:2]
        elif code in (38, 48) and len(numbers) >= 4 and numbers[0] == 2:
            color = f"rgb({numbers[1]},{numbers[2]},{numbers[3]})"
            del numbers[:4]
        else:
            style += Style.parse(SGR_STYLE_MAP.get(code, ""))
            continue
        style += Style.parse(color if code == 38 else f"on {color}")
    return style


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


def select(strip: Strip, start: int, end: int, left: int, style: Style) -> Strip:
    """Return the strip, whose first cell is number `left`, with the cells from `start` to before `end` in a style.

    An `end` of -1 is that of the strip.
    """
    width = strip.cell_length
    start, end = max(0, min(start - left, width)), width if end < 0 else max(0, min(end - left, width))
    middle = Strip(Segment(segment.text, (segment.style or Style()) + style) for segment in strip.crop(start, end))
    return Strip.join([strip.crop(0, start), middle, strip.crop(end, width)])


def _marker(line: LogLine, piece: Piece, view: View, styles: LogStyles) -> Strip:
    cells = cell_len(piece.text)
    # A row that is full has room for two cells before its text.
    front = "──" if piece.start else "── " if cells + 3 <= view.width else "─ "
    rule = "─" * (view.width - cells - len(front) - 1)
    return Strip([Segment(f"{front}{piece.text} {rule}", styles.marker)]).crop_extend(0, view.width, styles.marker)


def _age(at: float | None) -> str:
    return f"{'' if at is None else human_age(time.time() - at):>5} "


def _clock(at: float | None) -> str:
    if at is None:
        return " " * TIME_WIDTHS["clock"]
    try:
        moment = datetime.fromtimestamp(at)
    except (OverflowError, OSError, ValueError):
        return "--:--:--.--- "
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} "
