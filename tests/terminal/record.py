"""Records devenv on a copy of docsearch: python -m tests.terminal.record docs/demo.cast writes it and docs/demo.svg.

The recording is an asciicast (https://docs.asciinema.org/manual/asciicast/v2/): `asciinema play docs/demo.cast`. The
SVG is the same for pages. It shows one screen after the other and keeps a line that several have once. Needs an engine
on this machine and root, as a service is crashed from outside.
"""

from __future__ import annotations

import codecs
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import pyte
from pyte.screens import Char

from tests.diagrams import mark
from tests.terminal.picture import FONT, copy_of_docsearch, edit
from tests.terminal.real_terminal import RealTerminal

SIZE = (116, 32)
LENGTH = 30.0  # seconds; what took longer on a busy machine is played faster
FRAMES = 32  # about as many screens, so that the files stay small
LAST = 2.0  # seconds of the last screen
CELL, LINE, FONT_SIZE = 8.4, 17.0, 14  # pixels; a monospaced letter is 0.6 as wide as its font is high
Event = tuple[float, str, str]  # of an asciicast: seconds, "o" for output or "m" for a marker, the text


@dataclass(frozen=True, slots=True)
class Look:
    """How letters that stand together look: colours as RRGGBB, "" for the terminal's own."""

    ink: str
    ground: str
    bold: bool

    @classmethod
    def of(cls, char: Char) -> Look:
        ink, ground = ("" if name == "default" else name for name in (char.fg, char.bg))
        return cls(*((ground, ink) if char.reverse else (ink, ground)), bold=char.bold)

    @property
    def escape(self) -> str:
        """The sequence that lets a terminal write so."""
        colours = [
            f"{number};2;{int(name[:2], 16)};{int(name[2:4], 16)};{int(name[4:], 16)}"
            for number, name in ((38, self.ink), (48, self.ground))
            if name
        ]
        return f"\x1b[{';'.join(['0', *(['1'] if self.bold else []), *colours])}m"


Line = tuple[tuple[Look, str], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A screen, the seconds that it stays, and what is done in it."""

    seconds: float
    caption: str
    lines: tuple[Line, ...]


def play(terminal: RealTerminal) -> Iterator[str]:
    """Use devenv as a user does, and yield what the next step is."""

    def row(service: str) -> str:
        return next((line for line in terminal.text().splitlines() if f" {service} " in f"{line} "), "")

    def healthy() -> None:
        terminal.until(lambda: "healthy" in row("backend") and "healthy" in row("frontend"))

    yield "devenv: what runs, and how well"
    for key in "devenv\r":
        terminal.send(key)
    terminal.until(lambda: "● live" in terminal.text() and "MiB" in row("backend"))
    healthy()
    terminal.read(3)
    yield "a service crashes: its line says why, and what follows"
    inspect = ("docker", "inspect", "--format", "{{.State.Pid}}", f"{os.environ['COMPOSE_PROJECT_NAME']}-backend-1")
    os.kill(int(subprocess.run(inspect, capture_output=True, text=True, check=True).stdout), signal.SIGKILL)
    terminal.until(lambda: "healthy" not in row("backend"))
    healthy()
    terminal.read(2)
    yield "r restarts a service and waits until it is ready"
    terminal.send("r")
    terminal.until(lambda: "healthy" not in row("backend"))
    healthy()
    terminal.read(1.5)
    yield "w watches: a saved file is in the container, and served"
    terminal.send("w")
    terminal.until(lambda: "watching" in terminal.text())
    edit("backend/docindexer/probes.py")
    terminal.until(lambda: "watch: served" in terminal.text())
    healthy()
    terminal.read(2)
    yield "l goes to its log, / searches in it"
    terminal.send("l")
    terminal.read(1)
    terminal.send("/")
    for key in "ready":
        terminal.send(key)
    terminal.read(2)
    terminal.send("\r")
    terminal.read(1)
    yield "? shows every key"
    terminal.send("\x1b\x1b")
    terminal.read(1)
    terminal.send("?")
    terminal.read(3)


@contextmanager
def shell() -> Iterator[RealTerminal]:
    """Open a shell that knows devenv, and nothing of its user's settings."""
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PS1": "$ "}
    command = ["bash", "--norc", "--noprofile", "-i"]
    with RealTerminal(command, Path.cwd(), size=SIZE, environ=environ) as terminal:
        terminal.until(lambda: "$" in terminal.text())
        yield terminal


def record() -> str:
    """Return the recording as an asciicast of version 2, a JSON document a line; each step has a marker.

    It has what differs from screen to screen: the program writes ten times as much.
    """
    with shell() as terminal:
        began = terminal.chunks[0][0]
        events: list[Event] = [(terminal.chunks[-1][0] - began, "m", text) for text in play(terminal)]
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may stand in two chunks
        events += [(at - began, "o", decoder.decode(data)) for at, data in terminal.chunks]
    header = {"version": 2, "width": SIZE[0], "height": SIZE[1], "title": "devenv"}
    return "".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
        for line in (header, *differences(frames(sorted(events), events[-1][0] / FRAMES)))
    )


def frames(events: Sequence[Event], step: float) -> list[Frame]:
    """Return the screens that differ, at most one in `step` seconds and one a marker."""
    screen = pyte.Screen(*SIZE)
    stream = pyte.Stream(screen)
    shown: list[tuple[float, str, tuple[Line, ...]]] = []
    caption = ""
    for (at, kind, text), following in pairwise([*events, (events[-1][0] + step, "m", "")]):
        if kind == "m":
            caption = text
        else:
            stream.feed(text)
        if following[1] == "o" and following[0] - (shown[-1][0] if shown else -step) < step:
            continue
        lines = tuple(
            tuple(
                (look, "".join(char.data for char in group))
                for look, group in groupby((screen.buffer[row][column] for column in range(SIZE[0])), Look.of)
            )
            for row in range(SIZE[1])
        )
        if not shown or (caption, lines) != shown[-1][1:]:
            shown.append((at, caption, lines))
    pace = min(1.0, (LENGTH - LAST) / (shown[-1][0] - shown[0][0]))
    stay = [(after[0] - before[0]) * pace for before, after in pairwise(shown)] + [LAST]
    return [Frame(seconds, caption, lines) for seconds, (_, caption, lines) in zip(stay, shown, strict=True)]


def differences(shown: Sequence[Frame]) -> Iterator[Event]:
    """Yield the events of an asciicast that write just the lines that change."""
    at, before = 0.0, Frame(0, "", ((),) * SIZE[1])
    yield 0.0, "o", "\x1b[?25l"
    for frame in shown:
        if frame.caption != before.caption:
            yield round(at, 2), "m", frame.caption
        changed = [
            f"\x1b[{row};1H" + "".join(look.escape + text for look, text in line)
            for row, (line, old) in enumerate(zip(frame.lines, before.lines, strict=True), 1)
            if line != old
        ]
        yield round(at, 2), "o", "".join(changed)
        at, before = at + frame.seconds, frame
    yield round(at, 2), "o", "\x1b[0m\x1b[?25h"


def line_as_svg(line: Line, classes: dict[str, str]) -> str:
    """Draw a line of the screen, whose letters stand on 0; no font changes the width of a run."""
    drawn, column = [], 0
    for look, text in line:
        if look.ground != classes["ground"]:
            fill = classes.setdefault(f"fill:#{look.ground}", f"c{len(classes)}")
            drawn.append(
                f'<rect x="{column * CELL:.5g}" y="-13" width="{len(text) * CELL:.5g}" height="17" class="{fill}"/>'
            )
        if stripped := text.strip():
            left = (column + len(text) - len(text.lstrip())) * CELL
            style = classes.setdefault(
                f"fill:#{look.ink or 'e0e0e0'}{';font-weight:bold' if look.bold else ''}", f"c{len(classes)}"
            )
            drawn.append(
                f'<text x="{left:.5g}" class="{style}" textLength="{len(stripped) * CELL:.5g}">'
                f"{escape(stripped)}</text>"
            )
        column += len(text)
    return "".join(drawn)


def animate(cast: str) -> str:
    """Draw an asciicast as an SVG that shows its screens for ever."""
    screens = frames([(at, kind, text) for at, kind, text in map(json.loads, cast.splitlines()[1:])], 0.01)
    width, height = SIZE[0] * CELL + 20, (SIZE[1] + 2) * LINE + 20
    grounds = Counter(look.ground for frame in screens for line in frame.lines for look, _ in line)
    classes = {"ground": grounds.most_common(1)[0][0]}
    known: dict[str, int] = {}
    whole = sum(frame.seconds for frame in screens)
    drawn, rules, at = [], [], 0.0
    for number, frame in enumerate(screens):
        lines = [line_as_svg(line, classes) for line in frame.lines]
        uses = [
            f'<use href="#l{known.setdefault(line, len(known))}" y="{row * LINE + 13:g}"/>'
            for row, line in enumerate(lines)
            if line
        ]
        caption = f'<text y="{(SIZE[1] + 1.4) * LINE:g}" class="caption">{escape(frame.caption)}</text>'
        drawn.append(f'<g transform="translate({number * width:g})">{"".join(uses)}{caption}</g>')
        rules.append(f"{at / whole:.3%}{{transform:translateX(-{number * width:g}px)}}")
        at += frame.seconds
    symbols = "".join(f'<g id="l{number}">{line}</g>' for line, number in known.items())
    ground = classes.pop("ground") or "121212"
    style = (
        f"text{{white-space:pre;font:{FONT_SIZE}px {FONT}}}.caption{{fill:#ffc107;font-weight:bold}}"
        + "".join(f".{name}{{{rule}}}" for rule, name in classes.items())
        + f"#all{{animation:play {whole:.1f}s step-end infinite}}@keyframes play{{{''.join(rules)}}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">\n'
        f"<style>{style}</style>\n<defs>{symbols}</defs>\n"
        f'<rect width="100%" height="100%" rx="8" fill="#{ground}"/>\n'
        f'<svg x="10" y="10" width="{width - 20:g}" height="{height - 20:g}"><g id="all">\n'
        + "\n".join(drawn)
        + f"\n</g></svg></svg>\n{mark(cast)}"
    )


def main() -> None:
    target = Path(sys.argv[1]).absolute()
    if target.suffix != ".cast":
        sys.exit("usage: python -m tests.terminal.record FILE.cast")
    with copy_of_docsearch():
        os.environ["COMPOSE_FILE"] = "compose/compose.yaml:compose/compose.sync.yaml"
        cast = record()
    target.write_text(cast, "utf-8")
    target.with_suffix(".svg").write_text(animate(cast), "utf-8")


if __name__ == "__main__":
    main()
