"""The first picture, written before Textual is imported: the services that were declared last time, as they are now.

What runs is asked of the engine; only which services there are is from the last session, and the first line says so
until Compose has answered. Textual then paints the same cells over it. Where anything is not as it was then (the
terminal, its colours, the file), there is no such picture: the terminal opens as it does the first time.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec.structs import replace

from devenv.core.model import Beyond, Change, Project, Resource, Snapshot
from devenv.core.state import Store
from devenv.core.stored import Unreadable, make_private, read_json, state_folder
from devenv.tui.header import header_parts
from devenv.tui.safe_text import parts_width
from devenv.tui.table.board import Board
from devenv.tui.table.columns import fitted, place, title

if TYPE_CHECKING:
    from rich.style import Style

    from devenv.tui.widgets.resource_table import ResourceTable

ENTER: Final = "\x1b[?1049h"  # the other screen, as Textual enters it
_HIDE_CURSOR: Final = "\x1b[?25l"
_LEAVE: Final = b"\x1b[?25h\x1b[?1049l"
_CODE: Final = re.compile(r"(\x1b\[[0-9;]*m)?")
_TONES: Final = ("plain", "head", "good", "warn", "bad", "alarm", "quiet")
_WORDS: Final = ("", "bold", "bold reverse", "$warning", "$success", "$error", "$quiet")  # of the first line
LEAST: Final = (40, 10)  # columns and rows: below them the screen says that it is too small
_MARK: Final = ("  services as declared last time", "$quiet")


class Kept(msgspec.Struct, frozen=True):
    """What the picture needs of the last session; a file of another version is not read."""

    made_for: tuple[str, ...]  # what colours and services depend on
    in_cluster: bool
    top: int  # the line of the screen where the table begins
    codes: dict[str, str]  # the escape code of each tone of the table, and of each style of the first line
    project: Project
    inactive: tuple[str, ...] = ()  # services of profiles that were not active
    version: Literal[1] = 1


def file_of(project: str) -> Path:
    """Return where what the terminal keeps of a project is; it is named by its folder."""
    name = re.sub(r"[^\w.-]+", "-", Path(project).name)[:40]
    return state_folder() / "terminal" / f"{name}-{hashlib.sha256(project.encode()).hexdigest()[:12]}.json"


def _code(style: Style, system: str | None) -> str:
    from rich.console import COLOR_SYSTEMS

    return style.render("#", color_system=COLOR_SYSTEMS.get(system or "")).partition("#")[0]


def picture(kept: Kept, known: Sequence[Change], size: tuple[int, int], columns: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines of the screen, with their escape codes: as many as it has."""
    width, height = size
    store = Store()
    store.apply(known)
    board = Board(store, long_names=kept.in_cluster)
    board.services.choose_columns(columns)
    lines, codes = board.lines, kept.codes
    most = int(height * (0.6 if height < 30 else 0.5 if kept.in_cluster else 0.45))  # max-height in main_screen.tcss
    room = width - (len(lines) + 1 > most)  # a scroll bar
    rows = lines[: max(3, most) - 1]
    needs: dict[str, int] = {}
    for row in rows:
        for name, cell in zip(lines.cell_names, row.cells, strict=True):
            needs[name] = max(needs.get(name, 0), parts_width([(cell.text, "")]))
    placed = place(room, {**needs, "service": lines.longest}, lines.columns)

    def line(cells: Sequence[tuple[str, str]], gap: str) -> str:
        made, x = "", 0
        for (text, tone), at in zip(cells, placed, strict=True):
            words = text.rstrip() if tone == "alarm" else text
            made += f"{gap}{' ' * (at.x - x)}\x1b[0m{codes[tone]}{words}\x1b[0m{gap}{' ' * (len(text) - len(words))}"
            x = at.x + at.width
        return f"{made}{gap}{' ' * (width - x)}\x1b[0m"

    parts = header_parts(kept.project.name, None, board.compose.values(), time.time(), width)
    spare = next(i for i, (text, _) in enumerate(parts) if i > 3 and not text.strip())
    if len(parts[spare][0]) > parts_width([_MARK]):
        parts[spare : spare + 1] = [_MARK, (parts[spare][0][parts_width([_MARK]) :], "")]
    yield "".join(f"{codes[style]}{text}\x1b[0m" for text, style in parts)
    yield from (f"{codes['']}{' ' * width}\x1b[0m",) * (kept.top - 1)
    yield line([(title(one), "head") for one in placed], codes["head"])
    for row in rows:
        cells = [row.cells[lines.cell_names.index(one.column.name)] for one in placed]
        tones = ["quiet" if row.absent else cell.tone for cell in cells]
        texts = [fitted(cell.text, one) for cell, one in zip(cells, placed, strict=True)]
        yield line(list(zip(texts, tones, strict=True)), codes["plain"])
    for _ in range(height - kept.top - 1 - len(rows)):
        yield f"{codes['plain']}{' ' * width}\x1b[0m"


class EarlyScreen:
    """The terminal between the first picture and Textual: without echo; given back when it ends before that."""

    def __init__(self, project: str, made_for: Sequence[str], declared: Callable[[], Project | None]) -> None:
        """`project` is what the file is named by; a picture is of the same options and colours, `made_for`, alone.

        `declared` tells the project once it is resolved.
        """
        self.known: list[Change] = []  # what the picture shows: the first frame has it too
        self._attributes: list[Any] | None = None  # of the terminal before
        self._handlers: dict[int, Any] = {}
        self._file = file_of(project).with_suffix(".first.json")
        names = ("TERM", "COLORTERM", "COLORFGBG", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_THEME")
        self._made_for = (*made_for, *(os.environ.get(name, "") for name in names))
        self._declared = declared
        self._kept: Kept | None = None  # of this session

    def show(
        self,
        glance: Callable[[Project, tuple[str, ...]], Snapshot | None],
        *,
        in_cluster: bool,
        columns: Sequence[str] = (),
    ) -> None:
        """Show the picture, unless the terminal is another or too small, or the engine does not answer at once."""
        kept, output = self._read(), sys.__stderr__  # where Textual writes, too
        if kept is None or kept.in_cluster is not in_cluster or output is None or not output.isatty():
            return
        width, height = os.get_terminal_size(output.fileno())
        if width < LEAST[0] or height < LEAST[1] or (snapshot := glance(kept.project, kept.inactive)) is None:
            return
        lines = list(picture(kept, [snapshot], (width, height), columns))[:height]
        try:
            attributes = termios.tcgetattr(0)
            quiet = list(attributes)
            quiet[3] &= ~termios.ECHO  # what is typed already is for Textual
            termios.tcsetattr(0, termios.TCSANOW, quiet)
        except termios.error:
            return
        self._attributes, self.known = attributes, [snapshot]
        for number in (signal.SIGTSTP, signal.SIGQUIT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # what is ignored stays so, and the terminal with us
                self._handlers[number] = signal.signal(number, self._give_back)
        placed = "".join(f"\x1b[{y};1H{line}" for y, line in enumerate(lines, start=1))
        output.write(f"{ENTER}{_HIDE_CURSOR}{placed}")
        output.flush()

    def _read(self) -> Kept | None:
        if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
            return None
        try:
            kept = read_json(self._file, Kept)
        except Unreadable:
            return None
        if kept is None or kept.made_for != self._made_for or not 0 < kept.top < LEAST[1]:
            return None
        whole = all(_CODE.fullmatch(kept.codes.get(name, "?")) for name in (*_TONES, *_WORDS))
        return kept if whole else None

    def look(
        self, table: ResourceTable, base: Style, variables: Mapping[str, str], system: str | None, *, in_cluster: bool
    ) -> None:
        """Take in how the first frame looks, for the next session's picture."""
        from rich.style import Style

        def words(style: str) -> Style:
            named = [variables[word[1:]] if word.startswith("$") else word for word in style.split()]
            return base + Style.parse(" ".join(named))

        styles = {name: table.style_of(name) for name in _TONES} | {name: words(name) for name in _WORDS}
        self._kept = Kept(
            made_for=self._made_for,
            in_cluster=in_cluster,
            top=table.region.y,
            codes={name: _code(style, system) for name, style in styles.items()},
            project=Project("", "", (), ()),
        )

    def keep(self, resources: Iterable[Resource], *, same_theme: bool) -> None:
        """Keep it; where the theme is another now, or nothing can be written, the next session has no picture."""
        declared = self._declared()
        with suppress(OSError):
            if self._kept is None or declared is None or declared.problem or not same_theme:
                self._file.unlink(missing_ok=True)
                return
            inactive = tuple(one.service for one in resources if one.beyond is Beyond.INACTIVE)
            kept = replace(self._kept, project=declared, inactive=inactive)
            fresh = self._file.with_suffix(f".{os.getpid()}")
            make_private(self._file.parent)
            fresh.write_bytes(msgspec.json.encode(kept))
            fresh.replace(self._file)

    def hand_over(self) -> list[Any] | None:
        """Leave the terminal as it is to Textual; returns what it was before, None where nothing was shown."""
        attributes, self._attributes = self._attributes, None
        if attributes is not None and signal.getsignal(signal.SIGQUIT) == self._give_back:
            signal.signal(signal.SIGQUIT, self._handlers[signal.SIGQUIT])
        return attributes

    def close(self) -> None:
        """Give the terminal back, unless Textual has it."""
        if self._attributes is not None:
            attributes, self._attributes = self._attributes, None
            with suppress(OSError, termios.error):
                os.write(2, _LEAVE)
                termios.tcsetattr(0, termios.TCSANOW, attributes)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._give_back:
                signal.signal(number, handler)

    def _give_back(self, number: int, frame: FrameType | None) -> None:
        self.close()
        os.kill(os.getpid(), number)
